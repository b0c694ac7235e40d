"""The hosts of a cloud as one table, and what they have in all."""

from collections.abc import Iterable, Mapping

import msgspec

from nova.structs.host import Node, NodeUse, ServiceRecord

_MOST_HOSTS = 200


class HostLine(msgspec.Struct, frozen=True, kw_only=True):
    """A node and its daemon. condition: up, down or disabled, the worst that is true."""

    host: str
    node: str
    zone: str
    condition: str
    reason: str | None
    servers: int
    busy: int
    amounts: tuple["Amount", ...]


class Amount(msgspec.Struct, frozen=True):
    """How much of something is used of what is there; more than that where it is overcommitted."""

    name: str
    used: int
    there: int


def hosts_shown(nodes: Iterable[Node], services: Iterable[ServiceRecord], use: Mapping[str, NodeUse]) -> list[HostLine]:
    """Those that somebody has to look at first, then by name; only the first of very many."""
    daemons = {service.host: service for service in services if service.binary == "nova-compute"}
    lines = [_line(node, daemons.get(node.host), use.get(node.hypervisor_hostname, NodeUse())) for node in nodes]
    return sorted(lines, key=lambda line: (line.condition == "up", line.host, line.node))[:_MOST_HOSTS]


def totals(nodes: Iterable[Node], use: Mapping[str, NodeUse]) -> list[Amount]:
    """What all hosts have and use together."""
    by_name: dict[str, Amount] = {}
    for node in nodes:
        for one in _amounts(node, use.get(node.hypervisor_hostname, NodeUse())):
            so_far = by_name.get(one.name, Amount(one.name, 0, 0))
            by_name[one.name] = Amount(one.name, so_far.used + one.used, so_far.there + one.there)
    return list(by_name.values())


def _line(node: Node, daemon: ServiceRecord | None, use: NodeUse) -> HostLine:
    return HostLine(
        host=node.host,
        node=node.hypervisor_hostname,
        zone=daemon.zone if daemon else "-",
        condition=_condition(daemon),
        reason=daemon.disabled_reason if daemon else "no nova-compute is registered",
        servers=use.servers_count,
        busy=use.busy,
        amounts=_amounts(node, use),
    )


def _condition(daemon: ServiceRecord | None) -> str:
    if daemon is None or not daemon.is_up or daemon.is_forced_down:
        return "down"
    return "disabled" if daemon.is_disabled else "up"


def _amounts(node: Node, use: NodeUse) -> tuple[Amount, ...]:
    return (
        Amount("VCPU", use.vcpus, node.state.vcpus),
        Amount("memory, MiB", use.memory_mb, node.state.memory_mb),
        Amount("disk, GiB", use.disk_gb, node.state.disk_gb),
    )
