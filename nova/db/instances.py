"""Queries on servers' records."""

import datetime
from collections.abc import Iterable
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import Row, case, func, insert, or_, select, update
from sqlalchemy.engine import Connection

from nova import errors
from nova.clock import utcnow
from nova.db import console_tokens, server_filters
from nova.db.models.base import inserted_id
from nova.db.models.servers import Instance as Table
from nova.structs.flavor import Flavor
from nova.structs.host import HostLoad
from nova.structs.image import Image
from nova.structs.instance import BlockDevice, Fault, Instance, PowerState, Properties, VmState
from nova.structs.network import Vif
from nova.structs.requests import ServerQuery
from nova.structs.share import Share

_table = Table.__table__

# Task states of servers that read and write much. Source: Compute admin guide, IoOpsFilter and IoOpsWeigher.
IO_TASK_STATES = (
    "rebuilding",
    "resize_prep",
    "resize_migrating",
    "migrating",
    "image_snapshot",
    "image_backup",
    "rescuing",
    "unshelving",
)


class Part(NamedTuple):
    """One server's share of a node."""

    uuid: str
    name: str
    node: str
    flavor: Flavor
    is_busy: bool


# Columns that hold a struct as JSON, and how each is read.
_DOCUMENTS: dict[str, msgspec.json.Decoder[Any]] = {
    "flavor": msgspec.json.Decoder(Flavor),
    "image": msgspec.json.Decoder(Image),
    "metadata": msgspec.json.Decoder(dict[str, str]),
    "system_metadata": msgspec.json.Decoder(dict[str, str]),
    "tags": msgspec.json.Decoder(tuple[str, ...]),
    "vifs": msgspec.json.Decoder(tuple[Vif, ...]),
    "block_devices": msgspec.json.Decoder(tuple[BlockDevice, ...]),
    "shares": msgspec.json.Decoder(tuple[Share, ...]),
    "fault": msgspec.json.Decoder(Fault),
    "properties": msgspec.json.Decoder(Properties),
}
_UNREAD = ("flavor_id", "user_data", "state_since")
_PLAIN = tuple(c.name for c in _table.c if c.name not in _DOCUMENTS and c.name not in _UNREAD)
_COLUMNS = [_table.c[name] for name in (*_PLAIN, *_DOCUMENTS)]
# The database gives the first, the conductor tells the second.
_NOT_STORED = ("id", "host_status", "moves_from")
_MOST_IN_A_QUERY = 500
# Longer than a scheduler counts a promise that it does not find here.
_RECENTLY = datetime.timedelta(seconds=90)
_encode = msgspec.json.Encoder().encode


def from_row(row: Row[Any]) -> Instance:
    """A row of _COLUMNS (and perhaps user_data) as the struct."""
    values = dict(row._mapping)
    values["vm_state"] = VmState(values["vm_state"])
    values["power_state"] = PowerState(values["power_state"])
    for name, decoder in _DOCUMENTS.items():
        text = values[name]
        values[name] = None if text is None else decoder.decode(text)
    return Instance(**values)


def add(connection: Connection, instance: Instance) -> Instance:
    """Store a new record; its id comes from the database."""
    values = _to_columns({f: getattr(instance, f) for f in instance.__struct_fields__ if f not in _NOT_STORED})
    result = connection.execute(insert(_table).values(**values, state_since=utcnow()))
    return msgspec.structs.replace(instance, id=inserted_id(result))


def count_by_state(connection: Connection) -> dict[str, int]:
    """How many servers that are not deleted are in each vm_state."""
    query = (
        select(_table.c.vm_state, func.count().label("servers"))
        .where(_table.c.deleted_at.is_(None))
        .group_by(_table.c.vm_state)
    )
    return {row.vm_state: row.servers for row in connection.execute(query)}


def get(
    connection: Connection,
    uuid: str,
    for_update: bool = False,
    with_user_data: bool = False,
    project_id: str | None = None,
) -> Instance:
    """One record, of this project if one is given, deleted ones included. Raises ServerNotFound."""
    columns = [*_COLUMNS, _table.c.user_data] if with_user_data else _COLUMNS
    query = select(*columns).where(_table.c.uuid == uuid)
    if project_id is not None:
        query = query.where(_table.c.project_id == project_id)
    if for_update:
        query = query.with_for_update()
    row = connection.execute(query).one_or_none()
    if row is None:
        raise errors.ServerNotFound(server_id=uuid)
    return from_row(row)


def project_of(connection: Connection, uuid: str) -> str | None:
    """Whose server it is, or was; None for one there never was, or that was purged."""
    return connection.scalar(select(_table.c.project_id).where(_table.c.uuid == uuid))


