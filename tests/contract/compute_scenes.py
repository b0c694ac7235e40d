"""What a sample's request needs before it can be sent: a cloud with real things in it, and their ids.

A scene gives the values of an operation's path parameters and of the body's fields that name things. Scenes
stand in one table by operation; what is not in it is found by its path. No scene knows a sample.
"""

import itertools
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from compute_declared import Key
from compute_samples import Case

from nova.console.auth import ConsoleAuthService
from tests.functional.cloud import Client, Cloud, make_templates, wait
from tests.functional.invariants import settle

PROJECT = "project"
_numbers = itertools.count(1)
_SETTINGS = """
[DEFAULT]
quota_security_group = -1
quota_floatingip = -1
quota_port = -1
"""


@dataclass
class Scene:
    """path: values of the path's parameters in order. fields: what body fields of a name are to hold.

    marker: where a page may begin, for a sample that shows one. body: what is sent where there is no sample.
    """

    path: tuple[str, ...] = ()
    fields: dict[str, Any] = field(default_factory=dict)
    query: dict[str, str] = field(default_factory=dict)
    marker: str | None = None
    body: Any = None
    undo: Callable[[], Any] | None = None


class World:
    """A cloud with a bit of everything, and a server that has all a server can have."""

    zone = "us-west"

    def __init__(self, directory: Path, templates: Path) -> None:
        self.cloud = Cloud(directory, make_templates(templates), _SETTINGS)
        self.cloud.start()
        self._consoleauth = ConsoleAuthService(self.cloud.conf, self.cloud.bus, self.cloud.conductor_calls)
        self._consoleauth.start()
        self.admin = self.cloud.client("admin", PROJECT)
        for name in ("host-1", "host-2", "host-3"):
            self.cloud.add_host(name)
        for name, ram in (("m1.tiny", 512), ("m1.small", 1024)):
            self.flavor(name, ram=ram)
        self.image_id = self.cloud.glance.add("tiny", architecture="x86_64", auto_disk_config="True")
        self.network_id = self._network("private", "192.168.0.0/16")
        self.public_id = self._network("public", "172.24.4.0/24", **{"router:external": True})
        self._route()
        unlimited = dict.fromkeys(("instances", "cores", "ram", "key_pairs", "server_groups"), -1)
        self.put("/os-quota-sets/project", {"quota_set": unlimited})
        self.aggregate_id = self.aggregate(self.zone, "host-1", "host-2", "host-3")
        self._rich: dict[str, Any] | None = None

    def stop(self) -> None:
        self._consoleauth.stop()
        self.cloud.stop()

    def client(self, version: int, user: str = "admin") -> Client:
        return self.cloud.client(user, PROJECT, f"2.{version}")

    def host(self, name: str) -> str:
        return self.cloud.hypervisor(name).name

    def post(self, path: str, body: Any, version: int = 104, **options: Any) -> Any:
        return _good(self.client(version).post(path, body, **options))

    def put(self, path: str, body: Any) -> Any:
        return _good(self.admin.put(path, body))

    def act(self, server_id: str, name: str, argument: Any = None, version: int = 104) -> None:
        _good(self.client(version).act(server_id, name, argument))
        settle(self.cloud)

    # Things by the name a sample gives them.

    def flavor(self, flavor_id: str, ram: int = 512) -> str:
        wanted = {"name": flavor_id, "ram": ram, "vcpus": 1, "disk": 1, "id": flavor_id}
        self._once(self.admin.post("/flavors", {"flavor": wanted}))
        return flavor_id

    def image(self, image_id: str) -> str:
        if image_id not in self.cloud.glance.images:
            self.cloud.glance.add("named", id=image_id, architecture="x86_64", auto_disk_config="True")
        return image_id

    def keypair(self, name: str) -> str:
        self._once(self.client(2).post("/os-keypairs", {"keypair": {"name": name}}))
        return name

    @staticmethod
    def _once(answer: Any) -> None:
        assert answer.status_code in (200, 201, 409), answer.text

    # Things that are made anew.

    def name(self, word: str = "made") -> str:
        return f"{word}-{next(_numbers)}"

    def volume(self) -> str:
        return self.cloud.cinder.add()

    def server(self, hints: dict[str, str] | None = None, **options: Any) -> str:
        networks = [{"uuid": self.network_id}]
        wanted = self.admin.wanted(image=self.image_id, networks=networks, **options)
        made = self.post("/servers", {"server": wanted, "OS-SCH-HNT:scheduler_hints": hints or {}})
        return self.admin.wait(made["server"]["id"], "ACTIVE")["id"]

    def server_in(self, *actions: Any) -> str:
        """A server to which some actions were done, each a name or (name, argument)."""
        server_id = self.server()
        for one in actions:
            self.act(server_id, *((one,) if isinstance(one, str) else one))
        return server_id

    def server_with_volume(self) -> tuple[str, str]:
        server_id = self.server()
        return server_id, self.attach(server_id)

    def attach(self, server_id: str) -> str:
        """A volume, attached with a tag."""
        volume_id = self.volume()
        wanted = {"volumeId": volume_id, "tag": "disk"}
        self.post(f"/servers/{server_id}/os-volume_attachments", {"volumeAttachment": wanted})
        settle(self.cloud)
        return volume_id

    def server_of_a_dead_host(self) -> str:
        name = self.name("spare")
        self.cloud.add_host(name)
        server_id = self.server(host=self.host(name))
        self.cloud.stop_host(name)
        [service] = self.admin.get(f"/os-services?binary=nova-compute&host={self.host(name)}").json()["services"]
        self.put(f"/os-services/{service['id']}", {"forced_down": True})
        return server_id

    def server_that_moves(self) -> tuple[str, str, Callable[[], Any]]:
        """A server in a live migration that does not end before it is let go: its id, the migration's, how."""
        server_id = self.server()
        source = next(one for name in self.cloud.hosts if server_id in (one := self.cloud.hypervisor(name)).guests)
        source.hold("migration")
        _good(self.admin.act(server_id, "os-migrateLive", {"host": None, "block_migration": "auto"}))

        def running() -> Any:
            found = self.admin.get(f"/servers/{server_id}/migrations").json()["migrations"]
            return found if found and found[0]["memory_processed_bytes"] else None

        def let_go() -> None:
            source.release("migration")
            settle(self.cloud)

        try:
            migration = wait(running, "the migration runs")[0]
        except AssertionError:
            let_go()
            raise
        return server_id, str(migration["id"]), let_go

    def aggregate(self, zone: str | None = None, *hosts: str) -> str:
        name = self.name("aggregate")
        made = self.post("/os-aggregates", {"aggregate": {"name": name, "availability_zone": zone}})["aggregate"]
        for host in hosts:
            self.post(f"/os-aggregates/{made['id']}/action", {"add_host": {"host": self.host(host)}})
        return str(made["id"])

    def server_group(self, policy: str = "affinity") -> str:
        wanted = {"server_group": {"name": self.name("group"), "policy": policy}}
        return self.post("/os-server-groups", wanted)["server_group"]["id"]

    def security_group(self) -> dict[str, Any]:
        wanted = {"security_group": {"name": self.name("group"), "description": "made"}}
        return self.post("/os-security-groups", wanted, version=1)["security_group"]

    def port(self) -> str:
        body = {"port": {"network_id": self.network_id}}
        return self.post("/v2.0/ports", body, url="http://network")["port"]["id"]

    def floating_ip(self) -> dict[str, Any]:
        return self.post("/os-floating-ips", {"pool": "public"}, version=1)["floating_ip"]

    def snapshot(self) -> str:
        wanted = {"snapshot": {"volume_id": self.volume(), "display_name": "made", "display_description": "made"}}
        return self.post("/os-snapshots", wanted, version=1)["snapshot"]["id"]

    def address_of(self, server_id: str) -> str:
        [addresses] = self.admin.server(server_id)["addresses"].values()
        return addresses[0]["addr"]

    # The standing things everybody may read.

    @property
    def rich(self) -> dict[str, Any]:
        """A server with metadata, tags, a key, user data, hints, volumes, an address and a history."""
        if self._rich is None:
            hints = {"same_host": [self.server()]}
            body = {
                "server": {
                    "name": "rich",
                    "flavorRef": "m1.tiny",
                    "imageRef": self.image_id,
                    "networks": [{"uuid": self.network_id, "tag": "nic"}],
                    "metadata": {"foo": "Foo Value"},
                    "tags": ["tag1"],
                    "key_name": self.keypair("key"),
                    "user_data": "ZWNobyAiaGVsbG8gd29ybGQi",
                    "accessIPv4": "1.2.3.4",
                    "accessIPv6": "80fe::",
                    "security_groups": [{"name": "default"}],
                },
                "OS-SCH-HNT:scheduler_hints": hints,
            }
            server_id = self.post("/servers", body)["server"]["id"]
            self.admin.wait(server_id, "ACTIVE")
            for _ in range(2):
                self.attach(server_id)
            self._rich = self.admin.server(server_id)
        return self._rich

    def _network(self, name: str, cidr: str, **facts: Any) -> str:
        # Another project's, so that the one which is shared is the only one servers may mean.
        owner = self.cloud.client("admin", "admin")
        wanted = {"network": {"name": name, "shared": not facts, **facts}}
        made = _good(owner.post("/v2.0/networks", wanted, url="http://network"))["network"]["id"]
        subnet = {"subnet": {"network_id": made, "cidr": cidr, "ip_version": 4}}
        _good(owner.post("/v2.0/subnets", subnet, url="http://network"))
        return made

    def _route(self) -> None:
        wanted = {"router": {"name": "router", "external_gateway_info": {"network_id": self.public_id}}}
        router = self.post("/v2.0/routers", wanted, url="http://network")["router"]["id"]
        path = f"/v2.0/routers/{router}/add_router_interface"
        [subnet] = self.admin.get(f"/v2.0/subnets?network_id={self.network_id}", url="http://network").json()["subnets"]
        _good(self.admin.put(path, {"subnet_id": subnet["id"]}, url="http://network"))


