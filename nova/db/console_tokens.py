"""Queries on console tokens, which are known by their hash alone.

A token dies with the guest it was issued for: whoever writes a server's row revokes in the same transaction.
"""

import datetime
from collections.abc import Mapping
from typing import Any

from sqlalchemy import delete, insert, select
from sqlalchemy.engine import Connection

from nova.db.models.servers import ConsoleToken as Table
from nova.structs.console import ConsoleAccess
from nova.structs.guest import ConsoleAddress, ConsoleKind
from nova.structs.instance import PowerState, VmState

# A server in any other state has no guest that runs, or is about to have another one.
_SHOWN_IN_VM_STATES = (VmState.ACTIVE, VmState.PAUSED)
_SHOWN_IN_POWER_STATES = (PowerState.RUNNING, PowerState.PAUSED)
_ENDING_TASK_STATES = ("deleting", "soft-deleting", "rebuilding")

_table = Table.__table__


def add(connection: Connection, token_hash: str, access: ConsoleAccess) -> None:
    """Fails where the hash is known already: a token is kept once, until access.expires_at (UTC)."""
    address = access.address
    connection.execute(
        insert(_table).values(
            token_hash=token_hash,
            instance_uuid=access.instance_id,
            kind=access.kind.value,
            host=address.host,
            port=address.port,
            tls_port=address.tls_port,
            path=address.path,
            expires_at=access.expires_at,
        )
    )


def get(connection: Connection, token_hash: str, now: datetime.datetime) -> ConsoleAccess | None:
    """What a token opens; None for one that is unknown or expired."""
    row = connection.execute(
        select(*_table.c).where(_table.c.token_hash == token_hash, _table.c.expires_at > now)
    ).one_or_none()
    if row is None:
        return None
    return ConsoleAccess(
        instance_id=row.instance_uuid,
        kind=ConsoleKind(row.kind),
        address=ConsoleAddress(host=row.host, port=row.port, tls_port=row.tls_port, path=row.path),
        expires_at=row.expires_at,
    )


def remove_of(connection: Connection, instance_uuid: str) -> int:
    """Forget the tokens of one server; how many there were."""
    return connection.execute(delete(_table).where(_table.c.instance_uuid == instance_uuid)).rowcount


def ends_consoles(changes: Mapping[str, Any]) -> bool:
    """Whether a server that changes so has no longer the guest its consoles were opened for."""
    return (
        "host" in changes
        or changes.get("deleted_at") is not None
        or changes.get("task_state") in _ENDING_TASK_STATES
        or changes.get("vm_state", VmState.ACTIVE) not in _SHOWN_IN_VM_STATES
        or changes.get("power_state", PowerState.RUNNING) not in _SHOWN_IN_POWER_STATES
    )


def purge(connection: Connection, now: datetime.datetime) -> int:
    """Forget the expired tokens; how many there were."""
    return connection.execute(delete(_table).where(_table.c.expires_at <= now)).rowcount
