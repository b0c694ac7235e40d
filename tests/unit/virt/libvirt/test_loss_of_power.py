"""What a host has written is whole after a loss of power, or was not there; a torn record of an older release does no harm."""

import contextlib
import json
import os
from pathlib import Path

import pytest

from nova import durable, errors
from nova.conf import load
from nova.structs.disks import DisksId, Mark
from nova.structs.guest import Disk
from nova.virt.libvirt import disk_formats
from nova.virt.libvirt.files import DiskOptions
from nova.virt.libvirt.shelf import DirectoryShelf
from nova.virt.libvirt.storage import Storage
from nova.virt.libvirt.volumes import VolumeConnections
from tests.unit.virt.libvirt.test_volumes import connections, mounts, volume  # noqa: F401 - fixtures


@pytest.fixture
def conf(tmp_path):
    path = tmp_path / "nova.conf"
    path.write_text(f"[DEFAULT]\ninstances_path = {tmp_path}/instances\n")
    return load([], [str(path)])


@pytest.fixture
def directory(tmp_path):
    path = tmp_path / "instances" / "one"
    path.mkdir(parents=True)
    return path


@pytest.fixture
def flushes(monkeypatch):
    """What was flushed, in order: the path, and what a file held then."""
    told = []
    real = os.fsync

    def fsync(descriptor):
        path = Path(os.readlink(f"/proc/self/fd/{descriptor}"))
        told.append((path, path.read_bytes() if path.is_file() else None))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    return told


def is_kept(flushes, path):
    """Whether a file's content was flushed under another name, and then the directory that has its name."""
    content = (path.with_name(f"{path.name}.part"), path.read_bytes())
    return content in flushes and (path.parent, None) in flushes[flushes.index(content) :]


def test_a_file_has_its_name_when_its_content_is_on_the_disk(tmp_path, flushes):
    durable.write(tmp_path / "file", b"old")
    durable.write(tmp_path / "file", b"new")

    assert flushes[-2:] == [(tmp_path / "file.part", b"new"), (tmp_path, None)]
    assert (tmp_path / "file").read_bytes() == b"new"


def test_a_disk_has_its_name_when_its_content_is_on_the_disk(conf, directory, flushes):
    storage = Storage(str(directory.parent), DiskOptions(is_overlay=False), "host-1")
    disk = Disk(kind="root", device_name="/dev/vda", size_mb=1)

    with contextlib.ExitStack() as undo:
        storage.adopt(directory / "disk", disk, "raw", undo, lambda part: part.write_bytes(b"precious"))
        undo.pop_all()

    assert is_kept(flushes, directory / "disk")
    assert is_kept(flushes, directory / "formats.json")


def test_the_record_of_volumes_is_kept(conf, directory, mounts, flushes):  # noqa: F811 - fixture
    VolumeConnections(conf, "host-1").connect("one", volume("nfs", export="192.0.2.9:/volumes", name="volume-v"))

    assert is_kept(flushes, directory / "volumes-host-1.json")


def test_a_mark_is_kept(conf, directory, flushes):
    storage = Storage(str(directory.parent), DiskOptions(is_overlay=False), "host-1")

    mark = Mark(server="one", made_by=DisksId(generation=1, host="host-1"))
    DirectoryShelf(str(directory.parent), storage).write_mark("one", mark)

    assert is_kept(flushes, directory / "placement.json")


TORN = pytest.mark.parametrize("content", ["", '{"v": {"kind": "nf', "null"])


@TORN
def test_a_guest_whose_record_of_volumes_is_torn_can_go(connections, directory, content):  # noqa: F811
    (directory / "volumes-host-1.json").write_text(content)

    connections.disconnect_all("one")

    assert (directory / "volumes-host-1.json").read_text() == content


@TORN
def test_a_torn_record_is_not_taken_for_no_volumes(connections, directory, content):  # noqa: F811
    (directory / "volumes-host-1.json").write_text(content)

    with pytest.raises(errors.VolumesUnknown, match="Reboot the server hard"):
        connections.disconnect("one", "v")


@TORN
def test_volumes_are_connected_anew_beside_a_torn_record(connections, directory, mounts, content):  # noqa: F811
    (directory / "volumes-host-1.json").write_text(content)

    connections.connect("one", volume("nfs", export="192.0.2.9:/volumes", name="volume-v"))

    assert list(json.loads((directory / "volumes-host-1.json").read_text())) == ["v"]
    assert (directory / "volumes-host-1.json.unreadable").read_text() == content


@TORN
def test_the_format_of_a_disk_is_not_guessed_where_its_record_is_torn(directory, content):
    (directory / "formats.json").write_text(content)

    with pytest.raises(errors.GuestFailed, match="cannot be read"):
        disk_formats.recorded(directory / "disk", "raw")