def _good(answer: Any) -> Any:
    assert answer.status_code < 300, answer.text
    return answer.json() if answer.text else None


# What body fields of a name hold wherever the operation's own scene does not say otherwise. Each is given
# the sample's value and the key of the object it stands in.
FIELDS: dict[str, Callable[[World, Any, str], Any]] = {
    "imageRef": lambda world, value, within: value and world.image(value.rpartition("/")[2]),
    "rescue_image_ref": lambda world, value, within: world.image(value),
    "flavorRef": lambda world, value, within: world.flavor(str(value).rpartition("/")[2], ram=640),
    "net_id": lambda world, value, within: world.network_id,
    "networkId": lambda world, value, within: world.network_id,
    "port_id": lambda world, value, within: world.port(),
    "port": lambda world, value, within: world.port(),
    "ip_address": lambda world, value, within: f"192.168.{next(_numbers) // 250 + 200}.{next(_numbers) % 250 + 1}",
    "volumeId": lambda world, value, within: world.volume(),
    "volume_id": lambda world, value, within: world.volume(),
    "snapshot_id": lambda world, value, within: world.snapshot(),
    "key_name": lambda world, value, within: value and world.keypair(value),
    "server_uuid": lambda world, value, within: world.rich["id"],
    "same_host": lambda world, value, within: world.rich["id"],
    "different_host": lambda world, value, within: world.rich["id"],
    "group": lambda world, value, within: world.server_group(),
    "parent_group_id": lambda world, value, within: world.security_group()["id"],
    "hypervisor_hostname": lambda world, value, within: world.host("host-1"),
    "uuid": lambda world, value, within: _by_uuid(world, value, within),
    "source_volume": lambda world, value, within: world.volume(),
}


