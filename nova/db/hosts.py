"""Queries on daemons, nodes and aggregates, and the version of the picture they make together."""

import uuid as uuids
from typing import Any

import msgspec
from sqlalchemy import Row, delete, insert, or_, select, update
from sqlalchemy.engine import Connection
from sqlalchemy.exc import IntegrityError

from nova import errors
from nova.clock import utcnow
from nova.db.models.hosts import Aggregate as AggregateTable
from nova.db.models.hosts import Counter
from nova.db.models.hosts import Node as NodeTable
from nova.db.models.hosts import Service as ServiceTable
from nova.structs.guest import NodeState
from nova.structs.host import Aggregate, Node, ServiceRecord

_services = ServiceTable.__table__
_nodes = NodeTable.__table__
_aggregates = AggregateTable.__table__
_counters = Counter.__table__
_VIEW = "hosts"


def view_version(connection: Connection) -> int:
    """The version of the picture of all hosts: it grows with every change; 0 before the first one."""
    return connection.scalar(select(_counters.c.value).where(_counters.c.name == _VIEW)) or 0


def next_version(connection: Connection) -> int:
    """A new version of the picture, for the rows that change in this transaction.

    The counter's row stays locked until the commit, so versions become visible in their order.
    """
    bumped = update(_counters).where(_counters.c.name == _VIEW).values(value=_counters.c.value + 1)
    if not connection.execute(bumped).rowcount:
        try:
            with connection.begin_nested():
                connection.execute(insert(_counters).values(name=_VIEW, value=0))
        except IntegrityError:
            pass  # Another transaction made it first.
        connection.execute(bumped)
    return view_version(connection)


def services(connection: Connection, host: str | None = None, binary: str | None = None) -> list[ServiceRecord]:
    """In the order they first registered in."""
    query = select(_services).order_by(_services.c.id)
    if host is not None:
        query = query.where(_services.c.host == host)
    if binary is not None:
        query = query.where(_services.c.binary == binary)
    return [_service(row) for row in connection.execute(query)]


def service(connection: Connection, service_id: str) -> ServiceRecord:
    """By uuid or number. Raises ServiceNotFound."""
    query = select(_services).where(_by_id(_services, service_id))
    row = connection.execute(query).one_or_none()
    if row is None:
        raise errors.ServiceNotFound(service_id=service_id)
    return _service(row)


def ensure_service(
    connection: Connection, host: str, binary: str, version: int, is_enabled: bool = True, listener: str = ""
) -> tuple[ServiceRecord, str | None]:
    """The record of a daemon, made on its first sign of life. listener: the queue that is read for host.

    Gives with it "create" when it was made now, "update" when the daemon is of another version, else None.
    """
    listener = listener or host
    query = select(_services).where(_services.c.host == host, _services.c.binary == binary)
    row = connection.execute(query).one_or_none()
    change = None
    if row is None:
        change = "create"
        values = {
            "uuid": str(uuids.uuid4()),
            "host": host,
            "binary": binary,
            "version": version,
            "listener": listener,
            "is_up": True,
            "is_disabled": not is_enabled,
            "is_forced_down": False,
            "changed_in": next_version(connection),
            "created_at": utcnow(),
        }
        try:
            with connection.begin_nested():
                connection.execute(insert(_services).values(**values))
        except IntegrityError:
            change = None  # Another conductor heard of it first.
        row = connection.execute(query).one()
    elif row.version != version or row.listener != listener or not row.is_up:
        change = "update" if row.version != version else None
        change_service(connection, row.uuid, version=version, listener=listener, is_up=True)
        row = connection.execute(query).one()
    return _service(row), change


def listeners(connection: Connection) -> dict[str, str]:
    """For each host of a nova-compute, the queue that is read for it."""
    query = select(_services.c.host, _services.c.listener).where(_services.c.binary == "nova-compute")
    return {row.host: row.listener for row in connection.execute(query)}


def change_service(connection: Connection, uuid: str, **changes: Any) -> None:
    """changes are columns. The version of the picture moves, whatever is changed."""
    connection.execute(
        update(_services)
        .where(_services.c.uuid == uuid)
        .values(changed_in=next_version(connection), updated_at=utcnow(), **changes)
    )


def remove_service(connection: Connection, found: ServiceRecord) -> None:
    """Forget a daemon and, for a nova-compute, its nodes."""
    next_version(connection)
    connection.execute(delete(_services).where(_services.c.uuid == found.uuid))
    if found.binary == "nova-compute":
        connection.execute(delete(_nodes).where(_nodes.c.host == found.host))


