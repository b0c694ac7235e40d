"""What must hold of a cloud at rest, seen from outside: what there is belongs to a server, once."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

from soaking import leaks
from soaking.cloud import Cloud

Servers = dict[str, dict[str, Any]]

_WITHOUT_GUEST = ("SHELVED_OFFLOADED", "ERROR")
_IS_ASIDE = ".aside"


def violations(cloud: Cloud) -> list[str]:
    """What is not as it should be, in words; empty for a cloud in order."""
    answer = cloud.ask("compute", "GET", "/servers/detail?all_tenants=1").json()
    servers = {server["id"]: server for server in answer["servers"]}
    return [
        *(f"server {uuid} is still {one['OS-EXT-STS:task_state']}" for uuid, one in servers.items() if _is_busy(one)),
        *_guests(cloud, servers),
        *_disks(cloud, servers),
        *_allocations(cloud, servers),
        *leaks.found(cloud, servers),
    ]


def _is_busy(server: dict[str, Any]) -> bool:
    return server["OS-EXT-STS:task_state"] is not None


def _guests(cloud: Cloud, servers: Servers) -> list[str]:
    found = Counter((uuid, host) for host in cloud.hosts for uuid in cloud.guests(host))
    wrong = []
    for uuid, host in found:
        server = servers.get(uuid)
        if server is None or server["OS-EXT-SRV-ATTR:host"] != host:
            wrong.append(f"guest {uuid} on {host} is nobody's")
    here = {uuid for uuid, _ in found}
    expected = {uuid for uuid, server in servers.items() if server["status"] not in _WITHOUT_GUEST}
    return wrong + [f"server {uuid} has no guest" for uuid in expected - here if servers[uuid]["OS-EXT-SRV-ATTR:host"]]


def _disks(cloud: Cloud, servers: Servers) -> Iterator[str]:
    """A server's disk lies on its host, and what a resize has put aside waits for its end."""
    own: set[str] = set()
    for host in cloud.hosts:
        for name in cloud.directories(host):
            server = servers.get(name[:36])
            if server is None:
                yield f"disks of {name} are left on {host}"
            elif name == server["id"] and server["OS-EXT-SRV-ATTR:host"] == host:
                own.add(name)
            elif not (name.endswith(_IS_ASIDE) and server["status"] == "VERIFY_RESIZE"):
                yield f"disks in {name} lie on {host}, its server is {server['status']} on {server['OS-EXT-SRV-ATTR:host']}"
    for uuid, server in servers.items():
        if server["status"] not in _WITHOUT_GUEST and uuid not in own:
            yield f"server {uuid} has no disk on {server['OS-EXT-SRV-ATTR:host']}"


def _allocations(cloud: Cloud, servers: Servers) -> Iterator[str]:
    """A server holds what its flavor says, on its host. What a resize has left is held for its migration."""
    consumers: Counter[str] = Counter()
    for provider in cloud.ask("placement", "GET", "/resource_providers").json()["resource_providers"]:
        answer = cloud.ask("placement", "GET", f"/resource_providers/{provider['uuid']}/allocations")
        for consumer, held in answer.json()["allocations"].items():
            consumers[consumer] += 1
            if consumer in servers:
                yield from _held(servers[consumer], provider["name"], held["resources"])
    resized = [server for server in servers.values() if server["status"] == "VERIFY_RESIZE"]
    strange = consumers.keys() - servers.keys()
    yield from (f"server {uuid} holds room on {count} hosts" for uuid, count in consumers.items() if count > 1)
    if len(strange) > len(resized):
        yield from (f"{uuid} holds room on a host and is no server" for uuid in strange)
    placed = {uuid for uuid, server in servers.items() if server["OS-EXT-SRV-ATTR:host"]}
    yield from (f"server {uuid} has a host and holds no room" for uuid in placed - consumers.keys())


def _held(server: dict[str, Any], provider: str, resources: dict[str, int]) -> Iterator[str]:
    if server["OS-EXT-SRV-ATTR:hypervisor_hostname"] != provider:
        yield f"server {server['id']} is on {server['OS-EXT-SRV-ATTR:host']} and holds room on {provider}"
    flavor = server["flavor"]
    wanted = {
        "VCPU": flavor["vcpus"],
        "MEMORY_MB": flavor["ram"],
        "DISK_GB": flavor["disk"] + flavor["ephemeral"] + (flavor["swap"] + 1023) // 1024,
    }
    if resources != {name: amount for name, amount in wanted.items() if amount}:
        yield f"server {server['id']} holds {resources}, its flavor is {wanted}"