def _by_uuid(world: World, value: str, within: str) -> str:
    if within == "networks":
        return world.network_id
    return world.image(value) if within == "block_device_mapping_v2" else value


# Scenes.


def _fresh(world: World, case: Case) -> Scene:
    return Scene((world.server(),))


def _after(*actions: Any) -> Callable[[World, Case], Scene]:
    return lambda world, case: Scene((world.server_in(*actions),))


def _reads_server(world: World, case: Case) -> Scene:
    """The standing server; one of the status or the group the sample shows, when that is another."""
    shown = case.response.content if case.response is not None else None
    status = shown.get("server", {}).get("status", "ACTIVE") if isinstance(shown, dict) else "ACTIVE"
    if _shows_group(case):
        return Scene((world.server(hints={"group": world.server_group()}),))
    actions = {"RESCUE": "rescue", "PAUSED": "pause", "SUSPENDED": "suspend", "SHUTOFF": "os-stop"}
    action = actions.get(status)
    return Scene((world.rich["id"] if action is None else world.server_in(action),))


def _shows_group(case: Case) -> bool:
    return case.response is not None and bool(case.response.content.get("server", {}).get("server_groups"))


def _lists_servers(world: World, case: Case) -> Scene:
    world.rich  # noqa: B018
    return Scene(query={"name": "^rich$"})


def _creates_server(world: World, case: Case) -> Scene:
    fields: dict[str, Any] = {"host": world.host("host-1"), "availability_zone": world.zone}
    return Scene(fields=fields)


def _rewrites_server(world: World, case: Case) -> Scene:
    """A server whose answer has something to show, for what an update or a rebuild leaves alone."""
    hints = {"group": world.server_group()} if _shows_group(case) else {"same_host": world.rich["id"]}
    server_id = world.server(metadata={"foo": "bar"}, tags=["tag1"], hints=hints)
    return Scene((server_id,), {"availability_zone": world.zone})


def _of_another_host(world: World, case: Case) -> Scene:
    server_id = world.server()
    return Scene((server_id,), {"host": _elsewhere(world, server_id)})


def _elsewhere(world: World, server_id: str) -> str:
    return next(world.host(name) for name in world.cloud.hosts if server_id not in world.cloud.hypervisor(name).guests)


def _evacuates(world: World, case: Case) -> Scene:
    return Scene((world.server_of_a_dead_host(),), {"host": world.host("host-2")})


def _unshelves(world: World, case: Case) -> Scene:
    fields = {"host": world.host("host-1"), "availability_zone": world.zone}
    return Scene((world.server_in("shelve"),), fields)


