"""What must hold of a cloud at rest, seen from outside: what there is belongs to a server, once."""

from collections import Counter

from soaking.cloud import Cloud

_WITHOUT_GUEST = ("SHELVED_OFFLOADED", "ERROR")


def violations(cloud: Cloud) -> list[str]:
    """What is not as it should be, in words; empty for a cloud in order."""
    answer = cloud.ask("compute", "GET", "/servers/detail?all_tenants=1").json()
    servers = {server["id"]: server for server in answer["servers"]}
    return [
        *(f"server {uuid} is still {one['OS-EXT-STS:task_state']}" for uuid, one in servers.items() if _is_busy(one)),
        *_guests(cloud, servers),
        *(f"disks of {uuid} are left" for uuid in _disks(cloud) - servers.keys()),
        *_allocations(cloud, servers),
        *_ports(cloud, servers),
    ]


def _is_busy(server: dict[str, object]) -> bool:
    return server["OS-EXT-STS:task_state"] is not None


def _guests(cloud: Cloud, servers: dict[str, dict[str, str]]) -> list[str]:
    found = Counter((uuid, host) for host in cloud.hosts for uuid in cloud.guests(host))
    wrong = []
    for uuid, host in found:
        server = servers.get(uuid)
        if server is None or server["OS-EXT-SRV-ATTR:host"] != host:
            wrong.append(f"guest {uuid} on {host} is nobody's")
    here = {uuid for uuid, _ in found}
    expected = {uuid for uuid, server in servers.items() if server["status"] not in _WITHOUT_GUEST}
    return wrong + [f"server {uuid} has no guest" for uuid in expected - here if servers[uuid]["OS-EXT-SRV-ATTR:host"]]


def _disks(cloud: Cloud) -> set[str]:
    # A directory that is aside, or was left by a move, begins with its server's id as well.
    return {name[:36] for host in cloud.hosts for name in cloud.directories(host)}


def _allocations(cloud: Cloud, servers: dict[str, dict[str, str]]) -> list[str]:
    consumers: Counter[str] = Counter()
    for provider in cloud.ask("placement", "GET", "/resource_providers").json()["resource_providers"]:
        answer = cloud.ask("placement", "GET", f"/resource_providers/{provider['uuid']}/allocations")
        consumers.update(answer.json()["allocations"].keys())
    resized = [server for server in servers.values() if server["status"] == "VERIFY_RESIZE"]
    strange = consumers.keys() - servers.keys()
    wrong = [f"server {uuid} holds room on {count} hosts" for uuid, count in consumers.items() if count > 1]
    if len(strange) > len(resized):
        wrong += [f"{uuid} holds room on a host and is no server" for uuid in strange]
    placed = {uuid for uuid, server in servers.items() if server["OS-EXT-SRV-ATTR:host"]}
    return wrong + [f"server {uuid} has a host and holds no room" for uuid in placed - consumers.keys()]


def _ports(cloud: Cloud, servers: dict[str, dict[str, str]]) -> list[str]:
    ports = cloud.ask("network", "GET", "/v2.0/ports").json()["ports"]
    owners = {port["device_id"] for port in ports if port["device_owner"].startswith("compute:")}
    return [f"a port belongs to {uuid}, which is no server" for uuid in owners - servers.keys()]
