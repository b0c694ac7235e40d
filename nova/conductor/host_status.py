"""What users who may know are told of a server's host. Source: Compute API reference, "Servers", host_status."""

from collections.abc import Sequence

import msgspec
from sqlalchemy.engine import Connection

from nova.conductor.engine.liveness import Liveness
from nova.db import hosts
from nova.structs.instance import Instance


def with_host_status(connection: Connection, liveness: Liveness, instances: Sequence[Instance]) -> list[Instance]:
    """The servers with UP, DOWN, MAINTENANCE or UNKNOWN of their hosts; nothing of one without a host."""
    names = {one.host for one in instances if one.host is not None}
    only = next(iter(names)) if len(names) == 1 else None
    found = hosts.services(connection, host=only, binary="nova-compute") if names else []
    statuses = {
        one.host: "MAINTENANCE"
        if one.is_disabled
        else "UP"
        if liveness.is_up(one.host) and not one.is_forced_down
        else "DOWN"
        for one in found
    }
    return [
        msgspec.structs.replace(one, host_status="" if one.host is None else statuses.get(one.host, "UNKNOWN"))
        for one in instances
    ]
