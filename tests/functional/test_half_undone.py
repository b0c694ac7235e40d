"""An operation that waits half undone, for a host that is silent: others leave it alone, and a delete finds what it has made."""

import copy
import threading

import pytest

from nova import errors
from nova.db import host_identity, instances, open_operations
from nova.structs.instance import PowerState
from tests.functional import silence
from tests.functional.cloud import wait
from tests.functional.invariants import leftovers, settle
from tests.functional.operation_set_ups import (
    a_server_with_a_volume,
    a_shelved_server,
    an_active_server,
    attaches_a_volume,
    swaps_a_volume,
)

NETWORK = "http://network"


@pytest.fixture
def cloud(make_cloud, request):
    return make_cloud(silence.SETTINGS + getattr(request, "param", ""), silence.HOSTS)


def record(cloud, server_id):
    return cloud.db.read(lambda c: instances.get(c, server_id))


def falls_silent_at(cloud, operation, step):
    """The host falls silent when it is sent the step, and before it has done it; its name comes into the list."""
    gone = []

    def goes():
        [waiting] = cloud.db.read(open_operations.find)
        gone.append(next(name for name in cloud.hosts if cloud.hypervisor(name).name == waiting.waiting_host))
        silence.falls_silent(cloud, gone[0])

    # Whether it does it nevertheless, nobody hears.
    silence.answers_are_lost(cloud, operation, step)
    cloud.boundary.call_at(operation, step, "ordered", goes)
    return gone


def waits(cloud, user, server_id, gone, undo):
    wait(lambda: gone, "the host falls silent")
    cloud.calm()
    silence.waits_for(cloud, user, server_id, undo)
    return gone[0]


def resets(user, server_id):
    assert user.act(server_id, "os-resetState", {"state": "error"}).status_code == 202


def deletes_for_a_while(user, server_id):
    assert user.delete(f"/servers/{server_id}").status_code == 204


@pytest.mark.parametrize("cloud", ["\n[DEFAULT]\nreclaim_instance_interval = 3600\n"], indirect=True, ids=[""])
@pytest.mark.parametrize("interferes", [resets, deletes_for_a_while])
def test_the_only_disk_of_an_evacuated_server_outlives_who_interferes(cloud, user, interferes):
    first = cloud.hypervisor(silence.HOSTS[0])
    for name in silence.HOSTS[1:]:
        cloud.hypervisor(name).shelf = first.shelf
    server_id = an_active_server(user)
    cloud.write(server_id, "first")
    source = silence.name_of_host(cloud, server_id)
    cloud.stop_host(source)
    cloud.hypervisor(source).guests.pop(server_id)
    silence.force_down(cloud, user, source)
    gone = falls_silent_at(cloud, "evacuate", "spawn")
    assert user.act(server_id, "evacuate", {}).status_code == 200
    name = waits(cloud, user, server_id, gone, "destroy")

    interferes(user, server_id)
    silence.force_down(cloud, user, name)
    settle(cloud)
    assert user.act(server_id, "evacuate", {}).status_code == 200
    settle(cloud)
    cloud.reap()

    assert record(cloud, server_id).host not in {cloud.hypervisor(one).name for one in (source, name)}
    assert first.shelf.content(server_id) == "first"


def test_a_server_that_was_never_unshelved_is_shelved_whatever_is_said_of_it(cloud, user):
    server_id = a_shelved_server(user)
    gone = falls_silent_at(cloud, "unshelve", "start_guest")
    assert user.act(server_id, "unshelve").status_code == 202
    name = waits(cloud, user, server_id, gone, "remove_guest")
    image = record(cloud, server_id).system_metadata["shelved_image_id"]

    resets(user, server_id)
    silence.answers_again(cloud, user, name)
    settle(cloud)

    assert record(cloud, server_id).system_metadata["shelved_image_id"] == image
    assert image in cloud.glance.images
    assert record(cloud, server_id).host is None


def test_a_deleted_server_that_was_being_unshelved_leaves_no_image(cloud, user):
    server_id = a_shelved_server(user)
    gone = falls_silent_at(cloud, "unshelve", "start_guest")
    assert user.act(server_id, "unshelve").status_code == 202
    name = waits(cloud, user, server_id, gone, "remove_guest")

    user.delete(f"/servers/{server_id}")
    user.wait_gone(server_id)
    silence.answers_again(cloud, user, name)
    settle(cloud)

    assert len(cloud.glance.images) == 1


def test_a_server_keeps_its_volume_when_a_swap_that_waits_is_interfered_with(cloud, user):
    server_id = a_server_with_a_volume(user)
    before = record(cloud, server_id).block_devices
    gone = falls_silent_at(cloud, "swap_volume", "swap")
    assert swaps_a_volume(user, server_id).status_code == 202
    name = waits(cloud, user, server_id, gone, "swap_back")

    resets(user, server_id)
    silence.answers_again(cloud, user, name)
    settle(cloud)

    assert record(cloud, server_id).block_devices == before


