"""What users who may know are told of a server's host. Source: Compute API reference, "Servers", host_status."""

from collections.abc import Sequence

import msgspec
from sqlalchemy.engine import Connection

from nova.conductor.engine.liveness import Liveness
from nova.db import hosts
from nova.structs.instance import Instance


def with_host_status(connection: Connection, liveness: Liveness, instances: Sequence[Instance]) -> list[Instance]:
    """The servers with UP, DOWN, MAINTENANCE or UNKNOWN of their hosts; nothing of one without a host."""
    names = {server.host for server in instances if server.host is not None}
    only = next(iter(names)) if len(names) == 1 else None
    services = hosts.services(connection, host=only, binary="nova-compute") if names else []
    statuses = {
        service.host: "MAINTENANCE"
        if service.is_disabled
        else "UP"
        if liveness.is_up(service.host) and not service.is_forced_down
        else "DOWN"
        for service in services
    }
    return [
        msgspec.structs.replace(server, host_status="" if server.host is None else statuses.get(server.host, "UNKNOWN"))
        for server in instances
    ]