def change(connection: Connection, uuid: str, **changes: Any) -> None:
    """Write some fields of one record; consoles of a guest that ends with it are revoked.

    delete_on_termination of a device that the record has stays as it is: set_delete_on_termination() is its users' word,
    and who writes the devices here may have read them long before it.
    """
    if "block_devices" in changes:
        changes["block_devices"] = _as_their_users_wish(connection, uuid, changes["block_devices"])
    values = _to_columns(changes)
    values.setdefault("updated_at", utcnow())
    if "vm_state" in values:
        is_another = _table.c.vm_state != values["vm_state"]
        # First, because MySQL assigns from left to right, and compares with what it has assigned.
        values = {"state_since": case((is_another, utcnow()), else_=_table.c.state_since), **values}
    ordered = [(_table.c[name], value) for name, value in values.items()]
    connection.execute(update(_table).where(_table.c.uuid == uuid).ordered_values(*ordered))
    if console_tokens.ends_consoles(changes):
        console_tokens.remove_of(connection, uuid)


def set_delete_on_termination(connection: Connection, uuid: str, device_id: str, is_set: bool) -> None:
    """Whether a device's volume is to be deleted with its server."""
    devices = tuple(
        msgspec.structs.replace(device, delete_on_termination=is_set) if device.id == device_id else device
        for device in _devices(connection, uuid)
    )
    values = _to_columns({"block_devices": devices})
    connection.execute(update(_table).where(_table.c.uuid == uuid).values(updated_at=utcnow(), **values))


def next_generation(connection: Connection, uuid: str) -> int:
    """A number for a move of the server, which no other has had or will have."""
    where = _table.c.uuid == uuid
    connection.execute(update(_table).where(where).values(last_generation=_table.c.last_generation + 1))
    number: int = connection.scalars(select(_table.c.last_generation).where(where)).one()
    return number


def find(connection: Connection, query: ServerQuery) -> list[Instance]:
    """The servers a query asks for, in its order. Raises Invalid for a bad pattern, or a marker that is not there."""
    order = [(_table.c[name], direction) for name, direction in query.sort]
    conditions = server_filters.conditions(query)
    if query.marker is not None:
        conditions.append(server_filters.after_marker(connection, query.marker, query.project_id, order))
    # What the database cannot filter is filtered here, so the limit must wait for it.
    late = server_filters.late_filters(query)
    limit = None if late else query.limit
    columns = [*_COLUMNS, _table.c.user_data] if query.with_user_data else _COLUMNS
    sorted_by = [server_filters.sorted_by(connection, *one) for one in order]
    if query.name_pattern is None:
        statement = select(*columns).where(*conditions).order_by(*sorted_by).limit(limit)
        servers = [from_row(row) for row in connection.execute(statement)]
    else:
        names = select(_table.c.id, _table.c.name).where(*conditions).order_by(*sorted_by)
        servers = _numbered(connection, columns, server_filters.matching(connection, names, query.name_pattern, limit))
    return [server for server in servers if all(test(server) for test in late)][: query.limit] if late else servers


def _numbered(connection: Connection, columns: list[Any], numbers: list[int]) -> list[Instance]:
    """The servers with these numbers, in their order."""
    servers: dict[int, Instance] = {}
    for begin in range(0, len(numbers), _MOST_IN_A_QUERY):
        wanted = numbers[begin : begin + _MOST_IN_A_QUERY]
        rows = connection.execute(select(*columns).where(_table.c.id.in_(wanted)))
        servers.update((row.id, from_row(row)) for row in rows)
    return [servers[number] for number in numbers if number in servers]


def waiting_since(
    connection: Connection, state: VmState, before: datetime.datetime, after_id: int, limit: int
) -> list[Instance]:
    """Servers that nothing is done to and that may have been in a state since before a time, by their ids.

    Only may: see set_state_since. after_id: of the last one of those had before.
    """
    times = (_table.c.state_since <= before, _table.c.state_since.is_(None))
    where = (_table.c.vm_state == state.value, _table.c.deleted_at.is_(None), _table.c.task_state.is_(None))
    numbers: list[int] = []
    # One after the other: no database finds either by an index when they are asked for together.
    for time in times:
        query = select(_table.c.id).where(time, *where, _table.c.id > after_id)
        numbers += connection.scalars(query.order_by(_table.c.id).limit(limit))
    return _numbered(connection, _COLUMNS, sorted(numbers)[:limit])


def set_state_since(connection: Connection, uuid: str, state: VmState, since: datetime.datetime) -> None:
    """Correct since when a server is in its state, where an older release changed the state alone."""
    mine = (_table.c.uuid == uuid, _table.c.vm_state == state.value)
    connection.execute(update(_table).where(*mine).values(state_since=since))


def on_host(connection: Connection, host: str) -> list[Instance]:
    """Every server whose place is this host."""
    rows = connection.execute(select(*_COLUMNS).where(_table.c.host == host, _table.c.deleted_at.is_(None)))
    return [from_row(row) for row in rows]


