"""A cloud in which everything happens that is told of: every operation, its failures, and every other noun."""

import itertools
from typing import Any

from nova import errors
from nova.conductor.workflows import WORKFLOWS
from tests.functional.cloud import Cloud, wait
from tests.functional.invariants import settle
from tests.functional.listening import TELLS, Listener
from tests.functional.operation_set_ups import SETUPS, an_active_server, attaches_a_volume

SETTINGS = TELLS.replace(
    "[notifications]\n",
    "[notifications]\nbdms_in_notifications = true\ninclude_share_mapping = true\nnotify_on_state_change = vm_and_task_state\n",
)
_BROKEN = errors.StepFailed(reason="it broke")
_NOWHERE = errors.NoValidHost(reason="there is none")

# Operation, step, and the error the step ends in.
_FAILURES = (
    ("create", "spawn", _BROKEN),
    ("create", "claim_host", _NOWHERE),
    ("reboot", WORKFLOWS["reboot"].steps[-1].name, _BROKEN),
    ("rebuild", "spawn", _BROKEN),
    ("rebuild", "check_host", _NOWHERE),
    ("resize", "claim_destination", _NOWHERE),
    ("live-migration", "migrate_guest", _BROKEN),
    ("attach_interface", "plug", _BROKEN),
    ("attach_volume", "plug_in", _BROKEN),
    ("swap_volume", "swap", _BROKEN),
    ("attach_share", "define_with_share", _BROKEN),
    ("detach_share", "take_from_guest", _BROKEN),
)


def heard_in(make: Any) -> list[dict[str, Any]]:
    """Everything that was told. make: starts a cloud with settings of its own."""
    by_settings = itertools.groupby(
        sorted(SETUPS, key=lambda name: (SETUPS[name].settings, name == "evacuate")), lambda name: SETUPS[name].settings
    )
    heard: list[dict[str, Any]] = []
    for settings, names in by_settings:
        cloud = make(SETTINGS + settings)
        listener = Listener(cloud)
        user = _furnish(cloud)
        if not settings:
            _happenings(cloud, user)
            for operation, step, error in _FAILURES:
                cloud.boundary.raise_at(operation, step, "done", error)
                _run(cloud, user, operation)
        for name in names:
            _run(cloud, user, name)
        cloud.client("admin", "admin").post("/os-aggregates", {"aggregate": {"name": "the last"}})
        wait(lambda told=listener: _has_told(told, "the last"), "everything is told")
        heard += listener.heard()
        listener.stop()
    return heard


def _has_told(listener: Listener, aggregate: str) -> bool:
    ends = listener.heard("aggregate.create.end")
    return any(one["payload"]["nova_object.data"]["name"] == aggregate for one in ends)


def _furnish(cloud: Cloud) -> Any:
    for name in ("host-1", "host-2", "host-3"):
        cloud.add_host(name)
    user = cloud.client("admin", "project")
    unlimited = {"quota_set": {"instances": -1, "cores": -1, "ram": -1}}
    assert user.put("/os-quota-sets/project", unlimited).status_code == 200
    network = user.post("/v2.0/networks", {"network": {"name": "private"}}, url="http://network").json()["network"]
    subnet = {"network_id": network["id"], "cidr": "10.1.0.0/24", "ip_version": 4}
    assert user.post("/v2.0/subnets", {"subnet": subnet}, url="http://network").status_code == 201
    return user


def _run(cloud: Cloud, user: Any, operation: str) -> None:
    set_up = SETUPS[operation]
    server_id = set_up.prepare(user)
    assert set_up.ask(user, server_id).status_code < 300
    settle(cloud)