def _adds_floating_ip(world: World, case: Case) -> Scene:
    server_id = world.server()
    return Scene(
        (server_id,), {"address": world.floating_ip()["ip"], "fixed_address": world.address_of(server_id)}
    )  # fmt: skip


def _removes_floating_ip(world: World, case: Case) -> Scene:
    server_id, address = world.server(), world.floating_ip()["ip"]
    world.act(server_id, "addFloatingIp", {"address": address}, version=1)
    return Scene((server_id,), {"address": address})


def _removes_fixed_ip(world: World, case: Case) -> Scene:
    server_id = world.server()
    world.act(server_id, "addFixedIp", {"networkId": world.network_id}, version=1)
    return Scene((server_id,), {"address": world.address_of(server_id)})


def _adds_security_group(world: World, case: Case) -> Scene:
    return Scene((world.server(),), {"name": world.security_group()["name"]})


def _removes_security_group(world: World, case: Case) -> Scene:
    server_id, name = world.server(), world.security_group()["name"]
    world.act(server_id, "addSecurityGroup", {"name": name})
    return Scene((server_id,), {"name": name})


def _restores(world: World, case: Case) -> Scene:
    world.cloud.conf.set_override("reclaim_instance_interval", 3600)
    server_id = world.server()
    world.admin.delete(f"/servers/{server_id}")
    world.admin.wait(server_id, "SOFT_DELETED")
    return Scene((server_id,), undo=lambda: world.cloud.conf.clear_override("reclaim_instance_interval"))


def _offloads(world: World, case: Case) -> Scene:
    world.cloud.conf.set_override("shelved_offload_time", -1)
    server_id = world.server()
    world.act(server_id, "shelve")
    return Scene((server_id,), undo=lambda: world.cloud.conf.clear_override("shelved_offload_time"))


def _shows_console(world: World, case: Case) -> Scene:
    kind = {"protocol": "spice", "type": "spice-direct"} if case.version >= 99 else {"protocol": "vnc", "type": "novnc"}
    made = world.post(f"/servers/{world.rich['id']}/remote-consoles", {"remote_console": kind}, version=104)
    url = made["remote_console"]["url"]
    return Scene((url.rpartition("token%3D")[2] if "token%3D" in url else url.rpartition("token=")[2],))


def _shows_action(world: World, case: Case) -> Scene:
    actions = world.admin.get(f"/servers/{world.rich['id']}/os-instance-actions").json()["instanceActions"]
    return Scene((world.rich["id"], actions[0]["request_id"]))


def _lists_actions(world: World, case: Case) -> Scene:
    actions = world.admin.get(f"/servers/{world.rich['id']}/os-instance-actions").json()["instanceActions"]
    return Scene((world.rich["id"],), marker=actions[0]["request_id"])


def _shows_interface(world: World, case: Case) -> Scene:
    server_id = world.rich["id"]
    [interface] = world.admin.get(f"/servers/{server_id}/os-interface").json()["interfaceAttachments"]
    return Scene((server_id, interface["port_id"]))


def _drops_interface(world: World, case: Case) -> Scene:
    server_id = world.server()
    [interface] = world.admin.get(f"/servers/{server_id}/os-interface").json()["interfaceAttachments"]
    return Scene((server_id, interface["port_id"]))


def _shows_attachment(world: World, case: Case) -> Scene:
    server_id = world.rich["id"]
    found = world.admin.get(f"/servers/{server_id}/os-volume_attachments").json()["volumeAttachments"]
    return Scene((server_id, found[0]["volumeId"]))


def _changes_attachment(world: World, case: Case) -> Scene:
    """The volume itself when the sample changes its attachment, another to swap it for otherwise."""
    server_id, volume_id = world.server_with_volume()
    content = case.request.content["volumeAttachment"] if case.request is not None else {}
    fields = {"serverId": server_id, "id": volume_id, "device": "/dev/vdb"}
    if "delete_on_termination" in content:
        fields["volumeId"] = volume_id
    if "tag" in content:
        fields["tag"] = "disk"
    return Scene((server_id, volume_id), fields)


def _forces_migration(world: World, case: Case) -> Scene:
    server_id, migration_id, let_go = world.server_that_moves()
    return Scene((server_id, migration_id), undo=let_go)


def _lists_migrations_of_server(world: World, case: Case) -> Scene:
    server_id, _, let_go = world.server_that_moves()
    return Scene((server_id,), undo=let_go)


def _lists_migrations(world: World, case: Case) -> Scene:
    """A finished one and one that goes on; a page begins after the newest."""
    world.server_in("migrate", "confirmResize")
    _, _, let_go = world.server_that_moves()
    newest = world.admin.get("/os-migrations?limit=1").json()["migrations"][0]
    return Scene(marker=newest["uuid"], undo=let_go)


def _takes_share(world: World, case: Case) -> Scene:
    return Scene((world.server_in("os-stop"),), {"share_id": world.cloud.manila.add()})


