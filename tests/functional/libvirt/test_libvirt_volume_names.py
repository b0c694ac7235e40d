"""A guest that starts after a boot of its host has its own volumes, wherever the host has put them."""

import subprocess
import types
import uuid

import msgspec
import pytest

from nova.structs.guest import Disk
from nova.structs.instance import BlockDevice, PowerState
from nova.virt.libvirt import volumes

IS_NEW = {"driver_volume_type": "iscsi", "data": {"volume_id": "new"}}


class Brick:
    """An os-brick for a host whose kernel deals out the names: where each volume is now."""

    def __init__(self):
        self.places = {}

    def connect_volume(self, data):
        return {"path": self.places[data["volume_id"]]}

    def disconnect_volume(self, data, device):
        pass


@pytest.fixture
def brick(monkeypatch):
    brick = Brick()
    connector = types.SimpleNamespace(factory=lambda *args, **kwargs: brick)
    monkeypatch.setattr(volumes, "_brick", lambda: types.SimpleNamespace(InitiatorConnector=connector))
    return brick


@pytest.fixture
def devices(tmp_path):
    """Two devices of the host."""
    paths = []
    for name in ("one", "two"):
        (tmp_path / name).write_bytes(b"\0" * (1 << 20))
        command = ["losetup", "--find", "--show", tmp_path / name]
        paths.append(subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip())
    yield paths
    for path in paths:
        subprocess.run(["losetup", "--detach", path], check=True)


@pytest.fixture
def volume():
    volume_id = str(uuid.uuid4())
    info = {"driver_volume_type": "iscsi", "data": {"volume_id": volume_id}}
    device = BlockDevice(
        id=str(uuid.uuid4()), source="volume", destination="volume", volume_id=volume_id, connection_info=info
    )
    return Disk(kind="volume", device_name="vdb", volume=device)


@pytest.fixture
def guest(driver, make_spec, brick, devices, volume, wait_for_output):
    brick.places[volume.volume.volume_id] = devices[0]
    spec = make_spec()
    spec = msgspec.structs.replace(spec, disks=(*spec.disks, volume))
    driver.create(spec)
    wait_for_output(spec.uuid, "guest is up")
    return spec


def opened(host, spec, *options):
    shown = dict(line.split(maxsplit=1) for line in host.virsh("domblklist", spec.uuid, *options).splitlines())
    return shown.get("vdb")


@pytest.mark.parametrize("state", [PowerState.SHUTDOWN, PowerState.SUSPENDED])
def test_a_guest_goes_on_with_its_volume_under_the_name_it_has_now(driver, host, guest, brick, devices, volume, state):
    driver.set_power(guest.uuid, state)
    brick.places[volume.volume.volume_id] = devices[1]

    driver.renew_volumes(guest.uuid, (volume,))
    driver.set_power(guest.uuid, PowerState.RUNNING)

    assert opened(host, guest) == opened(host, guest, "--inactive") == devices[1]


def test_a_build_that_goes_on_starts_the_guest_on_the_name_of_now(driver, host, guest, brick, devices, volume):
    driver.set_power(guest.uuid, PowerState.SHUTDOWN)
    brick.places[volume.volume.volume_id] = devices[1]

    driver.create(guest)

    assert opened(host, guest) == devices[1]


def test_a_suspended_guest_has_the_volume_that_took_another_s_place(driver, host, guest, brick, devices, volume):
    device = msgspec.structs.replace(volume.volume, volume_id="new", connection_info=IS_NEW)
    new = msgspec.structs.replace(volume, volume=device)
    brick.places["new"] = devices[1]
    driver.swap_volume(guest.uuid, volume, new)
    driver.set_power(guest.uuid, PowerState.SUSPENDED)
    brick.places["new"] = devices[0]

    driver.renew_volumes(guest.uuid, (new,))
    driver.set_power(guest.uuid, PowerState.RUNNING)

    assert opened(host, guest) == opened(host, guest, "--inactive") == devices[0]


def test_a_running_guest_is_left_alone(driver, host, guest, brick, devices, volume):
    brick.places[volume.volume.volume_id] = devices[1]

    driver.renew_volumes(guest.uuid, (volume,))

    assert opened(host, guest) == opened(host, guest, "--inactive") == devices[0]


def test_a_guest_starts_without_a_volume_that_its_server_has_no_more(driver, host, guest):
    driver.set_power(guest.uuid, PowerState.SHUTDOWN)

    driver.renew_volumes(guest.uuid, ())
    driver.set_power(guest.uuid, PowerState.RUNNING)

    assert opened(host, guest) is None