def _happenings(cloud: Cloud, user: Any) -> None:
    """What is no operation."""
    _catalog(user)
    _aggregates(cloud, user)
    _services(cloud, user)
    group = user.post("/os-server-groups", {"server_group": {"name": "apart", "policy": "anti-affinity"}})
    group_id = group.json()["server_group"]["id"]
    body = {"server": user.wanted(networks="auto"), "OS-SCH-HNT:scheduler_hints": {"group": group_id}}
    assert user.post("/servers", body).status_code == 202
    settle(cloud)
    user.delete(f"/os-server-groups/{group_id}")
    server_id = user.create_server(networks="auto", key_name="brought", tags=["one"])["id"]
    attaches_a_volume(user, server_id)
    settle(cloud)
    user.put(f"/servers/{server_id}", {"server": {"name": "renamed"}})
    user.put(f"/servers/{server_id}/tags/two")
    user.post(f"/servers/{server_id}/metadata", {"metadata": {"key": "value"}})
    user.act(server_id, "lock", {"locked_reason": "maintenance"})
    user.act(server_id, "unlock")
    user.delete(f"/servers/{server_id}")
    user.wait_gone(server_id)
    _meddle_with_migrations(cloud, user)


def _catalog(user: Any) -> None:
    flavor = {"name": "odd", "id": "odd", "ram": 512, "vcpus": 1, "disk": 1, "os-flavor-access:is_public": False}
    assert user.post("/flavors", {"flavor": flavor}).status_code == 200
    user.post("/flavors/odd/os-extra_specs", {"extra_specs": {"hw:mem_page_size": "large"}})
    user.post("/flavors/odd/action", {"addTenantAccess": {"tenant": "elsewhere"}})
    assert user.delete("/flavors/odd").status_code == 202
    older = user.cloud.client("admin", "project", version="2.91")
    made = older.post("/os-keypairs", {"keypair": {"name": "made"}}).json()["keypair"]
    brought = {"name": "brought", "public_key": made["public_key"], "type": "ssh"}
    assert user.post("/os-keypairs", {"keypair": brought}).status_code == 201
    assert user.delete("/os-keypairs/made").status_code == 204


def _aggregates(cloud: Cloud, user: Any) -> None:
    made = user.post("/os-aggregates", {"aggregate": {"name": "rack"}}).json()["aggregate"]
    path = f"/os-aggregates/{made['id']}"
    host = cloud.hypervisor().name
    for action in (
        {"add_host": {"host": host}},
        {"set_metadata": {"metadata": {"ssd": "true"}}},
    ):
        assert user.post(f"{path}/action", action).status_code == 200
    user.put(path, {"aggregate": {"name": "rack 1"}})
    image = next(iter(cloud.glance.images))
    assert user.post(f"{path}/images", {"cache": [{"id": image}]}).status_code == 202
    assert user.post(f"{path}/action", {"remove_host": {"host": host}}).status_code == 200
    assert user.delete(path).status_code == 200


def _services(cloud: Cloud, user: Any) -> None:
    name = cloud.add_host("host-4").name
    cloud.stop_host("host-4")
    services = user.get("/os-services?binary=nova-compute").json()["services"]
    path = "/os-services/" + next(one["id"] for one in services if one["host"] == name)
    assert user.put(path, {"status": "disabled", "disabled_reason": "moving out"}).status_code == 200
    assert user.delete(path).status_code == 204


def _meddle_with_migrations(cloud: Cloud, user: Any) -> None:
    for meddle in (
        lambda path: user.post(f"{path}/action", {"force_complete": None}),
        lambda path: user.delete(path),
    ):
        server_id = an_active_server(user)
        name = next(name for name in cloud.hosts if server_id in cloud.hypervisor(name).guests)
        host = cloud.hypervisor(name)
        host.hold("migration")
        user.act(server_id, "os-migrateLive", {"host": None, "block_migration": "auto"})

        def running(of: str = server_id) -> Any:
            found = user.get(f"/servers/{of}/migrations").json()["migrations"]
            return found and found[0]["status"] == "running" and found[0]

        migration = wait(running, "the migration runs")
        assert meddle(f"/servers/{server_id}/migrations/{migration['id']}").status_code == 202
        settle(cloud)
        host.release("migration")
