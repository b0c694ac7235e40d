"""A resize is confirmed, or reverted, only onto disks that are there: neither removes the only copy there is."""

import datetime

import msgspec
import pytest

from nova.conductor.reconcilers import waiting
from nova.conductor.workflows import revert_resize
from nova.db import instances
from tests.functional.actions.history import history
from tests.functional.invariants import settle
from tests.functional.operation_set_ups import a_server_with_a_volume
from tests.functional.silence import (
    SETTINGS,
    answers_again,
    falls_silent,
    force_down,
    is_forced_down,
    name_of_host,
)

HOSTS = ("host-1", "host-2")
LONG_AGO = datetime.datetime(2020, 1, 1)


@pytest.fixture
def cloud(make_cloud):
    return make_cloud(SETTINGS.replace("[DEFAULT]", "[DEFAULT]\nresize_confirm_window = 3600"), HOSTS)


def resized(user, server_id=None):
    """A server that has written since its resize, the host that it came from, and the one that it is on."""
    cloud = user.cloud
    server_id = server_id or user.create_server()["id"]
    cloud.write(server_id, "before")
    source = name_of_host(cloud, server_id)
    assert user.act(server_id, "resize", {"flavorRef": "m1.small"}).status_code == 202
    user.wait(server_id, "VERIFY_RESIZE")
    cloud.write(server_id, "since")
    return server_id, source, name_of_host(cloud, server_id)


def aside(cloud, name, server_id):
    return cloud.hypervisor(name).shelf.content(f"{server_id}.aside")


def loses_what_is_aside(hypervisor, server_id):
    hypervisor.shelf.remove(f"{server_id}.aside")


def is_reinstalled(hypervisor, server_id):
    hypervisor.lose()


@pytest.mark.parametrize("loses", [loses_what_is_aside, is_reinstalled])
def test_a_revert_to_what_is_not_there_leaves_the_server_as_it_is(cloud, user, loses):
    server_id, source, destination = resized(user)
    loses(cloud.hypervisor(source), server_id)

    assert user.act(server_id, "revertResize").status_code == 202
    settle(cloud)

    assert user.server(server_id)["status"] == "VERIFY_RESIZE"
    assert cloud.hypervisor(destination).shelf.content(server_id) == "since"
    assert history(cloud, server_id)[0] == ("revertResize", "failed")
    assert user.act(server_id, "confirmResize").status_code == 204
    user.wait(server_id, "ACTIVE")


def test_so_it_does_on_one_host(make_cloud):
    cloud = make_cloud(SETTINGS.replace("[DEFAULT]", "[DEFAULT]\nallow_resize_to_same_host = true"), HOSTS[:1])
    user = cloud.client("admin", "project")
    server_id, only, _ = resized(user)
    loses_what_is_aside(cloud.hypervisor(only), server_id)

    assert user.act(server_id, "revertResize").status_code == 202
    settle(cloud)

    assert user.server(server_id)["status"] == "VERIFY_RESIZE"
    assert cloud.hypervisor(only).shelf.content(server_id) == "since"


def windows_end(cloud, server_id):
    """The time to confirm is over, and the conductor looks; a second conductor does, too."""
    for _ in range(2):
        server = cloud.db.read(lambda c: instances.get(c, server_id))
        before = msgspec.structs.replace(server.properties.resized_from, resized_at=LONG_AGO)
        properties = msgspec.structs.replace(server.properties, resized_from=before)
        cloud.db.write(lambda c, properties=properties: instances.change(c, server_id, properties=properties))
        waiting.reconcile(cloud.conductors[0].core)
        settle(cloud)


def is_due(cloud, server_id):
    cloud.db.write(lambda c: instances.set_state_since(c, server_id, instances.VmState.RESIZED, LONG_AGO))


def test_nothing_is_confirmed_while_the_host_of_the_server_is_away(cloud, user):
    server_id, source, destination = resized(user)
    cloud.stop_host(destination)
    cloud.hypervisor(destination).lose()
    force_down(cloud, user, destination)

    is_due(cloud, server_id)
    windows_end(cloud, server_id)
    answer = user.act(server_id, "confirmResize")

    assert answer.status_code == 409
    assert "does not answer" in answer.text
    assert history(cloud, server_id)[0] == ("resize", "succeeded")
    assert aside(cloud, source, server_id) == "before"
    assert user.act(server_id, "revertResize").status_code == 202
    user.wait(server_id, "ACTIVE")
    assert cloud.hypervisor(source).shelf.content(server_id) == "before"


def test_nothing_is_confirmed_to_a_host_that_has_lost_the_disks(cloud, user):
    server_id, source, destination = resized(user)
    cloud.hypervisor(destination).shelf.directories[server_id].content = None

    is_due(cloud, server_id)
    windows_end(cloud, server_id)

    assert user.server(server_id)["status"] == "VERIFY_RESIZE"
    assert aside(cloud, source, server_id) == "before"
    # It is tried again when another window has passed, not every few seconds.
    assert [name for name, _ in history(cloud, server_id)].count("confirmResize") == 1


@pytest.mark.parametrize("release", ["this", "older"])
def test_a_reverted_server_is_defined_with_its_own_hosts_way_to_its_volumes(cloud, user, monkeypatch, release):
    if release == "older":
        monkeypatch.setattr(revert_resize.hosts, "offers", lambda connection, host, ability: False)
    server_id, source, _ = resized(user, a_server_with_a_volume(user))
    [driver] = [host.driver for host in cloud.hosts[source].agent._hosts.values()]
    ways, real = [], driver.bring_back

    def bring_back(spec):
        real(spec)
        ways.append([disk.volume.connection_info["data"]["host"] for disk in spec.disks if disk.volume])

    driver.bring_back = bring_back
    assert user.act(server_id, "revertResize").status_code == 202
    user.wait(server_id, "ACTIVE")

    own = cloud.hypervisor(source).name
    assert ways == ([[own]] if release == "this" else [[], [own]])
    [volume] = [disk.volume for disk in cloud.hypervisor(source).guests[server_id].spec.disks if disk.volume]
    assert volume.connection_info["data"]["host"] == own
    assert cloud.hypervisor(source).shelf.content(server_id) == "before"


@pytest.mark.parametrize("decide", [answers_again, is_forced_down])
def test_a_revert_that_turns_back_on_shared_storage_leaves_the_server_its_disk(cloud, user, decide):
    cloud.hypervisor("host-2").shelf = shelf = cloud.hypervisor("host-1").shelf
    server_id, _, destination = resized(user, a_server_with_a_volume(user))
    cloud.boundary.call_at("revertResize", "bring_back_elsewhere", "ordered", lambda: falls_silent(cloud, destination))

    assert user.act(server_id, "revertResize").status_code == 202
    settle(cloud)

    assert user.server(server_id)["status"] == "VERIFY_RESIZE"
    assert shelf.content(server_id) == "since"
    decide(cloud, user, destination)
    assert user.act(server_id, "revertResize").status_code == 202
    user.wait(server_id, "ACTIVE")
    assert shelf.content(server_id) == "before"