def test_an_attachment_that_waits_is_undone_whatever_is_said_of_its_server(cloud, user):
    server_id = an_active_server(user)
    gone = falls_silent_at(cloud, "attach_volume", "plug_in")
    assert attaches_a_volume(user, server_id).status_code == 202
    name = waits(cloud, user, server_id, gone, "unplug")

    resets(user, server_id)
    silence.answers_again(cloud, user, name)
    settle(cloud)

    assert record(cloud, server_id).block_devices == ()
    assert silence.statuses(cloud) == ["available"]


@pytest.fixture
def attaching(cloud, user):
    """A server that is getting its user's own port on a host that is silent: server, host, port."""
    server_id = an_active_server(user)
    name = silence.name_of_host(cloud, server_id)
    network = user.get("/v2.0/networks", url=NETWORK).json()["networks"][0]["id"]
    port = user.post("/v2.0/ports", {"port": {"network_id": network}}, url=NETWORK).json()["port"]
    silence.answers_are_lost(cloud, "attach_interface", "plug")
    body = {"interfaceAttachment": {"port_id": port["id"]}}
    asking = threading.Thread(target=user.post, args=(f"/servers/{server_id}/os-interface", body))
    asking.start()
    silence.falls_silent_with(cloud, name, lambda: ("attach_vif", server_id) in cloud.hypervisor(name).calls)
    silence.waits_for(cloud, user, server_id, "unplug")
    yield server_id, name, port["id"]
    asking.join()


def test_a_port_of_its_user_outlives_the_server_that_was_getting_it(cloud, user, attaching):
    server_id, _, port_id = attaching

    user.delete(f"/servers/{server_id}")
    user.wait_gone(server_id)
    settle(cloud)

    [port] = [one for one in user.get("/v2.0/ports", url=NETWORK).json()["ports"] if one["id"] == port_id]
    assert port["device_id"] == ""


def test_a_host_that_is_waited_for_keeps_its_name(cloud, user, attaching):
    server_id, name, _ = attaching
    silence.force_down(cloud, user, name, is_down=False)
    [before] = [one for one in cloud.db.read(open_operations.find) if one.instance_uuid == server_id]

    with pytest.raises(errors.Conflict):
        cloud.db.write(lambda c: host_identity.rename(c, cloud.hypervisor(name).name, "another", None))

    assert cloud.db.read(lambda c: open_operations.get(c, before.uuid)).waiting_host == cloud.hypervisor(name).name
    silence.answers_again(cloud, user, name)


def test_what_another_host_may_have_is_taken_from_its_guest_first(cloud, user):
    """A live migration was given up, and a guest is left where it was going; that host falls silent in the delete."""
    server_id = a_server_with_a_volume(user)
    source = silence.name_of_host(cloud, server_id)
    other = next(name for name in silence.HOSTS if name != source)
    cloud.hypervisor(other).fail("prepare_destination", times=50)
    body = {"host": cloud.hypervisor(other).name, "block_migration": "auto"}
    assert user.act(server_id, "os-migrateLive", body).status_code == 202
    settle(cloud)
    cloud.hypervisor(other).mend()
    cloud.hypervisor(other).guests[server_id] = copy.copy(cloud.hypervisor(source).guests[server_id])
    gone = falls_silent_at(cloud, "delete", "clean_other_host")

    user.delete(f"/servers/{server_id}")
    user.wait_gone(server_id)
    assert gone == [other]
    assert silence.statuses(cloud) == ["in-use"]
    cloud.calm()
    free_with_guest = []
    released = cloud.boundary.call_at
    released(
        "delete", "remove_held_storage", "done", lambda: free_with_guest.extend(silence.guests_of(cloud, server_id))
    )
    silence.answers_again(cloud, user, other)
    settle(cloud)

    assert silence.statuses(cloud) == ["available"]
    assert free_with_guest == []
    assert leftovers(cloud) == []


class Refusing:
    """Ports of which the Networking service does not tell whether they are plugged."""

    def is_waited_for(self, vifs):
        return True

    def told(self, instance_id):
        """Nothing is waited for."""

    def wait(self, instance_id, vifs):
        raise errors.PortsNotPlugged()


def test_a_hard_reboot_leaves_no_guest_paused(cloud, user):
    server_id = an_active_server(user)
    name = silence.name_of_host(cloud, server_id)
    for host in cloud.hosts[name].agent._hosts.values():
        object.__setattr__(host, "plugging", Refusing())

    assert user.act(server_id, "reboot", {"type": "HARD"}).status_code == 202
    settle(cloud)

    assert user.server(server_id)["status"] == "ACTIVE"
    assert cloud.hypervisor(name).guests[server_id].power_state is PowerState.RUNNING
