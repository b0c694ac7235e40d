"""The hosts as schedulers see them: each node with its daemon's state, its zone and its aggregates."""

from collections.abc import Iterable

from sqlalchemy.engine import Connection

from nova.db import hosts
from nova.structs.host import Aggregate, HostState, Node

_ZONE = "availability_zone"


def host_states(connection: Connection, nodes: Iterable[Node], default_zone: str) -> list[HostState]:
    """These nodes. default_zone: of hosts that no aggregate puts into one."""
    services = {service.host: service for service in hosts.services(connection, binary="nova-compute")}
    aggregates = hosts.aggregates(connection)
    named = zones(aggregates)
    states = []
    for node in nodes:
        service = services.get(node.host)
        states.append(
            HostState(
                host=node.host,
                node=node.hypervisor_hostname,
                provider_uuid=node.uuid,
                zone=named.get(node.host, default_zone),
                is_up=service is not None and service.is_up and not service.is_forced_down,
                is_disabled=service is None or service.is_disabled,
                disabled_reason=service.disabled_reason if service else None,
                state=node.state,
                aggregates=tuple(aggregate for aggregate in aggregates if node.host in aggregate.hosts),
            )
        )
    return states


def zones(aggregates: Iterable[Aggregate]) -> dict[str, str]:
    """The availability zone of each host that an aggregate puts into one."""
    return {
        host: aggregate.metadata[_ZONE]
        for aggregate in aggregates
        if _ZONE in aggregate.metadata
        for host in aggregate.hosts
    }
