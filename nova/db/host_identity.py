"""Which machine a host is: its node's UUID, which the machine keeps in a file; and its new name, if it gets one."""

import msgspec
from sqlalchemy import select, update
from sqlalchemy.engine import Connection

from nova import errors
from nova.clock import utcnow
from nova.db import instances, operations
from nova.db.hosts import next_version
from nova.db.models.hosts import Aggregate, Node, Service
from nova.db.models.servers import Instance

_services, _nodes, _aggregates = Service.__table__, Node.__table__, Aggregate.__table__
_instances = Instance.__table__

_WAYS_OUT = (
    "Its servers would be taken for another host's. Give it its name again; or, if it is to have another, run"
    " 'nova-manage host rename {known} {host} --node {node}' while it is down."
)


def check(connection: Connection, host: str, node: str, compute_id: str) -> None:
    """Whether a machine with this identity may be this host. Raises HostIdentityMismatch, which tells the way out."""
    row = connection.execute(select(_nodes).where(_nodes.c.uuid == compute_id)).one_or_none()
    if row is not None and (row.host, row.hypervisor_hostname) != (host, node):
        reason = (
            f"by its file compute_id ({compute_id}) this machine is host '{row.host}' with node"
            f" '{row.hypervisor_hostname}', and it was started as host '{host}' with node '{node}'. "
        )
        raise errors.HostIdentityMismatch(reason=reason + _WAYS_OUT.format(known=row.host, host=host, node=node))
    if row is not None:
        return
    others = list(connection.scalars(select(_nodes.c.uuid).where(_nodes.c.host == host)))
    if others:
        reason = (
            f"host '{host}' is the machine whose file compute_id says {others[0]}, and this one's says {compute_id}."
            " Give this machine a [DEFAULT] host of its own; or, if it is that machine and its file was lost, write"
            f" {others[0]} into it."
        )
        raise errors.HostIdentityMismatch(reason=reason)


def rename(connection: Connection, old: str, new: str, node: str | None) -> int:
    """Give a host that is down another name, and its node; how many servers have it in their records.

    Raises ComputeHostNotFound, and Conflict while the host is up or has work under way, or if the new name is
    another host's.
    """
    is_compute = _services.c.binary == "nova-compute"
    service = connection.execute(select(_services).where(_services.c.host == old, is_compute)).one_or_none()
    if service is None:
        raise errors.NotFound(f"There is no compute host '{old}'.")
    if service.is_up and not service.is_forced_down:
        raise errors.Conflict(f"Host '{old}' is up: stop its nova-compute first.")
    if new != old and connection.execute(select(_services).where(_services.c.host == new, is_compute)).first():
        raise errors.Conflict(f"There is a host '{new}' already.")
    if operations.waiting_on(connection, [old]):
        raise errors.Conflict(f"Operations wait for host '{old}': let them end first.")
    if open_ones := sorted({*operations.naming(connection, old), *operations.put_off_for(connection, old)}):
        raise errors.Conflict(
            f"Operations that are not over name host '{old}', and would look for it for ever: {', '.join(open_ones)}. Let"
            " them end first, or end them: nova-manage operation show|abandon."
        )
    version, now = next_version(connection), utcnow()
    marks = {"changed_in": version, "updated_at": now}
    connection.execute(
        update(_services).where(_services.c.uuid == service.uuid).values(host=new, listener=new, **marks)
    )
    renamed = {"host": new, **({} if node is None else {"hypervisor_hostname": node})}
    connection.execute(update(_nodes).where(_nodes.c.host == old).values(**renamed, **marks))
    for row in connection.execute(select(_aggregates.c.id, _aggregates.c.hosts)).all():
        members = msgspec.json.decode(row.hosts, type=list[str])
        if old in members:
            text = msgspec.json.encode([new if member == old else member for member in members]).decode()
            connection.execute(update(_aggregates).where(_aggregates.c.id == row.id).values(hosts=text))
    return _rename_in_records(connection, old, new, node)


def _rename_in_records(connection: Connection, old: str, new: str, node: str | None) -> int:
    count = 0
    for uuid in connection.scalars(select(_instances.c.uuid).where(_instances.c.deleted_at.is_(None))).all():
        server = instances.get(connection, uuid)
        changes: dict[str, object] = {}
        if server.host == old:
            changes = {"host": new, "node": node or server.node}
        before = server.properties.resized_from
        if before is not None and before.host == old:
            before = msgspec.structs.replace(before, host=new, node=node or before.node)
            changes["properties"] = msgspec.structs.replace(server.properties, resized_from=before)
        if changes:
            instances.change(connection, uuid, **changes)
            count += 1
    return count
