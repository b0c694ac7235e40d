"""What remains of a guest, and what the caller hears, when something breaks under the libvirt driver."""

import contextlib
import subprocess
import threading

import msgspec
import pytest

from nova import concurrency, errors
from nova.structs.guest import Disk
from nova.structs.image import Image
from nova.structs.instance import PowerState


def test_driver_started_before_libvirtd_says_so_and_works_once_it_is_there(host, make_spec, monkeypatch):
    monkeypatch.setattr("nova.virt.libvirt.driver._START_PATIENCE_S", 0.1)
    host.libvirtd("down")
    driver = host.driver()

    with pytest.raises(errors.Unavailable, match="libvirt"):
        driver.start()

    host.libvirtd("up")
    driver.start()
    driver.create(make_spec())
    assert len(driver.guests()) == 1


def test_driver_that_waits_for_libvirtd_finds_it(host):
    host.libvirtd("down")
    driver = host.driver()
    later = threading.Timer(0.5, host.libvirtd, ("up",))
    later.start()

    driver.start()

    later.join()
    assert driver.nodes()[0].hypervisor_hostname == host.name


def test_guests_outlive_libvirtd_and_the_driver_finds_them_again(driver, host, make_spec, wait_for_output):
    spec = make_spec()
    driver.create(spec)
    wait_for_output(spec.uuid, "guest is up")

    host.libvirtd("kill")
    with pytest.raises(errors.Unavailable):
        driver.guests()
    host.libvirtd("up")

    assert driver.guest(spec.uuid).power_state == PowerState.RUNNING
    driver.destroy(spec.uuid, spec.vifs)
    assert driver.guests() == ()


def test_nothing_is_left_of_a_guest_that_libvirtd_was_not_there_for(driver, host, make_spec):
    host.libvirtd("kill")

    with pytest.raises(errors.Unavailable):
        driver.create(make_spec())

    host.libvirtd("up")
    assert driver.guests() == ()
    assert leftovers(host) == []


def test_creation_that_libvirtd_died_under_can_be_repeated(driver, host, make_spec, wait_for_output):
    spec = make_spec()
    killer = threading.Thread(target=kill_libvirtd_once_disks_are_there, args=(host, spec))
    killer.start()

    with contextlib.suppress(errors.Unavailable):
        driver.create(spec)
    killer.join()
    host.libvirtd("up")
    driver.create(spec)

    wait_for_output(spec.uuid, "guest is up")
    assert [guest.uuid for guest in driver.guests()] == [spec.uuid]


def test_full_disk_is_reported_and_leaves_nothing(host, make_spec, tmp_path):
    small = tmp_path / "small"
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", small], check=True)
    try:
        driver = host.driver(instances_path=str(small))
        spec = make_spec(config_drive={"openstack/content/0000": b"x" * (3 << 20)})

        with pytest.raises(errors.DiskFull):
            driver.create(spec)

        assert driver.guests() == ()
        assert list(small.iterdir()) == []
    finally:
        subprocess.run(["umount", small], check=True)


def test_image_that_is_no_image_is_refused(driver, host, make_spec, tmp_path):
    broken = tmp_path / "broken.qcow2"
    broken.write_bytes(b"QFI\xfb" + b"\xff" * 1000)
    spec = make_spec()
    disk = msgspec.structs.replace(spec.disks[0], image_path=str(broken), image_format="qcow2")

    with pytest.raises(errors.ImageInvalid):
        driver.create(msgspec.structs.replace(spec, disks=(disk,)))

    assert leftovers(host) == []


def test_image_larger_than_the_disk_is_refused(driver, host, make_spec, image_file):
    with image_file.open("ab") as file:
        file.truncate(3 << 20)
    spec = make_spec()
    disk = msgspec.structs.replace(spec.disks[0], size_mb=2)

    with pytest.raises(errors.ImageInvalid, match="needs a disk"):
        driver.create(msgspec.structs.replace(spec, disks=(disk,)))

    assert leftovers(host) == []


@pytest.mark.parametrize(
    "properties", [{"hw_machine_type": "no-such-board"}, {"hw_disk_bus": "nowhere"}, {"hw_video_model": "none-such"}]
)
def test_guest_that_libvirt_refuses_leaves_nothing(driver, host, make_spec, properties):
    with pytest.raises(errors.GuestFailed):
        driver.create(make_spec(properties=properties))

    assert driver.guests() == ()
    assert leftovers(host) == []


def test_guest_that_qemu_refuses_leaves_nothing(driver, host, make_spec):
    spec = make_spec(image=Image(id="image", disk_format="raw"), kernel_path="/no/such/kernel")

    with pytest.raises(errors.GuestFailed):
        driver.create(spec)

    assert driver.guests() == ()
    assert leftovers(host) == []


def test_port_without_a_usable_binding_is_refused(driver, host, make_spec, make_vif):
    with pytest.raises(errors.GuestFailed, match="binding"):
        driver.create(make_spec(vifs=(make_vif(vif_type="binding_failed"),)))

    assert leftovers(host) == []


def test_failed_creation_keeps_disks_that_were_there_before(driver, host, make_spec, make_vif, wait_for_output):
    spec = make_spec()
    driver.create(spec)
    driver.destroy(spec.uuid, spec.vifs, keep_disks=True)

    with pytest.raises(errors.GuestFailed):
        driver.create(msgspec.structs.replace(spec, vifs=(make_vif(vif_type="binding_failed"),)))

    assert (host.instances / spec.uuid / "disk").exists()


def test_half_made_disks_of_a_host_that_died_are_made_anew(driver, host, make_spec, wait_for_output):
    spec = make_spec()
    directory = host.instances / spec.uuid
    directory.mkdir(parents=True)
    (directory / "disk.part").write_bytes(b"half")

    driver.create(spec)

    wait_for_output(spec.uuid, "guest is up")
    assert not (directory / "disk.part").exists()


def test_guest_that_keeps_a_device_is_reported(host, make_spec, make_vif):
    driver = host.driver(libvirt__device_detach_attempts=1, libvirt__device_detach_timeout=1)
    deaf = make_spec(disks=(Disk(kind="root", device_name="/dev/vda", size_mb=1),))
    driver.create(deaf)
    vif = make_vif(9)
    driver.attach_vif(deaf.uuid, vif)

    with pytest.raises(errors.GuestFailed, match="does not release"):
        driver.detach_vif(deaf.uuid, vif)


def leftovers(host):
    """Files and taps that belong to no guest."""
    files = [str(path) for path in host.instances.glob("*/*")] if host.instances.exists() else []
    links = subprocess.run(["ip", "-o", "link"], capture_output=True, text=True).stdout
    return files + [line for line in links.splitlines() if "tap" in line]


def kill_libvirtd_once_disks_are_there(host, spec):
    concurrency.wait_for((host.instances / spec.uuid / "disk").exists, 30, interval_s=0.001)
    host.libvirtd("kill")
