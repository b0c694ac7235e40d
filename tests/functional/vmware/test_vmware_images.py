"""Images that are converted before they go to a datastore: streamOptimized, in an OVA, qcow2."""

import io
import subprocess
import tarfile
from datetime import timedelta

import msgspec
import pytest

from nova import errors
from nova.structs.guest import RebootKind
from nova.structs.image import Image

STREAM = Image(id="stream", disk_format="vmdk", properties={"vmware_disktype": "streamOptimized"})
OVA = Image(id="appliance", disk_format="vmdk", container_format="ova")


def test_streamoptimized_image_becomes_the_root_disk(hypervisor, driver, tmp_path):
    spec = _spec(hypervisor, STREAM, _stream(hypervisor, tmp_path))

    driver.create(spec)

    assert hypervisor._root(spec.uuid).read_bytes() == hypervisor.image_file().read_bytes()
    assert [path.name for path in tmp_path.glob("disk*")] == ["disk.vmdk"]


def test_qcow2_image_becomes_the_root_disk(hypervisor, driver, tmp_path):
    path = tmp_path / "disk.qcow2"
    subprocess.run(["qemu-img", "convert", "-f", "raw", "-O", "qcow2", hypervisor.image_file(), path], check=True)
    spec = _spec(hypervisor, Image(id="copied", disk_format="qcow2"), path)

    driver.create(spec)

    assert hypervisor._root(spec.uuid).read_bytes() == hypervisor.image_file().read_bytes()


def test_guest_needs_its_image_for_a_disk_that_is_to_be_made_alone(hypervisor, driver, tmp_path):
    spec = _spec(hypervisor, STREAM, _stream(hypervisor, tmp_path))
    driver.create(spec)

    driver.reboot(_without_image(spec), RebootKind.HARD, timedelta())
    driver.destroy(spec.uuid, spec.vifs)
    with pytest.raises(errors.ImageNotFound):
        driver.create(_without_image(spec))

    assert hypervisor.leftovers() == []


def _without_image(spec):
    root = msgspec.structs.replace(spec.disks[0], image_path=None, image_format=None, missing_image="stream")
    return msgspec.structs.replace(spec, disks=(root, *spec.disks[1:]))


def test_disk_of_an_ova_becomes_the_root_disk_and_no_other_name_in_it_counts(hypervisor, driver, tmp_path):
    disk = _stream(hypervisor, tmp_path).read_bytes()
    path = _ova(tmp_path, ("appliance.ovf", b"<Envelope/>"), ("../../escaped.vmdk", disk), ("/tmp/x.mf", b"SHA1"))
    spec = _spec(hypervisor, OVA, path)

    driver.create(spec)

    assert hypervisor._root(spec.uuid).read_bytes() == hypervisor.image_file().read_bytes()
    assert not list(tmp_path.parent.rglob("escaped.vmdk"))
    assert [path.name for path in tmp_path.glob("appliance*")] == ["appliance.ova"]


def test_disk_of_an_ova_that_is_larger_than_the_flavor_is_refused(hypervisor, driver, tmp_path):
    hypervisor.image_file().write_bytes(bytes(2 << 20))
    path = _ova(tmp_path, ("disk.vmdk", _stream(hypervisor, tmp_path).read_bytes()))

    with pytest.raises(errors.ImageInvalid, match="needs a disk"):
        driver.create(_spec(hypervisor, OVA, path, size_mb=1))

    assert hypervisor.leftovers() == []


def test_stream_that_is_damaged_makes_nothing(hypervisor, driver, tmp_path):
    path = _stream(hypervisor, tmp_path)
    content = bytearray(path.read_bytes())
    content[-4096:] = b"\xff" * 4096
    path.write_bytes(content[: len(content) // 2])

    with pytest.raises(errors.ImageInvalid):
        driver.create(_spec(hypervisor, STREAM, path))

    assert hypervisor.leftovers() == []
    assert [path.name for path in tmp_path.glob("disk*")] == ["disk.vmdk"]


def _stream(hypervisor, directory):
    path = directory / "disk.vmdk"
    words = ["qemu-img", "convert", "-q", "-f", "raw", "-O", "vmdk", "-o", "subformat=streamOptimized"]
    subprocess.run([*words, hypervisor.image_file(), path], check=True)
    return path


def _ova(directory, *members):
    path = directory / "appliance.ova"
    with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as archive:
        for name, content in members:
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path


def _spec(hypervisor, image, path, size_mb=0):
    disk = msgspec.structs.replace(hypervisor.root(size_mb), image_path=str(path))
    return hypervisor.spec(image=image, disks=(disk,))
