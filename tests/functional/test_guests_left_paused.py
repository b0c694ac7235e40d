"""A guest is started paused until its ports are plugged; a nova-compute that dies meanwhile does not leave it so."""

import dataclasses
import threading

import msgspec
import pytest

from nova.compute.starting import Starting
from nova.compute.steps import power
from nova.structs.guest import RebootKind
from nova.structs.instance import PowerState
from nova.structs.network import Vif
from nova.structs.steps import RebootArguments
from tests.functional.cloud import wait
from tests.functional.invariants import settle
from tests.functional.network.test_plugging import Ports, plugging

VIF = Vif(port_id="port", network_id="network", network_label="private", mac="fa:16:3e:00:00:01", vif_type="ovs")


@pytest.fixture
def state_path(tmp_path):
    path = tmp_path / "state"
    path.mkdir()
    return path


@pytest.fixture
def cloud(make_cloud, state_path):
    cloud = make_cloud(f"[DEFAULT]\nstate_path = {state_path}\n")
    cloud.add_host()
    return cloud


@pytest.fixture
def guest(cloud):
    """The guest of an ACTIVE server."""
    return cloud.hypervisor("host-1").guests[cloud.client().create_server()["id"]]


def die_while_it_waits(cloud, state_path, guest):
    """nova-compute ends after it has started the guest paused, as far as the next one can see."""
    cloud.stop_host("host-1")
    Starting(str(state_path)).paused(guest.spec.uuid).__enter__()
    guest.power_state = PowerState.PAUSED


def calls_of_power(cloud):
    return [uuid for method, uuid in cloud.hypervisor("host-1").calls if method == "set_power"]


def forgotten(state_path):
    wait(lambda: not Starting(str(state_path)).left, "nothing is left to be looked at")


def test_a_guest_that_was_left_paused_runs_when_nova_compute_is_back(cloud, state_path, guest):
    die_while_it_waits(cloud, state_path, guest)

    cloud.start_host("host-1")

    forgotten(state_path)
    assert guest.power_state is PowerState.RUNNING


def test_a_guest_that_somebody_else_has_paused_stays_so(cloud, state_path, guest):
    cloud.stop_host("host-1")
    guest.power_state = PowerState.PAUSED

    cloud.start_host("host-1")
    wait(lambda: cloud.client().server(guest.spec.uuid)["OS-EXT-STS:power_state"] == 3, "the power state is known")

    assert calls_of_power(cloud) == []


def test_a_guest_that_the_hypervisor_has_paused_for_an_error_stays_so(cloud, state_path, guest):
    die_while_it_waits(cloud, state_path, guest)
    guest.is_halted = True

    cloud.start_host("host-1")

    forgotten(state_path)
    assert guest.power_state is PowerState.PAUSED
    assert calls_of_power(cloud) == []


def test_a_guest_whose_user_has_paused_the_server_stays_so(cloud, state_path, guest):
    cloud.client().post(f"/servers/{guest.spec.uuid}/action", {"pause": None})
    cloud.client().wait(guest.spec.uuid, "PAUSED")
    before = calls_of_power(cloud)
    die_while_it_waits(cloud, state_path, guest)

    cloud.start_host("host-1")

    forgotten(state_path)
    assert guest.power_state is PowerState.PAUSED
    assert calls_of_power(cloud) == before


def test_a_guest_that_an_operation_has_in_hand_is_left_to_it(cloud, state_path, guest):
    user, hypervisor = cloud.client(), cloud.hypervisor("host-1")
    hypervisor.hold("set_power")
    user.post(f"/servers/{guest.spec.uuid}/action", {"pause": None})
    wait(lambda: calls_of_power(cloud), "the pause has begun")
    cloud.hosts["host-1"].agent._hosts[cloud.hypervisor("host-1").name].starting.left.add(guest.spec.uuid)
    guest.power_state = PowerState.PAUSED

    cloud.beat()
    hypervisor.release("set_power")
    user.wait(guest.spec.uuid, "PAUSED")
    settle(cloud)

    forgotten(state_path)
    assert guest.power_state is PowerState.PAUSED
    assert len(calls_of_power(cloud)) == 1


def test_a_hard_reboot_leaves_word_of_the_guest_for_as_long_as_it_is_paused(cloud, state_path, guest):
    ports = Ports("DOWN")
    host = next(iter(cloud.hosts["host-1"].agent._hosts.values()))
    host = dataclasses.replace(host, plugging=plugging(ports))
    [instance] = cloud.conductor_calls.instances_on(host.name)
    arguments = RebootArguments(instance=msgspec.structs.replace(instance, vifs=(VIF,)), kind=RebootKind.HARD)
    reboot = threading.Thread(target=power.reboot, args=(host, arguments))

    reboot.start()
    wait(lambda: guest.power_state is PowerState.PAUSED, "the guest waits for its ports")
    assert Starting(str(state_path)).left == {guest.spec.uuid}
    ports.plug()
    host.plugging.told(guest.spec.uuid)
    reboot.join(90)

    assert guest.power_state is PowerState.RUNNING
    assert Starting(str(state_path)).left == set()
