"""Queries about networks, ports and the other nouns of nova.structs.networking, the same for all of them.

A record is stored whole, as a document; the columns beside it are what queries and constraints need.
Functions run in their caller's transaction.
"""

import json
from collections.abc import Collection, Mapping, Sequence
from typing import Any, TypeVar

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection
from sqlalchemy.exc import IntegrityError

from nova.db import addresses
from nova.db.models import networks as tables
from nova.structs import networking as nouns

R = TypeVar("R", bound=nouns.Record)
Where = Mapping[str, Sequence[Any]]

TABLES: dict[str, Any] = {
    "network": tables.Network,
    "subnet": tables.Subnet,
    "port": tables.Port,
    "security_group": tables.SecurityGroup,
    "security_group_rule": tables.SecurityGroupRule,
    "router": tables.Router,
    "floatingip": tables.FloatingIp,
}

# Not a noun: the row that is locked while a project's records are counted. The cloud as a whole has one, too.
_LOCK = "*"
_CLOUD = ""

_DECODE = {noun: msgspec.json.Decoder(kind).decode for noun, kind in nouns.KINDS.items()}
_encode = msgspec.json.Encoder().encode


def find(connection: Connection, noun: str, where: Where, lock: bool = False) -> list[Any]:
    """The records of a noun, oldest first; each key of where names values of which one must match.

    lock: nobody else changes or locks them until the transaction ends. Keys are columns of the noun's table, and: visible_to (a project), for ports ip_address,
    subnet_id and security_group_id.
    """
    table = TABLES[noun]
    query = sa.select(table.document)
    for key, values in where.items():
        query = query.where(_condition(noun, table, key, list(values)))
    if lock:
        # In one order for all, so that two never wait for each other.
        query = query.order_by(table.id).with_for_update()
    decode = _DECODE[noun]
    records = [decode(document) for (document,) in connection.execute(query)]
    return sorted(records, key=lambda record: (record.created_at, record.id))


def insert(connection: Connection, record: nouns.Record) -> None:
    """Add a record; a port with the subnets of its network locked."""
    connection.execute(sa.insert(TABLES[record.noun]).values(id=record.id, **_columns(record)))
    if isinstance(record, nouns.Subnet):
        addresses.count_anew(connection, record)
    if isinstance(record, nouns.Port):
        _add_addresses(connection, record.id, [(one.subnet_id, one.ip_address) for one in record.fixed_ips])
        _insert_groups(connection, record)


def replace(connection: Connection, record: nouns.Record, read_revision: int) -> bool:
    """Write a record anew; False when it is no longer at read_revision."""
    table = TABLES[record.noun]
    done = connection.execute(
        sa.update(table).where(table.id == record.id, table.revision_number == read_revision).values(**_columns(record))
    )
    if done.rowcount != 1:
        return False
    if isinstance(record, nouns.Port):
        _replace_addresses(connection, record)
        # Links are few; writing them anew is simpler than telling them apart.
        connection.execute(sa.delete(tables.PortSecurityGroup).where(tables.PortSecurityGroup.port_id == record.id))
        _insert_groups(connection, record)
    return True


def delete(connection: Connection, noun: str, ids: Collection[str]) -> int:
    """How many there were. The addresses of ports go back to their subnets."""
    table = TABLES[noun]
    if noun == "port" and ids:
        _drop_addresses(connection, _addresses(connection, ids))
    return connection.execute(sa.delete(table).where(table.id.in_(ids))).rowcount


def count(connection: Connection, noun: str, project_id: str) -> int:
    """How many a project has. The number stands until the transaction ends only after lock_project()."""
    table = TABLES[noun]
    return connection.execute(
        sa.select(sa.func.count()).select_from(table).where(table.project_id == project_id)
    ).scalar_one()


def segments(connection: Connection) -> set[str]:
    """What carries the networks there are, as segment_of() names it."""
    query = sa.select(tables.Network.segment).where(tables.Network.segment.is_not(None))
    return {segment for segment in connection.scalars(query) if segment}


def segment_of(network: nouns.Network) -> str | None:
    """The name of what carries a network between hosts; one carries no second network."""
    if network.segmentation_id is not None:
        return f"{network.network_type}:{network.physical_network or ''}:{network.segmentation_id}"
    return f"flat:{network.physical_network}" if network.physical_network else None


def port_at(connection: Connection, subnet_id: str, address: str) -> str | None:
    """The port that has an address."""
    held = tables.PortAddress
    return connection.scalar(sa.select(held.port_id).where(held.subnet_id == subnet_id, held.address == address))


def mac_is_taken(connection: Connection, network_id: str, mac: str) -> bool:
    """By a port of this network: the same address may be in use on another one."""
    query = sa.select(tables.Port.id).where(tables.Port.network_id == network_id, tables.Port.mac_address == mac)
    return connection.execute(query).first() is not None


def used_addresses(connection: Connection) -> list[tuple[str, int]]:
    """(subnet id, addresses given) of every subnet that gave any."""
    query = sa.select(tables.PortAddress.subnet_id, sa.func.count()).group_by(tables.PortAddress.subnet_id)
    return [(subnet_id, number) for subnet_id, number in connection.execute(query)]


def lock_cloud(connection: Connection) -> None:
    """Nobody else chooses what must be unique in the whole cloud until the transaction ends."""
    lock_project(connection, _CLOUD)


