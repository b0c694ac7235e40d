"""Volumes of servers that move, beside a real Cinder: in use, once, by the host where the server is."""

import pytest

from nova import errors
from nova.conductor.workflows import WORKFLOWS
from tests.functional.invariants import leftovers, settle

SETTINGS = """
[DEFAULT]
shelved_offload_time = 0
[conductor]
lease_s = 0.6
poll_interval_s = 0.1
step_pauses_s = 0.01, 0.1
"""
HOSTS = ("host-1", "host-2", "host-3")


@pytest.fixture
def cloud(make_cloud, real_cinder):
    cloud = make_cloud(SETTINGS)
    cloud.stand_beside(cinder=real_cinder)
    for name in HOSTS:
        cloud.add_host(name)
    yield cloud
    settle(cloud)
    assert leftovers(cloud) == []


@pytest.fixture
def user(cloud):
    return cloud.client("admin", "project")


def attach(user, server_id, volume_id):
    body = {"volumeAttachment": {"volumeId": volume_id}}
    answer = user.post(f"/servers/{server_id}/os-volume_attachments", body)
    assert answer.status_code == 202, answer.text
    settle(user.cloud)


class Plain:
    """A server with a disk of its own and a volume beside it."""

    def __init__(self, cloud, user):
        self.volume = cloud.cinder.add()
        self.server = user.create_server()["id"]
        cloud.write(self.server)
        attach(user, self.server, self.volume)


class BootedFromVolume:
    def __init__(self, cloud, user):
        self.volume = cloud.cinder.add(bootable=True)
        root = {"boot_index": 0, "source_type": "volume", "destination_type": "volume", "uuid": self.volume}
        wanted = user.wanted(block_device_mapping_v2=[root])
        del wanted["imageRef"]
        answer = user.post("/servers", {"server": wanted})
        assert answer.status_code == 202, answer.text
        self.server = user.wait(answer.json()["server"]["id"], "ACTIVE")["id"]


class Sharing(Plain):
    """A server that shares its volume with another, which stays where it is."""

    def __init__(self, cloud, user):
        self.volume = cloud.cinder.add(multiattach=True)
        self.server = user.create_server()["id"]
        self.other = user.create_server()["id"]
        for server_id in (self.server, self.other):
            attach(user, server_id, self.volume)


KINDS = pytest.mark.parametrize("kind", [Plain, BootedFromVolume, Sharing])


def live_migrate(cloud, user, server_id):
    return user.act(server_id, "os-migrateLive", {"host": None, "block_migration": "auto"})


def evacuate(cloud, user, server_id):
    cloud.stop_host(name := host_of(cloud, server_id))
    force_down(cloud, user, name)
    return user.act(server_id, "evacuate", {})


def force_down(cloud, user, name, is_down=True):
    host = cloud.hypervisor(name).name
    [service] = [one for one in user.get("/os-services").json()["services"] if one["host"] == host]
    assert user.put(f"/os-services/{service['id']}", {"forced_down": is_down}).status_code == 200


def migrate(cloud, user, server_id):
    return user.act(server_id, "migrate")


def resize(cloud, user, server_id):
    return user.act(server_id, "resize", {"flavorRef": "m1.small"})


def then(first, status, name):
    """A move of two operations."""

    def both(cloud, user, server_id):
        assert first(cloud, user, server_id).status_code == 202
        user.wait(server_id, status)
        check_in_use(cloud, user, server_id)
        return user.act(server_id, name)

    return both


def shelve(cloud, user, server_id):
    return user.act(server_id, "shelve")


def unshelve(cloud, user, server_id):
    assert shelve(cloud, user, server_id).status_code == 202
    user.wait(server_id, "SHELVED_OFFLOADED")
    assert cloud.cinder.of(server_id) != []
    return user.act(server_id, "unshelve")


MOVES = {
    "live migration": (live_migrate, "ACTIVE"),
    "migrate and confirm": (then(migrate, "VERIFY_RESIZE", "confirmResize"), "ACTIVE"),
    "migrate and revert": (then(migrate, "VERIFY_RESIZE", "revertResize"), "ACTIVE"),
    "resize and confirm": (then(resize, "VERIFY_RESIZE", "confirmResize"), "ACTIVE"),
    "resize and revert": (then(resize, "VERIFY_RESIZE", "revertResize"), "ACTIVE"),
    "evacuate": (evacuate, "SHUTOFF"),
    "unshelve": (unshelve, "ACTIVE"),
}


def host_of(cloud, server_id):
    return next(name for name in cloud.hosts if server_id in cloud.hypervisor(name).guests)


def volumes_of(user, server_id):
    return [
        one["volumeId"] for one in user.get(f"/servers/{server_id}/os-volume_attachments").json()["volumeAttachments"]
    ]


def check_in_use(cloud, user, server_id):
    """Each volume of a server is in use, and attached to it once, where it is."""
    host = user.server(server_id)["OS-EXT-SRV-ATTR:host"]
    for volume_id in volumes_of(user, server_id):
        assert cloud.cinder.volume(volume_id)["status"] == "in-use"
        places = [place for place in cloud.cinder.places(volume_id) if place[0] == server_id]
        assert places == [(server_id, host)]
        records = [one for one in cloud.cinder.attachments.values() if one["volume_id"] == volume_id]
        assert len([one for one in records if one["instance"] == server_id]) == 1


