"""A guest that is rescued boots from another disk, and is afterwards what it was."""

import subprocess

import msgspec
import pytest
from pyVmomi import vim

from nova import errors
from nova.structs.guest import RebootKind
from nova.structs.instance import PowerState
from tests.functional.driver_contract.hypervisor import NOW

WRITTEN = "what the user wrote"
FILE = "openstack/latest/meta_data.json"


@pytest.fixture
def spec(hypervisor, driver):
    """A guest with a config drive and a volume that runs, and has written to its disk."""
    made = hypervisor.spec(config_drive={FILE: b"of the server"})
    driver.create(made)
    driver.attach_volume(made.uuid, hypervisor.make_volume())
    driver.set_power(made.uuid, PowerState.SHUTDOWN)
    hypervisor.write(made.uuid, WRITTEN)
    driver.set_power(made.uuid, PowerState.RUNNING)
    return made


@pytest.fixture
def rescue_disk(hypervisor, tmp_path):
    path = tmp_path / "5a7f3c2e-0000-4000-8000-0000000000bb"
    path.write_bytes(b"an image that mends".ljust(2 << 20, b"\0"))
    return msgspec.structs.replace(hypervisor.root(), image_path=str(path), image_format="raw", max_size_mb=16 << 10)


def test_rescued_guest_boots_from_the_rescue_disk_with_its_own_beside_it(hypervisor, driver, spec, rescue_disk):
    own = _disks(hypervisor, spec)

    driver.rescue(_with_password(spec), rescue_disk)

    (added,) = [disk for disk in _disks(hypervisor, spec) if disk not in own]
    assert own < _disks(hypervisor, spec)
    assert _booted(hypervisor, spec) == added
    flat = hypervisor.vcenter.path(added.replace(".vmdk", "-flat.vmdk"))
    assert flat.read_bytes().startswith(b"an image that mends")
    assert _config(hypervisor, spec) == b"with a password"
    assert driver.guest(spec.uuid).power_state == PowerState.RUNNING
    assert hypervisor.read(spec.uuid) == WRITTEN


def test_guest_is_what_it_was_when_it_is_not_rescued_any_more(hypervisor, driver, spec, rescue_disk):
    own = _disks(hypervisor, spec)
    driver.rescue(_with_password(spec), rescue_disk)

    driver.unrescue(spec)

    assert _disks(hypervisor, spec) == own
    assert _booted(hypervisor, spec).endswith("/root-0.vmdk")
    assert _config(hypervisor, spec) == b"of the server"
    directory = hypervisor._root(spec.uuid).parent
    assert not [path for path in directory.rglob("*") if "rescue" in str(path.relative_to(directory))]
    assert _image(hypervisor).read_bytes().startswith(b"an image that mends")
    assert hypervisor.read(spec.uuid) == WRITTEN


def test_rescued_guest_stays_rescued_through_a_hard_reboot(hypervisor, driver, spec, rescue_disk):
    driver.rescue(_with_password(spec), rescue_disk)
    rescued = _disks(hypervisor, spec), _booted(hypervisor, spec)

    driver.reboot(spec, RebootKind.HARD, NOW)

    assert (_disks(hypervisor, spec), _booted(hypervisor, spec)) == rescued
    assert _config(hypervisor, spec) == b"with a password"


def test_rescue_image_that_cannot_be_used_leaves_the_guest_running(hypervisor, driver, spec, rescue_disk):
    small = msgspec.structs.replace(rescue_disk, max_size_mb=1)
    own = _disks(hypervisor, spec)

    for disk, error in (
        (small, errors.ImageInvalid),
        (msgspec.structs.replace(rescue_disk, device_type="cdrom"), errors.GuestFailed),
    ):
        with pytest.raises(error):
            driver.rescue(spec, disk)

    assert driver.guest(spec.uuid).power_state == PowerState.RUNNING
    assert _disks(hypervisor, spec) == own


def test_diagnostics_tell_what_the_guest_has(driver, spec):
    told = driver.diagnostics(spec.uuid)

    assert (told["driver"], told["state"], told["config_drive"]) == ("vmwareapi", "running", True)
    assert (told["num_cpus"], told["num_nics"], told["num_disks"]) == (1, 1, 2)
    assert [nic["mac_address"] for nic in told["nic_details"]] == [vif.mac for vif in spec.vifs]
    assert told["memory_details"]["maximum"] == 32


def _image(hypervisor):
    """The cached image that the rescue disk stood on."""
    (path,) = hypervisor.vcenter.datastores["LocalDS_0"].glob("*_base/*bb/*-flat.vmdk")
    return path


def _with_password(spec):
    return msgspec.structs.replace(spec, config_drive={FILE: b"with a password"})


def _of(hypervisor, spec, kind):
    return [one for one in hypervisor.machine(spec.uuid).config.hardware.device if isinstance(one, kind)]


def _disks(hypervisor, spec):
    return {one.backing.fileName for one in _of(hypervisor, spec, vim.vm.device.VirtualDisk)}


def _booted(hypervisor, spec):
    key = hypervisor.machine(spec.uuid).config.bootOptions.bootOrder[0].deviceKey
    (disk,) = [one for one in _of(hypervisor, spec, vim.vm.device.VirtualDisk) if one.key == key]
    return disk.backing.fileName


def _config(hypervisor, spec):
    (drive,) = _of(hypervisor, spec, vim.vm.device.VirtualCdrom)
    words = ["isoinfo", "-J", "-i", hypervisor.vcenter.path(drive.backing.fileName), "-x", f"/{FILE}"]
    return subprocess.run(words, check=True, capture_output=True).stdout