def parts_on(connection: Connection, hosts: list[str]) -> list[Part]:
    """What the servers of some hosts take there."""
    where = [_table.c.deleted_at.is_(None), _table.c.host.is_not(None)]
    if len(hosts) <= 500:
        where.append(_table.c.host.in_(hosts))
    columns = (_table.c.uuid, _table.c.name, _table.c.node, _table.c.task_state, _table.c.flavor)
    decode = _DOCUMENTS["flavor"].decode
    return [
        Part(row.uuid, row.name, row.node, decode(row.flavor), row.task_state is not None)
        for row in connection.execute(select(*columns).where(*where).order_by(_table.c.id))
    ]


def loads(connection: Connection) -> dict[str, HostLoad]:
    """How many servers hosts have, how many of those are in work that reads and writes much, and which of them came
    or changed of late."""
    is_io = or_(_table.c.vm_state == VmState.BUILDING.value, _table.c.task_state.in_(IO_TASK_STATES))
    is_there = (_table.c.deleted_at.is_(None), _table.c.host.is_not(None))
    query = (
        select(_table.c.host, func.count(), func.sum(case((is_io, 1), else_=0)))
        .where(*is_there)
        .group_by(_table.c.host)
    )
    # The names first: a server that comes between the two queries is counted twice for a moment, never not at all.
    recent: dict[str, list[str]] = {}
    since = utcnow() - _RECENTLY
    for uuid, host in connection.execute(
        select(_table.c.uuid, _table.c.host).where(_table.c.updated_at >= since, *is_there)
    ):
        recent.setdefault(host, []).append(uuid)
    return {
        host: HostLoad(instances=count, io_ops=int(busy), recent=tuple(recent.get(host, ())))
        for host, count, busy in connection.execute(query)
    }


def hosts_of(connection: Connection, uuids: tuple[str, ...], project_id: str) -> tuple[str, ...]:
    """The hosts of some of a project's servers; a server that has none contributes none."""
    if not uuids:
        return ()
    rows = connection.execute(
        select(_table.c.host).where(
            _table.c.uuid.in_(uuids), _table.c.project_id == project_id, _table.c.deleted_at.is_(None)
        )
    )
    return tuple(host for (host,) in rows if host)


def live_uuids(connection: Connection) -> set[str]:
    """Every server there is."""
    return set(connection.scalars(select(_table.c.uuid).where(_table.c.deleted_at.is_(None))))


def recorded(connection: Connection, uuids: set[str]) -> set[str]:
    """Those of some uuids that are servers', deleted ones included."""
    return set(connection.scalars(select(_table.c.uuid).where(_table.c.uuid.in_(uuids))))


def name_is_used(connection: Connection, name: str, project_id: str | None, other_than: str | None = None) -> bool:
    """Whether a server that is not deleted has this very name: in any project for None; other_than is left out."""
    query = select(_table.c.id).where(_table.c.name == name, _table.c.deleted_at.is_(None))
    if project_id is not None:
        query = query.where(_table.c.project_id == project_id)
    if other_than is not None:
        query = query.where(_table.c.uuid != other_than)
    return connection.execute(query.limit(1)).first() is not None


def count_on_host(connection: Connection, host: str) -> int:
    """Servers that are not deleted and whose place is this host."""
    query = select(func.count()).select_from(_table).where(_table.c.host == host, _table.c.deleted_at.is_(None))
    return connection.scalar(query) or 0


def _devices(connection: Connection, uuid: str) -> tuple[BlockDevice, ...]:
    text = connection.scalar(select(_table.c.block_devices).where(_table.c.uuid == uuid).with_for_update())
    return msgspec.json.decode(text or "[]", type=tuple[BlockDevice, ...])


def _as_their_users_wish(connection: Connection, uuid: str, devices: Iterable[BlockDevice]) -> tuple[BlockDevice, ...]:
    wishes = {device.id: device.delete_on_termination for device in _devices(connection, uuid)}
    return tuple(
        msgspec.structs.replace(device, delete_on_termination=wishes.get(device.id, device.delete_on_termination))
        for device in devices
    )


def _to_columns(fields: dict[str, Any]) -> dict[str, Any]:
    values = {}
    for name, value in fields.items():
        if name in _DOCUMENTS:
            values[name] = None if value is None else _encode(value).decode()
        else:
            values[name] = value
    if "flavor" in fields:
        values["flavor_id"] = fields["flavor"].id
    return values


def unique_name(connection: Connection, name: str, scope: str, project_id: str, other_than: str | None = None) -> None:
    """Raises NameExists where [DEFAULT] osapi_compute_unique_server_name_scope forbids the name."""
    if scope and name_is_used(connection, name, project_id if scope == "project" else None, other_than):
        raise errors.NameExists(name=name)
