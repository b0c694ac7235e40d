"""Images and disks whose bytes are an attack: they name files of the host, hang who opens them, or lie about themselves.

A FIFO stands for the host's secret: whoever opens it to read hangs, so that a test that ends has not opened it.
"""

import contextlib
import os
import struct
import subprocess
from pathlib import Path

import pytest

from nova import concurrency, errors, image_format
from nova.db.engine import Database
from nova.structs.flavor import Flavor
from nova.structs.guest import Disk, GuestSpec
from nova.structs.image import Image
from nova.virt import programs
from nova.virt.libvirt import disk_formats
from nova.virt.libvirt.files import DiskOptions
from nova.virt.libvirt.shelf import DirectoryShelf
from nova.virt.libvirt.storage import Storage

UUID = "6a1c5f7e-0d5b-4a57-9a3c-0f5f2d6a7b11"
MIB = 1 << 20


@pytest.fixture
def secret(tmp_path):
    path = tmp_path / "secret"
    os.mkfifo(path)
    return path


def qcow2_header(size=64 * MIB, backing=b"", incompatible=0, encryption=0):
    """The first 104 bytes of a qcow2 file, version 3, and the name of its backing file behind them."""
    offset = 104 if backing else 0
    fixed = struct.pack(">4sIQIIQIIQQIIQ", b"QFI\xfb", 3, offset, len(backing), 16, size, encryption, 1, 0, 0, 0, 0, 0)
    return fixed + struct.pack(">QQQII", incompatible, 0, 0, 4, 104) + backing + b"\0" * 4096


def vmdk_descriptor(extent):
    lines = ("# Disk DescriptorFile", "version=1", "CID=1", "parentCID=ffffffff", 'createType="monolithicFlat"')
    return "\n".join([*lines, f'RW 100 FLAT "{extent}" 0', ""]).encode()


@pytest.mark.parametrize(
    "said, content, why",
    [
        ("raw", vmdk_descriptor("/etc/shadow"), "vmdk"),
        ("raw", qcow2_header(backing=b"/etc/shadow"), "qcow2"),
        ("qcow2", qcow2_header(backing=b"/etc/shadow"), "backing file"),
        ("qcow2", qcow2_header(backing=b'json:{"driver":"file","filename":"/etc/shadow"}'), "backing file"),
        ("qcow2", qcow2_header(incompatible=0x4), "another file"),
        ("qcow2", qcow2_header(incompatible=0x100), "not known"),
        ("qcow2", qcow2_header(encryption=2), "encrypted"),
        ("qcow2", qcow2_header(size=1 << 63), "cannot be read"),
        ("qcow2", qcow2_header()[:60], "cannot be read|is called"),
        ("qcow2", vmdk_descriptor("/etc/shadow"), "is called"),
        ("qcow2", b"", "is called"),
    ],
)
def test_an_image_that_is_not_what_it_says_or_not_by_itself_is_refused(tmp_path, said, content, why):
    path = tmp_path / "image"
    path.write_bytes(content)

    with pytest.raises(image_format.UnsafeImage, match=why):
        image_format.check(path, said)


def test_what_boots_from_a_disk_is_raw(tmp_path):
    path = tmp_path / "image"
    subprocess.run(["mkfs.vfat", "-C", path, "1024"], check=True, capture_output=True)

    image_format.check(path, "raw")

    assert image_format.virtual_size(path, "raw") == MIB


def test_a_header_that_a_guest_writes_into_its_raw_disk_opens_nothing(tmp_path, secret):
    storage, disk = make_raw_guest(tmp_path)
    with disk.open("r+b") as file:
        file.write(qcow2_header(backing=str(secret).encode(), incompatible=0x4))

    grown = spec_of(size_mb=32)
    in_use = concurrency.call_within(30, storage.backing_files)
    concurrency.call_within(30, storage.resize, grown)

    assert disk.stat().st_size == 32 * MIB
    # At most an image of the host's own is kept for a while.
    assert in_use <= {str(secret)}


def test_a_raw_disk_stays_raw_when_the_host_makes_qcow2_disks_from_now_on(tmp_path, secret):
    _, disk = make_raw_guest(tmp_path)
    with disk.open("r+b") as file:
        file.write(qcow2_header(backing=str(secret).encode()))

    later = Storage(str(tmp_path), DiskOptions(is_overlay=True), "host-1")
    concurrency.call_within(30, later.resize, spec_of(size_mb=32))

    assert disk.stat().st_size == 32 * MIB
    assert disk_formats.recorded(disk, "qcow2") == "raw"