def _has_share(world: World, case: Case) -> Scene:
    server_id, share_id = world.server_in("os-stop"), world.cloud.manila.add()
    world.post(f"/servers/{server_id}/shares", {"share": {"share_id": share_id}})
    settle(world.cloud)
    return Scene((server_id, share_id))


def _snapshots_volume(world: World, case: Case) -> Scene:
    _, volume_id = world.server_with_volume()
    return Scene(fields={"volume_id": volume_id})


def _merges_snapshot(world: World, case: Case) -> Scene:
    _, volume_id = world.server_with_volume()
    snapshot_id = world.cloud.cinder.add_snapshot(volume_id)
    info = {"snapshot_id": snapshot_id, "type": "qcow2", "new_file": "newer"}
    world.post("/os-assisted-volume-snapshots", {"snapshot": {"volume_id": volume_id, "create_info": info}})
    settle(world.cloud)
    files = {"file_to_merge": "newer", "merge_target_file": f"volume-{volume_id}"}
    return Scene((snapshot_id,), query={"delete_info": json.dumps({"volume_id": volume_id, **files})})


def _adds_host(world: World, case: Case) -> Scene:
    name = world.name("spare")
    world.cloud.add_host(name)
    return Scene((world.aggregate("nova"),), {"host": world.host(name)})


def _removes_host(world: World, case: Case) -> Scene:
    name = world.name("spare")
    world.cloud.add_host(name)
    return Scene((world.aggregate("nova", name),), {"host": world.host(name)})


def _lists_aggregates(world: World, case: Case) -> Scene:
    """Those that have hosts."""
    for one in world.admin.get("/os-aggregates").json()["aggregates"]:
        if not one["hosts"]:
            world.admin.delete(f"/os-aggregates/{one['id']}")
    return Scene()


def _an_aggregate(world: World, case: Case) -> Scene:
    return Scene((world.aggregate("nova"),), {"name": world.name("aggregate"), "id": world.image_id})


def _names(word: str) -> Callable[[World, Case], Scene]:
    return lambda world, case: Scene(fields={"name": world.name(word)})


def _creates_flavor(world: World, case: Case) -> Scene:
    name = world.name("flavor")
    return Scene(fields={"name": name, "id": name})


def _private_flavor(world: World, case: Case) -> Scene:
    """A flavor that is not public, with whom the request speaks of where it takes that back."""
    name = world.name("flavor")
    wanted = {"name": name, "id": name, "ram": 512, "vcpus": 1, "disk": 1, "os-flavor-access:is_public": False}
    world.post("/flavors", {"flavor": wanted})
    # Whom the response of a removal names is still let in.
    for tenant in ("fake_tenant", "openstack"):
        if case.key[2] != "addTenantAccess":
            world.post(f"/flavors/{name}/action", {"addTenantAccess": {"tenant": tenant}})
    return Scene((name,))


def _extra_specs(world: World, case: Case) -> Scene:
    """A flavor with the specs the sample speaks of; the path names the first of them."""
    name = world.flavor(world.name("flavor"))
    samples = [one for one in (case.request, case.response) if one is not None]
    shown = samples[0].content.get("extra_specs", samples[0].content) if samples else {"hw:numa_nodes": "1"}
    if case.key[0] in ("GET", "DELETE"):
        world.post(f"/flavors/{name}/os-extra_specs", {"extra_specs": shown})
    return Scene((name, next(iter(shown), "hw:numa_nodes")))


def _image_metadata(world: World, case: Case) -> Scene:
    """An image with metadata; the path names the first key the sample speaks of."""
    image_id = world.cloud.glance.add("described", owner=PROJECT, architecture="x86_64", auto_disk_config="True")
    for sample in (case.request, case.response):
        if sample is not None:
            meta = sample.content.get("meta") or {}
            if case.key[0] == "GET":
                world.cloud.glance.images[image_id].update(meta)
            return Scene((image_id, next(iter(meta), "key")))
    return Scene((image_id, "architecture"))


def _server_metadata(world: World, case: Case) -> Scene:
    return Scene((world.server(metadata={"foo": "Foo Value"}), "foo"))


def _server_tags(world: World, case: Case) -> Scene:
    return Scene((world.server(tags=["tag1"]), "tag1"))


def _shows_keypair(world: World, case: Case) -> Scene:
    return Scene((world.keypair("key"),))


def _lists_keypairs(world: World, case: Case) -> Scene:
    for name in ("a", "b", "c"):
        world.keypair(name)
    return Scene(marker="a")


def _a_service(world: World, case: Case) -> Scene:
    """A nova-compute of its own, so that nobody misses it."""
    name = world.name("spare")
    world.cloud.add_host(name)
    host = world.host(name)
    client = world.client(case.version)
    [service] = client.get(f"/os-services?binary=nova-compute&host={host}").json()["services"]
    return Scene((str(service["id"]),), {"host": host}, body={"status": "enabled"})


