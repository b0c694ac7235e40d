"""What is told of a cloud over its bus: what, when, by whom, and that nothing is lost."""

import pytest

from nova import errors
from nova.conductor.workflows import WORKFLOWS
from nova.conf import BadConfiguration
from nova.notifications import table
from tests.functional.invariants import settle
from tests.functional.listening import TELLS, Listener, data

SHORT_LEASE = "\n[conductor]\nlease_s = 0.6\npoll_interval_s = 0.1\n"


@pytest.fixture
def listen():
    """Listeners to clouds' notifications; they are stopped at the end."""
    listeners = []

    def start(cloud, **options):
        listeners.append(Listener(cloud, **options))
        return listeners[-1]

    yield start
    for listener in listeners:
        listener.stop()


@pytest.fixture
def telling(make_cloud):
    def make(settings=""):
        cloud = make_cloud(TELLS + settings)
        for name in ("host-1", "host-2"):
            cloud.add_host(name)
        return cloud

    return make


@pytest.mark.parametrize("operation", WORKFLOWS)
def test_what_is_told_of_an_operation_are_moments_it_has(operation):
    steps = WORKFLOWS[operation].steps
    has = {"start", "end", "error", "unwinds"}
    has |= {f"{what} {step.name}" for what in ("begins", "done") for step in steps}
    has |= {f"undone {step.undo.__name__}" for step in steps}

    assert set(table.OPERATIONS[operation]) <= has


def test_a_servers_life_is_told_in_order(telling, listen):
    cloud = telling()
    listener, user = listen(cloud), cloud.client()

    server_id = user.create_server()["id"]
    user.act(server_id, "resize", {"flavorRef": "m1.small"})
    user.wait(server_id, "VERIFY_RESIZE")
    user.act(server_id, "confirmResize")
    user.wait(server_id, "ACTIVE")
    user.delete(f"/servers/{server_id}")
    listener.wait_for("instance.delete.end")

    assert [name for name in listener.types("instance.") if name != "instance.exists"] == [
        "instance.create.start",
        "instance.create.end",
        "instance.resize_prep.start",
        "instance.resize_prep.end",
        "instance.resize.start",
        "instance.resize.end",
        "instance.resize_finish.start",
        "instance.resize_finish.end",
        "instance.resize_confirm.start",
        "instance.resize_confirm.end",
        "instance.delete.start",
        "instance.shutdown.start",
        "instance.shutdown.end",
        "instance.delete.end",
    ]
    prepared = data(listener.wait_for("instance.resize_prep.start"))
    assert (data(prepared["flavor"])["name"], data(prepared["new_flavor"])["name"]) == ("m1.tiny", "m1.small")


def test_a_server_is_told_as_it_was_then_however_late(telling, listen):
    cloud = telling(SHORT_LEASE)
    user = cloud.client()
    # The conductor's reader dies with the first thing it tells; the next conductor is late.
    cloud.boundary.kill("notifications", "read", "told")
    server_id = user.create_server(name="first", metadata={"one": "1"})["id"]
    user.put(f"/servers/{server_id}", {"server": {"name": "second"}})
    user.delete(f"/servers/{server_id}")
    user.wait_gone(server_id)
    listener = listen(cloud)

    cloud.add_conductor()

    created, deleted = (data(listener.wait_for(f"instance.{name}.end")) for name in ("create", "delete"))
    started, renamed = (data(listener.wait_for(name)) for name in ("instance.create.start", "instance.update"))
    assert (started["state"], started["task_state"], started["launched_at"]) == ("building", "networking", None)
    assert started["host"].startswith(cloud.name)
    assert (created["state"], created["task_state"], created["power_state"]) == ("active", None, "running")
    assert (created["display_name"], created["deleted_at"]) == ("first", None)
    assert (renamed["old_display_name"], renamed["display_name"]) == ("first", "second")
    assert (deleted["state"], deleted["display_name"]) == ("deleted", "second")
    assert deleted["deleted_at"] is not None