def lock_project(connection: Connection, project_id: str) -> dict[str, int]:
    """A project's own limits by noun; nobody else counts and adds what it has until the transaction ends."""
    quota = tables.NetworkQuota
    query = sa.select(quota.noun, quota.hard_limit).where(quota.project_id == project_id).with_for_update()
    found = dict(connection.execute(query).tuples().all())
    if _LOCK not in found:
        try:
            with connection.begin_nested():
                connection.execute(sa.insert(quota).values(project_id=project_id, noun=_LOCK, hard_limit=-1))
        except IntegrityError:
            found = dict(connection.execute(query).tuples().all())
    found.pop(_LOCK, None)
    return found


def quotas(connection: Connection, project_id: str | None) -> list[nouns.Quota]:
    """The limits that projects have of their own; of all projects for None."""
    query = sa.select(tables.NetworkQuota.project_id, tables.NetworkQuota.noun, tables.NetworkQuota.hard_limit)
    query = query.where(tables.NetworkQuota.noun != _LOCK)
    if project_id is not None:
        query = query.where(tables.NetworkQuota.project_id == project_id)
    return [nouns.Quota(*row) for row in connection.execute(query)]


def set_quotas(connection: Connection, project_id: str, limits: Mapping[str, int]) -> None:
    """Limits by noun; -1 is none. Those of other nouns stay."""
    delete_quotas(connection, project_id, limits)
    if limits:
        connection.execute(
            sa.insert(tables.NetworkQuota),
            [{"project_id": project_id, "noun": noun, "hard_limit": limit} for noun, limit in limits.items()],
        )


def delete_quotas(connection: Connection, project_id: str, of: Collection[str] | None = None) -> None:
    """Fall back to the defaults for these nouns; for all without them."""
    statement = sa.delete(tables.NetworkQuota).where(tables.NetworkQuota.project_id == project_id)
    if of is not None:
        statement = statement.where(tables.NetworkQuota.noun.in_(list(of)))
    connection.execute(statement)


def _condition(noun: str, table: Any, key: str, values: list[Any]) -> Any:
    if key == "visible_to":
        return _visible(noun, table, values)
    if noun == "port" and key in ("ip_address", "subnet_id"):
        column = tables.PortAddress.address if key == "ip_address" else tables.PortAddress.subnet_id
        return table.id.in_(sa.select(tables.PortAddress.port_id).where(column.in_(values)))
    if noun == "port" and key == "security_group_id":
        link = tables.PortSecurityGroup
        return table.id.in_(sa.select(link.port_id).where(link.security_group_id.in_(values)))
    return getattr(table, key).in_(values)


def _visible(noun: str, table: Any, projects: list[str]) -> Any:
    # Ports of DHCP servers, gateways and floating IPs are nobody's, and who has no project is not nobody.
    projects = [project for project in projects if project]
    own = table.project_id.in_(projects)
    network = tables.Network
    everybodys = sa.or_(network.shared.is_(True), network.is_external.is_(True))
    if noun == "network":
        return sa.or_(own, everybodys)
    if noun == "subnet":
        # A subnet of an external network is its owner's business.
        return sa.or_(own, table.network_id.in_(sa.select(network.id).where(network.shared.is_(True))))
    if noun == "port":
        # Whoever owns the network sees what is on it.
        return sa.or_(own, table.network_id.in_(sa.select(network.id).where(network.project_id.in_(projects))))
    return own


def _columns(record: nouns.Record) -> dict[str, Any]:
    table = TABLES[record.noun]
    columns: dict[str, Any] = {"document": _encode(record).decode()}
    for name in table.__table__.columns.keys():  # noqa: SIM118 - not a dict
        if name not in ("id", "document"):
            columns[name] = _derived(record, name) if name in ("segment", "matches") else getattr(record, name)
    return columns


def _derived(record: Any, name: str) -> str | None:
    if name == "segment":
        return segment_of(record)
    return json.dumps(
        [
            record.direction,
            record.ethertype,
            record.protocol,
            record.port_range_min,
            record.port_range_max,
            record.remote_ip_prefix,
            record.remote_group_id,
        ]
    )


def _replace_addresses(connection: Connection, port: nouns.Port) -> None:
    """What a port keeps is not touched."""
    before = set(_addresses(connection, [port.id]))
    now = [(one.subnet_id, one.ip_address) for one in port.fixed_ips]
    _drop_addresses(connection, before.difference(now))
    _add_addresses(connection, port.id, [one for one in now if one not in before])


def _addresses(connection: Connection, ports: Collection[str]) -> list[tuple[str, str]]:
    held = tables.PortAddress
    query = sa.select(held.subnet_id, held.address).where(held.port_id.in_(ports))
    return [(subnet_id, address) for subnet_id, address in connection.execute(query)]


def _add_addresses(connection: Connection, port_id: str, added: Sequence[tuple[str, str]]) -> None:
    if not added:
        return
    rows = [{"subnet_id": subnet_id, "address": address, "port_id": port_id} for subnet_id, address in added]
    connection.execute(sa.insert(tables.PortAddress), rows)
    for subnet_id, address in added:
        addresses.take(connection, subnet_id, address)


def _drop_addresses(connection: Connection, dropped: Collection[tuple[str, str]]) -> None:
    if not dropped:
        return
    subnets = find(connection, "subnet", {"id": sorted({subnet_id for subnet_id, _ in dropped})}, lock=True)
    by_id = {subnet.id: subnet for subnet in subnets}
    held = tables.PortAddress
    for subnet_id, address in sorted(dropped):
        connection.execute(sa.delete(held).where(held.subnet_id == subnet_id, held.address == address))
        addresses.give_back(connection, by_id[subnet_id], address)


def _insert_groups(connection: Connection, port: nouns.Port) -> None:
    if port.security_groups:
        connection.execute(
            sa.insert(tables.PortSecurityGroup),
            [{"port_id": port.id, "security_group_id": group} for group in port.security_groups],
        )