def _hypervisor(world: World, case: Case) -> Scene:
    host = world.cloud.hypervisor("host-1").name
    return Scene((_hypervisor_id(world, host, case.version),))


def _hypervisor_id(world: World, host: str, version: int) -> str:
    found = world.client(version).get("/os-hypervisors").json()["hypervisors"]
    return str(next(one["id"] for one in found if one["hypervisor_hostname"] == host))


def _matching_hypervisors(world: World, case: Case) -> Scene:
    """A host with servers or one without, as the sample shows."""
    shown = case.response.content["hypervisors"] if case.response is not None else []
    if shown and "servers" in shown[0]:
        return Scene((_busy_host(world),))
    name = world.name("spare")
    world.cloud.add_host(name)
    return Scene((world.host(name),))


def _lists_hypervisors(world: World, case: Case) -> Scene:
    """Asked for with their servers when the sample shows some; each of them has some then."""
    shown = case.response.content["hypervisors"] if case.response is not None else []
    query = {}
    if shown and "servers" in shown[0]:
        query = {"with_servers": "true", "hypervisor_hostname_pattern": _busy_host(world)}
    return Scene(query=query)


def _shows_hypervisor(world: World, case: Case) -> Scene:
    shown = case.response.content.get("hypervisor", {}) if case.response is not None else {}
    host = _busy_host(world)
    query = {"with_servers": "true"} if "servers" in shown else {}
    return Scene((_hypervisor_id(world, host, case.version),), query=query)


def _busy_host(world: World) -> str:
    world.rich  # noqa: B018
    return next(world.host(name) for name in world.cloud.hosts if world.cloud.hypervisor(name).guests)


def _a_host(world: World, case: Case) -> Scene:
    return Scene((_busy_host(world),))


def _server_groups(world: World, case: Case) -> Scene:
    return Scene((world.server_group("anti-affinity"),))


def _floating_ips(world: World, case: Case) -> Scene:
    """As many as the sample shows: none, or one without a server and one with."""
    shown = case.response.content.get("floating_ips") if case.response is not None else None
    for one in world.client(1).get("/os-floating-ips").json()["floating_ips"]:
        world.client(1).delete(f"/os-floating-ips/{one['id']}")
    if shown == []:
        return Scene()
    return Scene((world.floating_ip()["id"],))


def _security_groups(world: World, case: Case) -> Scene:
    made = world.security_group()
    return Scene((made["id"],), {"name": made["name"] if case.key[0] == "PUT" else world.name("group")})


def _security_group_rule(world: World, case: Case) -> Scene:
    rule = {"parent_group_id": world.security_group()["id"], "ip_protocol": "tcp", "from_port": 22, "to_port": 22}
    made = world.post("/os-security-group-rules", {"security_group_rule": {**rule, "cidr": "10.0.0.0/24"}}, version=1)
    return Scene((made["security_group_rule"]["id"],))


def _of_the_project(world: World, case: Case) -> Scene:
    """With its servers when the sample shows them."""
    world.rich  # noqa: B018
    shown = case.response.content.get("tenant_usages", ()) if case.response is not None else ()
    query = {"detailed": "1"} if any("server_usages" in one for one in shown) else {}
    return Scene((PROJECT,), query=query)


def _fixed(*values: str) -> Callable[[World, Case], Scene]:
    return lambda world, case: Scene(values)