def test_a_build_that_fails_is_told_with_its_fault(telling, listen):
    cloud = telling()
    listener, user = listen(cloud), cloud.client()
    cloud.boundary.raise_at("create", "spawn", "done", errors.StepFailed(reason="no such disk"))

    user.create_server(wait_for="ERROR")

    told = listener.wait_for("instance.create.error")
    fault = data(data(told)["fault"])
    assert told["priority"] == "ERROR"
    assert told["publisher_id"].startswith(f"nova-compute:{cloud.name}-host-")
    assert (fault["exception"], fault["function_name"]) == ("StepFailed", "spawn")
    assert "no such disk" in fault["exception_message"]
    assert listener.types("instance.create.end") == []


def test_a_server_that_no_host_takes_is_told_as_a_task_that_failed(telling, listen):
    cloud = telling()
    listener = listen(cloud)
    giant = {"name": "giant", "id": "giant", "ram": 512, "vcpus": 1, "disk": 1 << 20}
    cloud.client("admin", "admin").post("/flavors", {"flavor": giant})

    cloud.client().create_server(flavor="giant", wait_for="ERROR")

    told = data(listener.wait_for("compute_task.build_instances.error"))
    assert told["state"] == "error"
    assert data(told["reason"])["exception"] == "NoValidHost"
    assert listener.types("instance.create") == []


def test_a_host_that_could_not_build_is_told_before_the_one_that_could(telling, listen):
    cloud = telling()
    listener = listen(cloud)
    cloud.boundary.raise_at("create", "spawn", "done", errors.GuestFailed(reason="no room"))

    cloud.client().create_server()
    listener.wait_for("instance.create.end")

    phases = [one["event_type"].rpartition(".")[2] for one in listener.heard("instance.create")]
    first, failed, second, built = (one["publisher_id"] for one in listener.heard("instance.create"))
    assert phases == ["start", "error", "start", "end"]
    assert first == failed != second == built


def test_who_asked_and_which_request_it_was_are_told(telling, listen):
    cloud = telling()
    listener = listen(cloud)
    server_id = cloud.client().create_server()["id"]

    stopped = cloud.client("admin", "admin").act(server_id, "os-stop")
    told = [listener.wait_for(f"instance.power_off.{phase}") for phase in ("start", "end")]

    for one in map(data, told):
        assert (one["tenant_id"], one["user_id"]) == ("project", "user")
        assert (one["action_initiator_project"], one["action_initiator_user"]) == ("admin", "admin")
        assert one["request_id"] == stopped.headers["x-openstack-request-id"]


def test_two_conductors_tell_of_everything_once(telling, listen):
    cloud = telling()
    cloud.add_conductor()
    listener, user = listen(cloud), cloud.client()

    for number in range(5):
        user.delete(f"/servers/{user.create_server(name=str(number))['id']}")
    listener.wait_for("instance.delete.end", count=5)

    settle(cloud)
    told = [(one["event_type"], data(one)["uuid"]) for one in listener.heard("instance.")]
    assert len(told) == len(set(told)) == 5 * 7


def test_a_conductor_that_dies_while_it_tells_loses_nothing(telling, listen):
    cloud = telling(SHORT_LEASE)
    listener, user = listen(cloud), cloud.client()
    cloud.client("admin", "admin").post("/os-aggregates", {"aggregate": {"name": "told before"}})
    listener.wait_for("aggregate.create.end")
    cloud.boundary.kill("notifications", "read", "told")
    cloud.add_conductor()

    server_id = user.create_server()["id"]
    user.delete(f"/servers/{server_id}")
    listener.wait_for("instance.delete.end")

    # What was told before the death may be told again; in order it stays.
    first_told = list(dict.fromkeys(listener.types("instance.")))
    assert first_told == [
        "instance.create.start",
        "instance.create.end",
        "instance.delete.start",
        "instance.exists",
        "instance.shutdown.start",
        "instance.shutdown.end",
        "instance.delete.end",
    ]


@pytest.mark.parametrize(
    "settings",
    [
        "",
        "[notifications]\nnotification_format = both\n",
        "[oslo_messaging_notifications]\ndriver = messagingv2\n",
        TELLS.replace("messagingv2", "noop"),
    ],
    ids=["by default", "without a driver", "without a format", "by the noop driver"],
)
def test_nothing_is_told(make_cloud, listen, settings):
    cloud = make_cloud(settings)
    cloud.add_host()
    listener = listen(cloud)

    cloud.client().create_server()

    kept = cloud.db.read(lambda c: c.exec_driver_sql("SELECT count(details) FROM events").scalar())
    readers = cloud.db.read(lambda c: c.exec_driver_sql("SELECT count(*) FROM log_readers").scalar())
    assert listener.heard() == []
    assert (kept, readers) == (0, 0)


