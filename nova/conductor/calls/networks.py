"""Calls about networks: the records of nova-network, changed in one transaction each.

What a record leaves open is chosen, and what other records forbid is refused, inside that transaction, with the
rows locked that matter (nova.conductor.acceptance). Where two choices still collide, the database's constraints refuse
one, and it is made again.
"""

import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

import msgspec
from sqlalchemy.engine import Connection
from sqlalchemy.exc import IntegrityError

from nova import clock, concurrency, errors
from nova.conductor.acceptance import network_rules, port_addresses, router_rules
from nova.conductor.calls.dhcp_leases import DhcpLeaseCalls
from nova.db import addresses
from nova.db import networks as db
from nova.db.engine import Database
from nova.structs.networking import (
    KINDS,
    AnyRecord,
    Carriers,
    FixedIp,
    FloatingIp,
    Network,
    Port,
    Quota,
    Record,
    Router,
    SecurityGroup,
    SecurityGroupRule,
    Subnet,
)
from nova.structs.security_group_rules import first_rules

T = TypeVar("T")

_ATTEMPTS = 10
# Ports that exist for their network's sake, and go with it.
_OWN_PORTS = ("network:dhcp",)
# Records that come with an address which is chosen.
_CHOOSING = Port | Subnet | Router


class NetworkingCalls(DhcpLeaseCalls):
    """refresh brings what users see of servers up to date with their ports."""

    def __init__(self, database: Database, refresh: Callable[[Iterable[str]], None] = lambda servers: None) -> None:
        super().__init__(database)
        self._refresh = refresh

    def networking(self, noun: str, where: Mapping[str, list[Any]]) -> list[AnyRecord]:
        return self._database.read(lambda connection: db.find(connection, noun, where))

    def networking_of(self, questions: list[tuple[str, dict[str, list[Any]]]]) -> list[list[AnyRecord]]:
        return self._database.read(lambda connection: [db.find(connection, noun, where) for noun, where in questions])

    def add_networking(
        self, records: list[AnyRecord], limits: dict[str, int], carriers: Carriers | None = None
    ) -> list[AnyRecord]:
        """A record of an id that is there is given as it is. What is chosen here, and collides, is chosen anew."""

        def add(connection: Connection) -> list[AnyRecord]:
            network_rules.check_quota(connection, records, limits)
            added: list[AnyRecord] = []
            for record in records:
                existing = db.find(connection, record.noun, {"id": [record.id]})
                added.append(existing[0] if existing else _add(connection, record, added, carriers))
            return added

        added = self._again_on_collision(add, records, any(isinstance(record, _CHOOSING) for record in records))
        self._show_at_servers({record.port_id for record in added if isinstance(record, FloatingIp)})
        self._show_at_servers(self._self_addressed([record for record in added if isinstance(record, Subnet)]))
        return added

    def change_networking(self, record: AnyRecord) -> AnyRecord:
        """Servers whose ports are shown differently are refreshed afterwards."""
        ports: set[str | None] = set()

        def change(connection: Connection) -> AnyRecord:
            before = network_rules.locked(connection, type(record), record.id)
            changed = _changed(connection, record, before)
            ports.update(_ports_shown_differently(before, changed))
            return changed

        changed = self._again_on_collision(change, [record], isinstance(record, _CHOOSING))
        self._show_at_servers(ports)
        return changed

    def delete_networking(self, noun: str, record_id: str) -> None:
        """Servers that lose a port or a floating IP by it are refreshed afterwards."""
        try:
            deleted = self._database.write(lambda connection: _delete(connection, noun, record_id))
        except IntegrityError as error:
            raise errors.NetworkingInUse(noun=noun, id=record_id) from error
        if isinstance(deleted, FloatingIp):
            self._show_at_servers([deleted.port_id])
        if isinstance(deleted, Port) and deleted.device_owner.startswith("compute:"):
            concurrency.spawn(self._refresh, {deleted.device_id})

    def default_security_group(self, project_id: str, trusts_members: bool) -> SecurityGroup:
        """Two who need it at the same moment get one group."""

        def find(connection: Connection) -> list[SecurityGroup]:
            return db.find(connection, "security_group", {"default_of": [project_id]})

        def find_or_add(connection: Connection) -> list[SecurityGroup]:
            db.lock_project(connection, project_id)
            group = SecurityGroup(
                id=str(uuid.uuid4()),
                project_id=project_id,
                name="default",
                description="Default security group",
                default_of=project_id,
            )
            groups = find(connection)
            if groups:
                return groups
            records: list[AnyRecord] = [group, *first_rules(group, trusts_members)]
            for record in records:
                _add(connection, record, [])
            return find(connection)

        return (self._database.read(find) or self._database.write(find_or_add))[0]

    def add_router_interface(self, router_id: str, port_id: str | None = None, subnet_id: str | None = None) -> Port:
        def add(connection: Connection) -> Port:
            router = network_rules.locked(connection, Router, router_id)
            port = router_rules.interface(connection, router, port_id, subnet_id)
            joined = _changed(connection, port, port) if port_id else _add(connection, port, [])
            assert isinstance(joined, Port)
            return joined

        return self._again_on_collision(add, [], has_choice=True)

    def used_addresses(self) -> dict[str, int]:
        return dict(self._database.read(db.used_addresses))

    def network_quotas(self, project_id: str | None = None) -> list[Quota]:
        return self._database.read(lambda connection: db.quotas(connection, project_id))

    def set_network_quota(self, project_id: str, limits: dict[str, int] | None) -> None:
        """None: back to the defaults, for every noun."""

        def change(connection: Connection) -> None:
            if limits is None:
                db.delete_quotas(connection, project_id)
            else:
                db.set_quotas(connection, project_id, limits)

        self._database.write(change)

    def _show_at_servers(self, ports: Iterable[str | None]) -> None:
        """Refresh soon what users see of the servers with these ports, as after an event that a Neutron sends."""
        wanted = [port for port in ports if port]
        if not wanted:
            return
        records = self._database.read(lambda connection: db.find(connection, "port", {"id": wanted}))
        servers = {port.device_id for port in records if port.device_owner.startswith("compute:")}
        if servers:
            concurrency.spawn(self._refresh, servers)

    def _self_addressed(self, subnets: Sequence[Subnet]) -> list[str]:
        """The ports that have got an address by themselves on these new subnets."""
        ids = [subnet.id for subnet in subnets if subnet.ip_version == 6]
        if not ids:
            return []
        return [
            port.id for port in self._database.read(lambda connection: db.find(connection, "port", {"subnet_id": ids}))
        ]

    def _again_on_collision(self, work: Callable[[Connection], T], records: Sequence[AnyRecord], has_choice: bool) -> T:
        """has_choice: whether work chooses an address or a MAC, and may choose another one."""
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                return self._database.write(work)
            except IntegrityError as error:
                if attempt == _ATTEMPTS or not has_choice:
                    raise self._explain(error, records) from error
        raise AssertionError("unreachable")

    def _explain(self, error: IntegrityError, records: Sequence[AnyRecord]) -> errors.DomainError:
        """Why the database refused: something is missing, or there already."""

        together = {record.id for record in records}

        def explain(connection: Connection) -> errors.DomainError:
            for record in records:
                for noun, wanted in _references(record):
                    if wanted not in together and not db.find(connection, noun, {"id": [wanted]}):
                        return errors.NetworkingNotFound(noun=noun, id=wanted)
            # A port that comes with something else is not what was asked for.
            asked = [record.noun for record in records if record.noun != "port"] or ["port"]
            return errors.NetworkingExists(noun=asked[0])

        return self._database.read(explain)


