"""Volumes that need work on the host: os-brick does it, as the operator has configured."""

import types

import msgspec
import pytest

from nova import errors
from nova.conf import load
from nova.structs.guest import Disk
from nova.structs.instance import BlockDevice
from nova.virt.libvirt import volumes
from nova.virt.libvirt.volumes import VolumeConnections


@pytest.fixture
def conf(tmp_path):
    path = tmp_path / "nova.conf"
    path.write_text(
        f"[DEFAULT]\ninstances_path = {tmp_path}/instances\n[libvirt]\nnfs_mount_point_base = {tmp_path}/mnt\n"
        "nfs_mount_options = vers=4.1\n"
    )
    return load([], [str(path)])


@pytest.fixture
def connections(conf):
    return VolumeConnections(conf, "host-1")


def volume(kind, **data):
    device = BlockDevice(
        id="d",
        source="volume",
        destination="volume",
        volume_id="v",
        connection_info={"driver_volume_type": kind, "data": data},
    )
    return Disk(kind="volume", device_name="vdb", volume=device)


def test_a_volume_on_nfs_is_a_file_below_the_operators_directory(connections, tmp_path, monkeypatch):
    told = tmp_path / "told"
    program = tmp_path / "mount"
    program.write_text(f'#!/bin/sh\necho mount "$@" >> {told}\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")

    drive = connections.connect("one", volume("nfs", export="192.0.2.9:/volumes", name="volume-v"))

    assert drive.type == "file"
    assert drive.path.startswith(f"{tmp_path}/mnt/") and drive.path.endswith("/volume-v")
    assert any("vers=4.1" in line and "192.0.2.9:/volumes" in line for line in told.read_text().splitlines())


def test_a_kind_of_volume_nobody_knows_is_refused_with_its_name(connections):
    with pytest.raises(errors.GuestFailed, match="carrier_pigeon"):
        connections.connect("one", volume("carrier_pigeon"))


@pytest.fixture
def neighbour(conf):
    """Another host that sees the same storage."""
    return VolumeConnections(conf, "host-2")


@pytest.fixture
def mounts(tmp_path, monkeypatch):
    """What was mounted and unmounted."""
    told = tmp_path / "told"
    for name in ("mount", "umount"):
        program = tmp_path / name
        program.write_text(f'#!/bin/sh\necho {name} "$@" >> {told}\n')
        program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    return told


def kept(tmp_path):
    return sorted(path.name for path in (tmp_path / "instances" / "one").iterdir())


def test_a_host_disconnects_what_it_has_connected_and_not_what_another_has(connections, neighbour, mounts, tmp_path):
    disk = volume("nfs", export="192.0.2.9:/volumes", name="volume-v")
    connections.connect("one", disk)
    neighbour.connect("one", disk)

    connections.disconnect_all("one")

    assert kept(tmp_path) == ["volumes-host-2.json"]
    neighbour.disconnect_all("one")
    assert kept(tmp_path) == []


def test_what_an_older_release_wrote_is_the_host_s_that_has_the_guest(connections, mounts, tmp_path):
    connections.connect("one", volume("nfs", export="192.0.2.9:/volumes", name="volume-v"))
    directory = tmp_path / "instances" / "one"
    (directory / "volumes-host-1.json").rename(directory / "volumes.json")

    connections.adopt("one")
    connections.adopt("one")

    assert kept(tmp_path) == ["volumes-host-1.json"]


def test_a_host_that_is_renamed_keeps_what_it_has_connected(connections, neighbour, mounts, tmp_path):
    connections.connect("one", volume("nfs", export="192.0.2.9:/volumes", name="volume-v"))

    connections.rename_host("host-1", "host-2")
    neighbour.disconnect_all("one")

    assert kept(tmp_path) == []


class Brick:
    """An os-brick that says what it is asked for."""

    def __init__(self):
        self.told = []
        self.fails = False

    def connect_volume(self, data):
        if self.fails:
            raise RuntimeError("no path to the target")
        self.told.append(("connect", data["volume_id"]))
        return {"path": "/dev/sdx"}

    def disconnect_volume(self, data, device):
        if self.fails:
            raise RuntimeError("the device is busy")
        self.told.append(("disconnect", data["volume_id"], device.get("path")))


@pytest.fixture
def brick(monkeypatch):
    brick = Brick()
    connector = types.SimpleNamespace(factory=lambda *args, **kwargs: brick)
    monkeypatch.setattr(volumes, "_brick", lambda: types.SimpleNamespace(InitiatorConnector=connector))
    return brick


def test_guests_of_one_host_share_the_connection_of_their_volume(connections, brick):
    disk = volume("iscsi", volume_id="v")
    connections.connect("one", disk)
    connections.connect("two", disk)

    connections.disconnect("one", "v")

    assert brick.told == [("connect", "v"), ("connect", "v")]
    assert not connections.is_connected("one", disk) and connections.is_connected("two", disk)
    connections.disconnect_all("two")
    assert brick.told[2:] == [("disconnect", "v", "/dev/sdx")]


def test_another_volume_of_the_other_guest_keeps_no_connection(connections, brick):
    connections.connect("one", volume("iscsi", volume_id="v"))
    other = volume("iscsi", volume_id="w")
    connections.connect(
        "two", msgspec.structs.replace(other, volume=msgspec.structs.replace(other.volume, volume_id="w"))
    )

    connections.disconnect_all("one")

    assert brick.told[2:] == [("disconnect", "v", "/dev/sdx")]


def test_a_guest_s_torn_record_keeps_no_other_guest_s_volumes(connections, brick, tmp_path):
    connections.connect("one", volume("iscsi", volume_id="v"))
    (tmp_path / "instances" / "two").mkdir()
    (tmp_path / "instances" / "two" / "volumes-host-1.json").write_text("{")

    connections.disconnect("one", "v")

    assert brick.told[1:] == [("disconnect", "v", "/dev/sdx")]