def test_it_is_told_on_the_topics_and_at_the_level_that_are_configured(telling, listen):
    cloud = telling("\n[notifications]\nversioned_notifications_topics = telemetry,audit\ndefault_level = ERROR\n")
    listeners = [listen(cloud, topic=topic) for topic in ("telemetry", "audit")]

    cloud.client().create_server()

    for listener in listeners:
        assert listener.wait_for("instance.create.end")["priority"] == "ERROR"


@pytest.mark.parametrize(
    "wanted, changes",
    [
        (None, []),
        ("vm_state", [("building", "active")]),
        ("vm_and_task_state", [("building", "building"), ("building", "active")]),
    ],
)
def test_changes_of_state_are_told_when_they_are_wanted(telling, listen, wanted, changes):
    cloud = telling(f"\n[notifications]\nnotify_on_state_change = {wanted}\n" if wanted else "")
    listener = listen(cloud)

    cloud.client().create_server()
    listener.wait_for("instance.create.end")

    told = [data(data(one)["state_update"]) for one in listener.heard("instance.update")]
    assert list(dict.fromkeys((one["old_state"], one["state"]) for one in told)) == changes


def test_volumes_are_told_of_when_they_are_wanted(telling, listen):
    for wanted in (False, True):
        cloud = telling(f"\n[notifications]\nbdms_in_notifications = {wanted}\n")
        listener, user = listen(cloud), cloud.client()
        server_id = user.create_server()["id"]
        volume_id = cloud.cinder.add()

        user.post(f"/servers/{server_id}/os-volume_attachments", {"volumeAttachment": {"volumeId": volume_id}})
        told = data(listener.wait_for("instance.volume_attach.end"))

        assert told["volume_id"] == volume_id
        assert [data(one)["volume_id"] for one in told["block_devices"]] == ([volume_id] if wanted else [])


def test_the_log_keeps_no_secrets_for_those_who_are_told(telling):
    cloud = telling()
    user = cloud.client()
    server_id = user.create_server(user_data="c2VjcmV0")["id"]
    user.act(server_id, "rebuild", {"imageRef": next(iter(cloud.glance.images)), "user_data": "c2VjcmV0"})
    settle(cloud)
    user.post(f"/servers/{server_id}/os-volume_attachments", {"volumeAttachment": {"volumeId": cloud.cinder.add()}})
    settle(cloud)

    kept = cloud.db.read(lambda c: c.exec_driver_sql("SELECT details FROM events").scalars().all())

    assert any(server_id in one for one in kept if one)
    assert not any("c2VjcmV0" in one or "connection_info" in one for one in kept if one)


def test_a_driver_that_is_not_there_is_a_configuration_error(telling):
    cloud = telling()
    cloud.conf.set_override("driver", ["carrier-pigeon"], group="oslo_messaging_notifications")

    with pytest.raises(BadConfiguration) as caught:
        cloud.add_conductor()

    assert "carrier-pigeon" in str(caught.value)


def test_users_streams_show_servers_alone_and_their_owners_see_what_others_do(telling):
    cloud = telling()
    user, admin = cloud.client(), cloud.client("admin", "admin")
    server_id = user.create_server()["id"]
    admin.post("/os-server-groups", {"server_group": {"name": "apart", "policy": "affinity"}})
    admin.act(server_id, "os-stop")
    user.wait(server_id, "SHUTOFF")

    def kinds(client, query):
        text = client.get(f"/servers/events?after=0&timeout=1{query}").text
        return [line.partition(" ")[2] for line in text.splitlines() if line.startswith("event: ")]

    assert {"instance.stop.start", "instance.stop.end"} <= set(kinds(user, ""))
    assert all(kind.startswith("instance.") for kind in kinds(admin, "&all_projects=1"))
    assert "details" not in admin.get("/servers/events?after=0&timeout=0&all_projects=1").text