def check_free_when_deleted(cloud, user, *server_ids):
    volumes = {volume_id for server_id in server_ids for volume_id in volumes_of(user, server_id)}
    for server_id in server_ids:
        user.delete(f"/servers/{server_id}")
        user.wait_gone(server_id)
    assert volumes != set()
    for volume_id in volumes:
        assert cloud.cinder.volume(volume_id)["status"] == "available"
        assert cloud.cinder.places(volume_id) == []


@KINDS
@pytest.mark.parametrize("name", MOVES)
def test_a_volume_follows_its_server(cloud, user, name, kind):
    made = kind(cloud, user)
    move, end = MOVES[name]
    before = host_of(cloud, made.server)

    answer = move(cloud, user, made.server)
    assert answer.status_code in (200, 202, 204), answer.text
    user.wait(made.server, end)

    if name != "unshelve":
        assert (host_of(cloud, made.server) == before) == name.endswith("revert")
    check_in_use(cloud, user, made.server)
    others = [made.other] if kind is Sharing else []
    for other in others:
        check_in_use(cloud, user, other)
    check_free_when_deleted(cloud, user, made.server, *others)


def steps_of(*names):
    for name in names:
        for step in WORKFLOWS[name].steps:
            yield pytest.param(name, step, id=f"{name}-{step.name}")


BEGUN_BY = {
    "live-migration": live_migrate,
    "resize": resize,
    "revertResize": MOVES["resize and revert"][0],
    "evacuate": evacuate,
    "unshelve": unshelve,
}


@pytest.mark.parametrize("operation, step", steps_of(*BEGUN_BY))
def test_a_move_that_fails_leaves_a_volume_to_the_host_where_the_server_is(cloud, user, operation, step):
    made = Plain(cloud, user)
    cloud.boundary.raise_at(operation, step.name, "done", errors.StepFailed(reason="it broke"))

    answer = BEGUN_BY[operation](cloud, user, made.server)
    assert answer.status_code in (200, 202), answer.text
    settle(cloud)

    server = user.server(made.server)
    assert server["OS-EXT-STS:task_state"] is None
    if server["status"] == "SHELVED_OFFLOADED":
        assert cloud.cinder.volume(made.volume)["status"] == "reserved"
        assert [one["status"] for one in cloud.cinder.attachments.values()] == ["reserved"]
    else:
        check_in_use(cloud, user, made.server)
    check_free_when_deleted(cloud, user, made.server)


def test_a_volume_is_taken_from_a_server_that_has_no_host(cloud, user):
    made = Plain(cloud, user)
    assert shelve(cloud, user, made.server).status_code == 202
    user.wait(made.server, "SHELVED_OFFLOADED")

    answer = user.delete(f"/servers/{made.server}/os-volume_attachments/{made.volume}")
    assert answer.status_code == 202, answer.text
    settle(cloud)

    assert cloud.cinder.volume(made.volume)["status"] == "available"
    assert volumes_of(user, made.server) == []


@pytest.mark.parametrize("then", ["detach", "unshelve", "delete"])
def test_a_volume_that_an_offloaded_server_gets_is_in_use_at_once(cloud, user, then):
    server = user.create_server()["id"]
    cloud.write(server)
    assert shelve(cloud, user, server).status_code == 202
    user.wait(server, "SHELVED_OFFLOADED")
    volume = cloud.cinder.add()

    attach(user, server, volume)

    shown = cloud.cinder.volume(volume)
    assert (shown["status"], [each["server_id"] for each in shown["attachments"]]) == ("in-use", [server])
    if then == "detach":
        assert user.delete(f"/servers/{server}/os-volume_attachments/{volume}").status_code == 202
        settle(cloud)
        assert cloud.cinder.volume(volume)["status"] == "available"
        assert volumes_of(user, server) == []
    elif then == "unshelve":
        assert user.act(server, "unshelve").status_code == 202
        user.wait(server, "ACTIVE")
        settle(cloud)
        check_in_use(cloud, user, server)
        check_free_when_deleted(cloud, user, server)
    else:
        check_free_when_deleted(cloud, user, server)


@pytest.mark.parametrize("state", ["SHUTOFF", "SHELVED_OFFLOADED"])
def test_the_volume_that_a_server_boots_from_stays(cloud, user, state):
    made = BootedFromVolume(cloud, user)
    assert user.act(made.server, {"SHUTOFF": "os-stop", "SHELVED_OFFLOADED": "shelve"}[state]).status_code in (200, 202)
    user.wait(made.server, state)
    settle(cloud)
    before = cloud.cinder.volume(made.volume)["status"]

    answer = user.delete(f"/servers/{made.server}/os-volume_attachments/{made.volume}")
    settle(cloud)

    assert (answer.status_code, "root device" in answer.text) == (403, True)
    assert cloud.cinder.volume(made.volume)["status"] == before
    assert volumes_of(user, made.server) == [made.volume]


def after_failures(cloud, number, step, function):
    """Call function when a step of a live migration has failed that many times and waits for its next try."""
    then = function if number == 1 else lambda: after_failures(cloud, number - 1, step, function)
    cloud.boundary.call_at("live-migration", step, "put off", then)


def test_a_move_waits_for_a_volume_that_is_being_extended(cloud, user):
    made = Plain(cloud, user)
    before = host_of(cloud, made.server)
    cloud.cinder.set_status(made.volume, "extending")
    after_failures(cloud, 2, "connect_destination", lambda: cloud.cinder.set_status(made.volume, "in-use"))

    assert live_migrate(cloud, user, made.server).status_code == 202
    user.wait(made.server, "ACTIVE")

    assert host_of(cloud, made.server) != before
    check_in_use(cloud, user, made.server)
