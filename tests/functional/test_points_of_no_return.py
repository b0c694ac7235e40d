"""Behind its point of no return an operation keeps what holds the server's data, whatever fails there."""

import pytest
from sqlalchemy import select, update

from nova import errors
from nova.db import instances
from nova.db.models.operations import Operation
from tests.functional.cloud import Killed, wait
from tests.functional.invariants import settle

SETTINGS = """
[conductor]
lease_s = 0.6
poll_interval_s = 0.1
step_pauses_s = 0.01
"""
BROKEN = errors.StepFailed(reason="it broke")


@pytest.fixture
def cloud(make_cloud):
    cloud = make_cloud(SETTINGS)
    cloud.add_host("host-1")
    return cloud


def always_fails(cloud, operation, step):
    """A step that fails however often it is done."""

    def fail():
        cloud.boundary.call_at(operation, step, "done", fail)
        raise BROKEN

    cloud.boundary.call_at(operation, step, "done", fail)


def shelved_image(cloud):
    return next(image for image in cloud.glance.images.values() if image["name"].endswith("-shelved"))


def test_a_shelved_server_keeps_its_image_when_offloading_fails_for_good(cloud, user):
    server = user.create_server()
    always_fails(cloud, "shelve", "release_allocations")

    user.act(server["id"], "shelve")
    settle(cloud, 60)

    assert user.server(server["id"])["status"] == "ERROR"
    assert "it broke" in user.server(server["id"])["fault"]["message"]
    assert shelved_image(cloud)["status"] == "active"
    assert server["id"] not in cloud.guests()


def test_a_shelved_server_stays_on_its_host_while_its_image_is_not_whole(make_cloud):
    cloud = make_cloud(SETTINGS + "[DEFAULT]\nshelved_offload_time = -1\n")
    cloud.add_host("host-1")
    user = cloud.client("admin", "project")
    server = user.create_server()
    user.act(server["id"], "shelve")
    user.wait(server["id"], "SHELVED")
    del cloud.glance.images[shelved_image(cloud)["id"]]

    user.act(server["id"], "shelveOffload")
    settle(cloud, 60)

    assert user.server(server["id"])["status"] == "SHELVED"
    assert server["id"] in cloud.guests()
    assert user.act(server["id"], "unshelve").status_code == 202
    assert user.wait(server["id"], "ACTIVE")


def test_a_shelved_server_whose_record_names_no_image_stays_on_its_host(make_cloud):
    cloud = make_cloud(SETTINGS + "[DEFAULT]\nshelved_offload_time = -1\n")
    cloud.add_host("host-1")
    user = cloud.client("admin", "project")
    server = user.create_server()
    user.act(server["id"], "shelve")
    user.wait(server["id"], "SHELVED")
    cloud.db.write(lambda c: instances.change(c, server["id"], system_metadata={}))

    user.act(server["id"], "shelveOffload")
    settle(cloud, 60)

    assert user.server(server["id"])["status"] == "SHELVED"
    assert server["id"] in cloud.guests()


def test_an_unshelved_server_runs_on_though_its_image_cannot_be_deleted(cloud, user):
    server = user.create_server()
    user.act(server["id"], "shelve")
    user.wait(server["id"], "SHELVED_OFFLOADED")
    always_fails(cloud, "unshelve", "remove_image")

    user.act(server["id"], "unshelve")
    settle(cloud, 60)

    assert user.server(server["id"])["status"] == "ACTIVE"
    assert server["id"] in cloud.guests()


def shown_as_active(cloud, name):
    return [
        image["name"] for image in cloud.glance.images.values() if (image["name"], image["status"]) == (name, "active")
    ]


def when_the_image_is_active(cloud, name, then):
    """Call then() once, between the end of the upload and the host's answer that tells of it."""
    agent = cloud.hosts["host-1"].agent
    give, told = agent._give, []

    def give_later(answer):
        if shown_as_active(cloud, name) and not told:
            told.append(answer)
            then()
        give(answer)

    agent._give = give_later