def nodes(connection: Connection, host: str | None = None, changed_after: int | None = None) -> list[Node]:
    """In the order they first registered in; changed_after: those that changed after this version of the picture."""
    query = select(_nodes).order_by(_nodes.c.id)
    if host is not None:
        query = query.where(_nodes.c.host == host)
    if changed_after is not None:
        query = query.where(_nodes.c.changed_in > changed_after)
    return [_node(row) for row in connection.execute(query)]


def node(connection: Connection, node_id: str) -> Node:
    """By uuid or number. Raises HypervisorNotFound."""
    row = connection.execute(select(_nodes).where(_by_id(_nodes, node_id))).one_or_none()
    if row is None:
        raise errors.HypervisorNotFound(hypervisor_id=node_id)
    return _node(row)


def offers(connection: Connection, host: str, ability: str) -> bool:
    """Whether the driver of a host has one of its optional Protocols."""
    return any(ability in one.state.abilities for one in nodes(connection, host))


def node_uuids(connection: Connection) -> tuple[str, ...]:
    """Of all hosts, in no order. They are the uuids of the resource providers, too."""
    return tuple(connection.scalars(select(_nodes.c.uuid)))


def changed_hosts(connection: Connection, after: int) -> set[str]:
    """Hosts of which a daemon or a node changed after a version."""
    found = set(connection.scalars(select(_services.c.host).where(_services.c.changed_in > after)))
    return found | set(connection.scalars(select(_nodes.c.host).where(_nodes.c.changed_in > after)))


def nodes_of(connection: Connection, hosts: set[str]) -> list[Node]:
    """The nodes of some hosts."""
    found: list[Node] = []
    names = sorted(hosts)
    # No database takes any number of values in one IN.
    for start in range(0, len(names), 500):
        rows = connection.execute(select(_nodes).where(_nodes.c.host.in_(names[start : start + 500])))
        found.extend(_node(row) for row in rows)
    return found


def ensure_node(connection: Connection, host: str, state: NodeState, uuid: str | None = None) -> Node:
    """The record of a hypervisor with its present state; written only when that differs. uuid: of a new one."""
    text = msgspec.json.encode(state).decode()
    key = (_nodes.c.host == host, _nodes.c.hypervisor_hostname == state.hypervisor_hostname)
    row = connection.execute(select(_nodes).where(*key)).one_or_none()
    if row is None:
        values = {
            "uuid": uuid or str(uuids.uuid4()),
            "host": host,
            "hypervisor_hostname": state.hypervisor_hostname,
            "document": text,
            "changed_in": next_version(connection),
            "created_at": utcnow(),
        }
        connection.execute(insert(_nodes).values(**values))
    elif row.document != text:
        connection.execute(
            update(_nodes).where(*key).values(document=text, changed_in=next_version(connection), updated_at=utcnow())
        )
    return _node(connection.execute(select(_nodes).where(*key)).one())


def aggregates(connection: Connection) -> list[Aggregate]:
    """Oldest first, with their hosts."""
    return [aggregate_from(row) for row in connection.execute(select(_aggregates).order_by(_aggregates.c.id))]


def _by_id(table: Any, given: str) -> Any:
    number = int(given) if given.isdigit() and len(given) < 19 else -1
    return or_(table.c.uuid == given, table.c.id == number)


def _service(row: Row[Any]) -> ServiceRecord:
    return ServiceRecord(**{name: row._mapping[name] for name in _SERVICE})


_SERVICE = (
    "id", "uuid", "host", "binary", "version", "is_up", "is_disabled", "disabled_reason", "is_forced_down",
    "created_at", "updated_at",
)  # fmt: skip


def _node(row: Row[Any]) -> Node:
    return Node(
        id=row.id,
        uuid=row.uuid,
        host=row.host,
        hypervisor_hostname=row.hypervisor_hostname,
        state=msgspec.json.decode(row.document, type=NodeState),
    )


def aggregate_from(row: Row[Any]) -> Aggregate:
    """A row of aggregates: its hosts and metadata are JSON there."""
    values = dict(row._mapping)
    values["hosts"] = tuple(msgspec.json.decode(values["hosts"]))
    values["metadata"] = msgspec.json.decode(values["metadata"])
    return Aggregate(**values)