SCENES: dict[tuple[str, str, str | None], Callable[[World, Case], Scene]] = {
    ("GET", "/{}", None): _fixed("v2.1"),
    ("GET", "/servers", None): _lists_servers,
    ("GET", "/servers/detail", None): _lists_servers,
    ("POST", "/servers", None): _creates_server,
    ("GET", "/servers/{}", None): _reads_server,
    ("PUT", "/servers/{}", None): _rewrites_server,
    ("POST", "/servers/{}/action", "rebuild"): _rewrites_server,
    ("DELETE", "/servers/{}", None): _fresh,
    ("POST", "/servers/{}/action", "unpause"): _after("pause"),
    ("POST", "/servers/{}/action", "resume"): _after("suspend"),
    ("POST", "/servers/{}/action", "os-start"): _after("os-stop"),
    ("POST", "/servers/{}/action", "unrescue"): _after("rescue"),
    ("POST", "/servers/{}/action", "unlock"): _after("lock"),
    ("POST", "/servers/{}/action", "confirmResize"): _after(("resize", {"flavorRef": "m1.small"})),
    ("POST", "/servers/{}/action", "revertResize"): _after(("resize", {"flavorRef": "m1.small"})),
    ("POST", "/servers/{}/action", "unshelve"): _unshelves,
    ("POST", "/servers/{}/action", "shelveOffload"): _offloads,
    ("POST", "/servers/{}/action", "restore"): _restores,
    ("POST", "/servers/{}/action", "evacuate"): _evacuates,
    ("POST", "/servers/{}/action", "os-migrateLive"): _of_another_host,
    ("POST", "/servers/{}/action", "migrate"): _of_another_host,
    ("POST", "/servers/{}/action", "addFloatingIp"): _adds_floating_ip,
    ("POST", "/servers/{}/action", "removeFloatingIp"): _removes_floating_ip,
    ("POST", "/servers/{}/action", "removeFixedIp"): _removes_fixed_ip,
    ("POST", "/servers/{}/action", "addSecurityGroup"): _adds_security_group,
    ("POST", "/servers/{}/action", "removeSecurityGroup"): _removes_security_group,
    ("GET", "/os-console-auth-tokens/{}", None): _shows_console,
    ("GET", "/servers/{}/ips/{}", None): lambda world, case: Scene((world.rich["id"], "private")),
    ("GET", "/servers/{}/metadata", None): _server_metadata,
    ("POST", "/servers/{}/metadata", None): _server_metadata,
    ("PUT", "/servers/{}/metadata", None): _server_metadata,
    ("GET", "/servers/{}/metadata/{}", None): _server_metadata,
    ("PUT", "/servers/{}/metadata/{}", None): _server_metadata,
    ("DELETE", "/servers/{}/metadata/{}", None): _server_metadata,
    ("GET", "/servers/{}/tags", None): _server_tags,
    ("PUT", "/servers/{}/tags", None): _server_tags,
    ("DELETE", "/servers/{}/tags", None): _server_tags,
    ("GET", "/servers/{}/tags/{}", None): _server_tags,
    ("PUT", "/servers/{}/tags/{}", None): _server_tags,
    ("DELETE", "/servers/{}/tags/{}", None): _server_tags,
    ("GET", "/servers/{}/os-instance-actions", None): _lists_actions,
    ("GET", "/servers/{}/os-instance-actions/{}", None): _shows_action,
    ("GET", "/servers/{}/os-interface/{}", None): _shows_interface,
    ("GET", "/servers/{}/os-volume_attachments/{}", None): _shows_attachment,
    ("PUT", "/servers/{}/os-volume_attachments/{}", None): _changes_attachment,
    ("DELETE", "/servers/{}/os-volume_attachments/{}", None): _changes_attachment,
    ("GET", "/servers/{}/migrations", None): _lists_migrations_of_server,
    ("GET", "/servers/{}/migrations/{}", None): _forces_migration,
    ("POST", "/servers/{}/migrations/{}/action", "force_complete"): _forces_migration,
    ("DELETE", "/servers/{}/migrations/{}", None): _forces_migration,
    ("GET", "/os-migrations", None): _lists_migrations,
    ("POST", "/servers/{}/shares", None): _takes_share,
    ("GET", "/servers/{}/shares", None): _has_share,
    ("GET", "/servers/{}/shares/{}", None): _has_share,
    ("DELETE", "/servers/{}/shares/{}", None): _has_share,
    ("POST", "/os-assisted-volume-snapshots", None): _snapshots_volume,
    ("DELETE", "/os-assisted-volume-snapshots/{}", None): _merges_snapshot,
    ("POST", "/flavors", None): _creates_flavor,
    ("GET", "/flavors/{}/os-flavor-access", None): _private_flavor,
    ("POST", "/flavors/{}/action", "addTenantAccess"): _private_flavor,
    ("POST", "/flavors/{}/action", "removeTenantAccess"): _private_flavor,
    ("GET", "/flavors/{}/os-extra_specs", None): _extra_specs,
    ("GET", "/flavors/{}/os-extra_specs/{}", None): _extra_specs,
    ("POST", "/flavors/{}/os-extra_specs", None): _extra_specs,
    ("DELETE", "/flavors/{}/os-extra_specs/{}", None): _extra_specs,
    ("PUT", "/flavors/{}/os-extra_specs/{}", None): _extra_specs,
    ("GET", "/os-keypairs", None): _lists_keypairs,
    ("POST", "/os-keypairs", None): _names("keypair"),
    ("GET", "/os-keypairs/{}", None): _shows_keypair,
    ("DELETE", "/os-keypairs/{}", None): lambda world, case: Scene((world.keypair(world.name("key")),)),
    ("GET", "/os-aggregates", None): _lists_aggregates,
    ("POST", "/os-aggregates", None): _names("aggregate"),
    ("PUT", "/os-aggregates/{}", None): _an_aggregate,
    ("POST", "/os-aggregates/{}/action", "add_host"): _adds_host,
    ("POST", "/os-aggregates/{}/action", "remove_host"): _removes_host,
    ("POST", "/os-aggregates/{}/action", "set_metadata"): _an_aggregate,
    ("POST", "/os-aggregates/{}/images", None): _an_aggregate,
    ("GET", "/os-aggregates/{}", None): _an_aggregate,
    ("PUT", "/os-services/enable", None): _a_service,
    ("PUT", "/os-services/disable", None): _a_service,
    ("PUT", "/os-services/disable-log-reason", None): _a_service,
    ("PUT", "/os-services/force-down", None): _a_service,
    ("PUT", "/os-services/{}", None): _a_service,
    ("DELETE", "/os-services/{}", None): _a_service,
    ("GET", "/os-hypervisors", None): _lists_hypervisors,
    ("GET", "/os-hypervisors/detail", None): _lists_hypervisors,
    ("GET", "/os-hypervisors/{}", None): _shows_hypervisor,
    ("GET", "/os-hypervisors/{}/uptime", None): _hypervisor,
    ("GET", "/os-hypervisors/{}/search", None): _matching_hypervisors,
    ("GET", "/os-hypervisors/{}/servers", None): _matching_hypervisors,
    ("GET", "/os-floating-ips", None): _floating_ips,
    ("GET", "/os-floating-ips/{}", None): _floating_ips,
    ("GET", "/os-security-groups/{}", None): _security_groups,
    ("POST", "/os-security-groups", None): _security_groups,
    ("DELETE", "/os-floating-ips/{}", None): _floating_ips,
    ("PUT", "/os-security-groups/{}", None): _security_groups,
    ("DELETE", "/os-security-group-rules/{}", None): _security_group_rule,
    ("PUT", "/os-quota-sets/{}", None): _fixed("another-project"),
    ("DELETE", "/os-quota-sets/{}", None): _fixed("another-project"),
    ("DELETE", "/images/{}", None): lambda world, case: Scene((world.cloud.glance.add("spare"),)),
    ("DELETE", "/servers/{}/os-interface/{}", None): _drops_interface,
    ("GET", "/os-instance_usage_audit_log/{}", None): _fixed("2026-01-01 00:00:00"),
}