def test_an_image_that_is_active_survives_the_delete_of_its_server(cloud, user):
    server = user.create_server()
    when_the_image_is_active(cloud, "last", lambda: user.delete(f"/servers/{server['id']}"))

    assert user.act(server["id"], "createImage", {"name": "last"}).status_code == 202
    user.wait_gone(server["id"])
    settle(cloud, 60)

    assert shown_as_active(cloud, "last") == ["last"]


@pytest.mark.parametrize(
    "action, body", [("createImage", {}), ("createBackup", {"backup_type": "daily", "rotation": 1})]
)
def test_an_image_that_is_active_survives_the_loss_of_the_host_that_made_it(cloud, user, action, body):
    server = user.create_server()
    when_the_image_is_active(
        cloud, "last", lambda: cloud.hosts["host-1"].agent.__dict__.update(_give=lambda answer: None)
    )

    assert user.act(server["id"], action, {"name": "last", **body}).status_code == 202
    wait(lambda: shown_as_active(cloud, "last"), "the image is active")
    cloud.stop_host("host-1")
    [service] = [one for one in user.get("/os-services").json()["services"] if one["binary"] == "nova-compute"]
    assert user.put(f"/os-services/{service['id']}", {"forced_down": True}).status_code == 200
    settle(cloud, 60)

    assert shown_as_active(cloud, "last") == ["last"]


def test_a_new_backup_stays_when_old_ones_cannot_be_deleted(cloud, user):
    server = user.create_server()
    always_fails(cloud, "createBackup", "rotate")

    user.act(server["id"], "createBackup", {"name": "night", "backup_type": "daily", "rotation": 1})
    settle(cloud, 60)

    assert [image["status"] for image in cloud.glance.images.values() if image["name"] == "night"] == ["active"]


def test_a_confirmed_resize_cannot_be_reverted_to_a_guest_that_may_be_gone(cloud, user):
    cloud.add_host("host-2")
    server = user.create_server()
    user.act(server["id"], "resize", {"flavorRef": "m1.small"})
    user.wait(server["id"], "VERIFY_RESIZE")
    always_fails(cloud, "confirmResize", "forget_old_guest")

    user.act(server["id"], "confirmResize")
    settle(cloud, 60)

    assert user.server(server["id"])["status"] == "ERROR"
    assert user.act(server["id"], "revertResize").status_code == 409
    assert server["id"] in cloud.guests()


def test_a_delete_takes_over_from_a_step_behind_the_point_that_waits(cloud, user):
    server = user.create_server()
    cloud.hypervisor().hold("destroy")
    user.act(server["id"], "shelve")
    wait(lambda: ("destroy", server["id"]) in cloud.hypervisor().calls, "the guest is being destroyed")

    assert user.delete(f"/servers/{server['id']}").status_code == 204
    cloud.hypervisor().release("destroy")

    user.wait_gone(server["id"])
    assert server["id"] not in cloud.guests()


def dies_at(cloud, operation, step, written):
    """The conductor dies with a step in hand, and another release has written which one it is."""
    table = Operation.__table__

    def die():
        running = update(table).where(table.c.state == "running")
        cloud.db.write(lambda c: c.execute(running.values(step=written)))
        raise Killed

    cloud.boundary.call_at(operation, step, "leased", die)


def test_an_operation_of_an_older_release_goes_on_from_the_index_it_stored(cloud, user):
    dies_at(cloud, "create", "claim_host", written="0")

    assert user.create_server()["status"] == "ACTIVE"


def test_a_step_this_release_does_not_have_waits_for_one_that_has_it_and_then_ends_in_error(cloud, user):
    server = user.create_server()
    dies_at(cloud, "stop", "stop_guest", written="a step of tomorrow")
    user.act(server["id"], "os-stop")
    table = Operation.__table__
    unknown = table.c.step == "a step of tomorrow"
    tries = select(table.c.generation).where(unknown)
    wait(lambda: (cloud.db.read(lambda c: c.scalar(tries)) or 0) > 2, "it was tried")

    assert user.server(server["id"])["OS-EXT-STS:task_state"] == "powering-off"
    cloud.db.write(lambda c: c.execute(update(table).where(unknown).values(deadline_at=table.c.created_at)))
    settle(cloud, 60)

    assert user.server(server["id"])["status"] == "ERROR"
    assert server["id"] in cloud.guests()