def _add(
    connection: Connection, record: AnyRecord, before: Sequence[AnyRecord], carriers: Carriers | None = None
) -> AnyRecord:
    """Add a record, and what comes with it. before: what the same request has added."""
    now = clock.utcnow()
    record = msgspec.structs.replace(record, created_at=record.created_at or now, updated_at=now)
    match record:
        case Network() if carriers is not None:
            record = network_rules.choose_segment(connection, record, carriers)
        case Subnet():
            network_rules.check_overlap(connection, record)
        case Port():
            record = port_addresses.complete(connection, record)
        case FloatingIp():
            if not record.floating_ip_address:
                port = next(each for each in before if isinstance(each, Port) and each.id == record.floating_port_id)
                record = msgspec.structs.replace(record, floating_ip_address=port.fixed_ips[0].ip_address)
            record = router_rules.associate(connection, record)
        case Router():
            record = router_rules.with_gateway(connection, record)
    db.insert(connection, record)
    if isinstance(record, Subnet):
        _keep_dhcp_port(connection, record)
        for port in network_rules.self_addressed(connection, record):
            _changed(connection, msgspec.structs.replace(port, fixed_ips=(*port.fixed_ips, FixedIp(record.id))), port)
    return record


def _changed(connection: Connection, record: AnyRecord, before: AnyRecord) -> AnyRecord:
    """Put a record in the place of the one before. Raises GenerationConflict when it was made from another one."""
    if record.revision_number != before.revision_number:
        raise errors.GenerationConflict(what=f"the {record.noun} {record.id}")
    match record, before:
        case Port(), Port():
            record = port_addresses.complete(connection, record, before)
        case Subnet(), Subnet():
            network_rules.check_gateway(connection, record, before)
        case FloatingIp(), FloatingIp() if _target(record) != _target(before):
            record = router_rules.associate(connection, record)
        case Network(), Network():
            network_rules.check_network(connection, record, before)
        case Router(), Router():
            record = router_rules.with_gateway(connection, record, before)
            if record.routes != before.routes:
                router_rules.check_routes(connection, record)
    revision = before.revision_number
    record = msgspec.structs.replace(record, revision_number=revision + 1, updated_at=clock.utcnow())
    db.replace(connection, record, revision)
    if isinstance(record, Subnet):
        if _pools(record) != _pools(before):
            addresses.count_anew(connection, record)
        _keep_dhcp_port(connection, record)
    return record