# By the beginning of the path, for operations that need nothing special: the longest that fits.
PLACES: dict[tuple[str, str], Callable[[World, Case], Scene]] = {
    ("GET", "/servers/{}"): lambda world, case: Scene((world.rich["id"],)),
    ("*", "/servers/{}"): _fresh,
    ("*", "/flavors/{}"): lambda world, case: Scene((world.flavor(world.name("flavor")),)),
    ("*", "/images/{}/metadata"): _image_metadata,
    ("*", "/images/{}"): lambda world, case: Scene((world.image_id,)),
    ("*", "/os-aggregates/{}"): _an_aggregate,
    ("*", "/os-hosts/{}"): _a_host,
    ("*", "/os-quota-sets/{}"): _fixed(PROJECT),
    ("*", "/os-quota-class-sets/{}"): _fixed("default"),
    ("*", "/os-server-groups"): _server_groups,
    ("*", "/os-simple-tenant-usage"): _of_the_project,
    ("*", "/os-networks/{}"): lambda world, case: Scene((world.network_id,)),
    ("*", "/os-tenant-networks/{}"): lambda world, case: Scene((world.network_id,)),
    ("*", "/os-security-groups/{}"): _security_groups,
    ("*", "/os-snapshots"): lambda world, case: Scene((world.snapshot(),)),
    ("*", "/os-volumes"): lambda world, case: Scene((world.volume(),)),
    ("*", "/extensions/{}"): _fixed("os-agents"),
    ("*", "/os-baremetal-nodes/{}"): _fixed("058d27fa-241b-445a-a386-08c04f96db43"),
}


def scene_of(world: World, case: Case) -> Scene:
    method, path, _ = case.key
    found = SCENES.get(case.key)
    if found is None:
        fitting = [
            (len(start), made)
            for (verb, start), made in PLACES.items()
            if verb in (method, "*") and (path == start or path.startswith((f"{start}/", start)))
        ]
        found = max(fitting, key=lambda one: one[0])[1] if fitting else _fixed()
    return found(world, case)


def fill(world: World, scene: Scene, value: Any, name: str = "", within: str = "") -> Any:
    """A sample's body with what it names replaced by what is there."""
    if isinstance(value, dict):
        return {key: fill(world, scene, inner, key, name) for key, inner in value.items()}
    if isinstance(value, list):
        return [fill(world, scene, inner, name, name) for inner in value]
    if value is None:
        return None
    if name in scene.fields and _is_of_the_operation(within):
        return scene.fields[name]
    known = FIELDS.get(name)
    return value if known is None else known(world, value, within)


def _is_of_the_operation(within: str) -> bool:
    """A security group's or a tag's name inside a server is no name of the operation's."""
    return within not in ("security_groups", "metadata", "networks", "block_device_mapping_v2", "personality")


def key_text(key: Key) -> str:
    return " ".join(filter(None, key))