def test_a_size_that_no_disk_may_have_is_refused_before_a_disk_is_made(tmp_path):
    image = tmp_path / "image"
    image.write_bytes(qcow2_header(size=1 << 62))
    rescue = Disk(kind="root", device_name="vda", image_path=str(image), image_format="qcow2", max_size_mb=1024)

    for storage in (overlays(tmp_path), raw_copies(tmp_path)):
        with pytest.raises(errors.ImageInvalid, match="it needs a disk of"):
            storage.create_overlay(rescue, tmp_path / "disk.rescue", make_undo())

    assert not (tmp_path / "disk.rescue").exists()


def test_disks_are_readable_by_their_owner_alone(tmp_path):
    image = make_image(tmp_path)
    spec = spec_of(image=image, extra=(Disk(kind="swap", device_name="vdb", size_mb=1),))
    for directory, make_storage in ((tmp_path / "one", overlays), (tmp_path / "two", raw_copies)):
        make_disks(make_storage(directory), directory, spec)

    disks = [*(tmp_path / "one").glob("*/disk*"), *(tmp_path / "two").glob("*/disk*")]
    assert len(disks) == 6
    assert {disk.stat().st_mode & 0o777 for disk in disks} == {0o600}


def test_an_image_is_converted_without_rights_on_the_host(tmp_path):
    image = make_image(tmp_path)
    target = tmp_path / "disk"
    target.write_bytes(b"\0" * 16 * MIB)
    target.chmod(0o600)

    programs.convert_image("host-1", image, "qcow2", target, memory_limit_gb=2)
    assert target.read_bytes()[:6] == b"marked"
    assert (target.stat().st_uid, target.stat().st_mode & 0o777) == (0, 0o600)

    # Only what the whole world may read can be read beside the two files that were handed over.
    private = tmp_path / "private"
    private.write_bytes(b"secret" * 1000)
    private.chmod(0o600)
    image.write_bytes(qcow2_header(size=16 * MIB, backing=str(private).encode()))
    with pytest.raises(errors.GuestFailed) as caught:
        programs.convert_image("host-1", image, "qcow2", target, memory_limit_gb=2)
    assert b"secret" not in target.read_bytes()
    assert str(tmp_path) not in str(caught.value)


def test_a_program_that_hangs_is_ended_and_said_so(tmp_path, secret):
    with pytest.raises(errors.GuestFailed, match=r"did not end in time \(cat\)"):
        programs.run_program("host-1", "cat", secret, timeout_s=0.5)


def test_what_a_program_prints_is_not_told_to_users(tmp_path):
    with pytest.raises(errors.GuestFailed) as caught:
        programs.run_program("host-1", "qemu-img", "resize", "-f", "raw", tmp_path / "missing", "1M")

    assert str(tmp_path) not in caught.value.for_users
    assert str(tmp_path) in caught.value.for_administrators


def make_image(tmp_path):
    raw, image = tmp_path / "raw", tmp_path / "image"
    raw.write_bytes(b"marked" + b"\0" * (8 * MIB))
    subprocess.run(["qemu-img", "convert", "-f", "raw", "-O", "qcow2", raw, image], check=True)
    return image


def make_raw_guest(tmp_path):
    spec = spec_of(size_mb=16)
    storage = raw_copies(tmp_path)
    make_disks(storage, tmp_path, spec)
    return storage, Path(tmp_path / UUID / "disk")


def make_disks(storage, directory, spec):
    DirectoryShelf(str(directory), storage).make(spec.uuid, None)
    storage.create(spec, make_undo())


def overlays(directory):
    return Storage(str(directory), DiskOptions(is_overlay=True), "host-1")


def raw_copies(directory):
    return Storage(str(directory), DiskOptions(is_overlay=False), "host-1")


def spec_of(size_mb=16, image=None, extra=()):
    root = Disk(
        kind="root",
        device_name="vda",
        size_mb=size_mb,
        image_path=str(image) if image else None,
        image_format="qcow2" if image else None,
    )
    return GuestSpec(
        uuid=UUID,
        name="guest",
        display_name="guest",
        project_id="p",
        user_id="u",
        flavor=Flavor(id="1", name="tiny", vcpus=1, memory_mb=64),
        image=Image(id="1b2c5f7e-0d5b-4a57-9a3c-0f5f2d6a7b11"),
        disks=(root, *extra),
        config_drive={"openstack/latest/meta_data.json": b"{}"} if image else None,
    )


def make_undo():
    return contextlib.ExitStack()


def test_a_database_file_is_its_owners_alone(tmp_path):
    database = Database(f"sqlite:///{tmp_path}/state/nova.sqlite")
    with database.engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA journal_mode = WAL")
        connection.exec_driver_sql("CREATE TABLE one (id INTEGER)")
        files = list((tmp_path / "state").iterdir())
        modes = {file.stat().st_mode & 0o777 for file in files}

    assert len(files) > 1
    assert modes == {0o600}