def _keep_dhcp_port(connection: Connection, subnet: Subnet) -> None:
    missing, superfluous = network_rules.dhcp_ports(connection, subnet)
    for port in missing:
        _add(connection, port, [])
    db.delete(connection, "port", [port.id for port in superfluous])


def _delete(connection: Connection, noun: str, record_id: str) -> Record:
    """Delete a record and what belongs to it alone; the record."""
    record = network_rules.locked(connection, KINDS[noun], record_id)
    match record:
        case Network():
            _delete_own_parts(connection, record_id)
        case Subnet():
            _delete_own_ports(connection, {"subnet_id": [record_id]})
            _take_self_given(connection, record)
        case Port():
            router_rules.check_leaves(connection, record)
            _release_floating_ips(connection, record_id)
        case Router():
            router_rules.with_gateway(connection, msgspec.structs.replace(record, external_network_id=None), record)
            # Anybody may name a router as the device of a port; its own ports have an owner that nobody may say.
            if db.find(connection, "port", {"device_id": [record_id], "device_owner": [router_rules.INTERFACE]}):
                raise errors.NetworkingInUse(noun=noun, id=record_id)
    db.delete(connection, noun, [record_id])
    if isinstance(record, FloatingIp):
        db.delete(connection, "port", [record.floating_port_id])
    return record


def _delete_own_parts(connection: Connection, network_id: str) -> None:
    _delete_own_ports(connection, {"network_id": [network_id]})
    subnets = db.find(connection, "subnet", {"network_id": [network_id]})
    db.delete(connection, "subnet", [subnet.id for subnet in subnets])


def _delete_own_ports(connection: Connection, where: Mapping[str, list[str]]) -> None:
    ports = db.find(connection, "port", {**where, "device_owner": list(_OWN_PORTS)})
    db.delete(connection, "port", [port.id for port in ports])


def _take_self_given(connection: Connection, subnet: Subnet) -> None:
    """Addresses that guests gave themselves on a subnet end with it, and keep it from nothing."""
    for port in network_rules.self_addressed(connection, subnet):
        kept = tuple(fixed_ip for fixed_ip in port.fixed_ips if fixed_ip.subnet_id != subnet.id)
        if kept != port.fixed_ips:
            _changed(connection, msgspec.structs.replace(port, fixed_ips=kept), port)


def _release_floating_ips(connection: Connection, port_id: str) -> None:
    for floating_ip in db.find(connection, "floatingip", {"port_id": [port_id]}):
        free = msgspec.structs.replace(
            floating_ip,
            port_id=None,
            fixed_ip_address=None,
            router_id=None,
            revision_number=floating_ip.revision_number + 1,
            updated_at=clock.utcnow(),
        )
        db.replace(connection, free, floating_ip.revision_number)


def _ports_shown_differently(before: AnyRecord, now: AnyRecord) -> Iterable[str | None]:
    """The ports that look different to users of their servers after this change."""
    match before, now:
        case FloatingIp(), FloatingIp() if before.port_id != now.port_id:
            yield from (before.port_id, now.port_id)
        case Port(), Port():
            if (before.fixed_ips, before.security_groups) != (now.fixed_ips, now.security_groups):
                yield now.id


def _pools(subnet: AnyRecord) -> tuple[object, ...]:
    """What decides which addresses a subnet has to give."""
    return (subnet.allocation_pools, subnet.gateway_ip) if isinstance(subnet, Subnet) else ()


def _target(floating_ip: FloatingIp) -> tuple[str | None, str | None]:
    return floating_ip.port_id, floating_ip.fixed_ip_address


def _references(record: AnyRecord) -> Iterable[tuple[str, str]]:
    if isinstance(record, Subnet | Port):
        yield "network", record.network_id
    if isinstance(record, Port):
        yield from (("security_group", group) for group in record.security_groups)
    if isinstance(record, Router) and record.external_network_id:
        yield "network", record.external_network_id
    if isinstance(record, FloatingIp):
        yield "network", record.floating_network_id
    if isinstance(record, SecurityGroupRule):
        yield "security_group", record.security_group_id
        if record.remote_group_id:
            yield "security_group", record.remote_group_id
