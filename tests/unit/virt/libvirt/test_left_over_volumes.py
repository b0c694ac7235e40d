"""A directory of disks is not taken away while its record says what the host is connected to for its guest."""

import uuid

import pytest

from nova import errors
from nova.structs.disks import DisksId, Mark
from nova.structs.flavor import Flavor
from nova.structs.guest import GuestSpec
from nova.virt.libvirt.driver import LibvirtDriver
from nova.virt.libvirt.volumes import VolumeConnections
from tests.unit.virt.libvirt.test_volumes import brick, conf, volume  # noqa: F401 - fixtures

UUID = str(uuid.UUID(int=1))


@pytest.fixture
def driver(conf, monkeypatch):  # noqa: F811 - fixture
    driver = LibvirtDriver(conf, "host-1")
    monkeypatch.setattr(driver._connection, "find", lambda uuid: None)
    return driver


@pytest.fixture
def connections(conf, driver, brick):  # noqa: F811 - fixtures
    """Those of host-1, which has disks of a first placement of the server and is connected to its volume."""
    driver._disks._shelf.make(UUID, Mark(server=UUID, made_by=DisksId(generation=1, host="host-1")))
    connections = VolumeConnections(conf, "host-1")
    connections.connect(UUID, volume("iscsi", volume_id="v"))
    brick.told.clear()
    return connections


def spec(generation, *disks):
    return GuestSpec(
        uuid=UUID,
        name="instance-1",
        display_name="first",
        project_id="project",
        user_id="user",
        flavor=Flavor(id="1", name="m1.tiny", vcpus=1, memory_mb=32),
        disks=disks,
        disks_id=DisksId(generation=generation, host="host-1"),
    )


def test_left_over_disks_go_with_the_connection_of_their_volumes(driver, connections, brick):  # noqa: F811
    [held] = driver.held_disks()

    driver.remove_held_disks(held)

    assert brick.told == [("disconnect", "v", "/dev/sdx")]
    assert driver.held_disks() == ()


def test_left_over_disks_stay_while_the_host_cannot_be_disconnected(driver, connections, brick):  # noqa: F811
    brick.fails = True
    [held] = driver.held_disks()

    with pytest.raises(errors.GuestFailed):
        driver.remove_held_disks(held)

    assert driver.held_disks() == (held,)
    assert connections.is_connected(UUID, volume("iscsi", volume_id="v"))


def test_disks_that_are_put_away_take_no_connection_along(driver, connections, brick):  # noqa: F811
    driver._disks.check(spec(2, volume("iscsi", volume_id="v")))

    assert brick.told == [("disconnect", "v", "/dev/sdx")]
    assert [held.place for held in driver.held_disks()] == ["own", "left"]


def test_what_was_put_away_with_its_record_is_disconnected_with_the_server(driver, connections, brick):  # noqa: F811
    """As another host that sees the same storage does, and an older release did."""
    directory = driver._disks._shelf._root / UUID
    directory.rename(directory.with_name(f"{UUID}.left-0badcafe"))

    driver.destroy(UUID)

    assert brick.told == [("disconnect", "v", "/dev/sdx")]


def test_a_guest_keeps_the_volumes_that_left_over_disks_name_too(driver, connections, brick):  # noqa: F811
    directory = driver._disks._shelf._root / UUID
    directory.rename(directory.with_name(f"{UUID}.left-0badcafe"))
    driver._disks._shelf.make(UUID, Mark(server=UUID, made_by=DisksId(generation=2, host="host-1")))
    connections.connect(UUID, volume("iscsi", volume_id="v"))
    brick.told.clear()
    left = next(held for held in driver.held_disks() if held.place == "left")

    driver.remove_held_disks(left)

    assert brick.told == []
    assert connections.is_connected(UUID, volume("iscsi", volume_id="v"))


def test_left_over_disks_keep_no_connection_that_a_guest_gives_up(driver, connections, brick):  # noqa: F811
    """Their record may be old: the volume is another server's then, whose connection would stay for ever."""
    directory = driver._disks._shelf._root / UUID
    directory.rename(directory.with_name(f"{UUID}.left-0badcafe"))
    other = str(uuid.UUID(int=2))
    connections.connect(other, volume("iscsi", volume_id="v"))
    brick.told.clear()

    connections.disconnect(other, "v")

    assert brick.told == [("disconnect", "v", "/dev/sdx")]


def test_a_record_of_left_over_disks_that_cannot_be_read_stops_no_detach(driver, connections, brick):  # noqa: F811
    left = driver._disks._shelf._root / f"{UUID}.left-0badcafe"
    left.mkdir()
    (left / "volumes-host-1.json").write_bytes(b"{")

    connections.disconnect(UUID, "v")

    assert brick.told == [("disconnect", "v", "/dev/sdx")]
