"""Calls about networks: what nova-network keeps, changed in one transaction each.

Addresses and MACs are chosen inside the transaction that commits them, with the subnets locked;
where two still collide, the database's constraints refuse one and it chooses again.
"""

import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

import msgspec
from sqlalchemy.engine import Connection
from sqlalchemy.exc import IntegrityError

from nova import clock, concurrency, errors
from nova.db import networks as db
from nova.db.engine import Database
from nova.network import ipam
from nova.structs.networking import AnyRecord, FixedIp, FloatingIp, Network, Port, Quota, Router, Subnet

T = TypeVar("T")

_ATTEMPTS = 10
# Ports that exist for their network's sake, and go with it.
_OWN_PORTS = ("network:dhcp",)


class NetworkingCalls:
    """refresh brings what users see of servers up to date with their ports."""

    def __init__(self, database: Database, refresh: Callable[[Iterable[str]], None] = lambda servers: None) -> None:
        self._database = database
        self._refresh = refresh

    def networking(self, noun: str, where: Mapping[str, list[Any]]) -> list[AnyRecord]:
        return self._database.read(lambda connection: db.find(connection, noun, where))

    def networking_of(self, questions: list[tuple[str, dict[str, list[Any]]]]) -> list[list[AnyRecord]]:
        return self._database.read(lambda connection: [db.find(connection, noun, where) for noun, where in questions])

    def add_networking(self, records: list[AnyRecord], limits: dict[str, int]) -> list[AnyRecord]:
        def add(connection: Connection) -> list[AnyRecord]:
            _check_quota(connection, records, limits)
            added: list[AnyRecord] = []
            for record in records:
                existing = db.find(connection, record.noun, {"id": [record.id]})
                added.append(existing[0] if existing else _add(connection, record, added))
            return added

        added = self._again_on_collision(add, records)
        self._show_at_servers({one.port_id for one in added if isinstance(one, FloatingIp)})
        return added

    def change_networking(self, record: AnyRecord) -> AnyRecord:
        ports: set[str | None] = set()

        def change(connection: Connection) -> AnyRecord:
            changed = record
            held = db.find(connection, record.noun, {"id": [record.id]})
            if isinstance(record, Port):
                changed = _complete_port(connection, record, held[0] if held else None)
            ports.update(_shown_otherwise(held[0], changed) if held else ())
            read = record.revision_number
            changed = msgspec.structs.replace(changed, revision_number=read + 1, updated_at=clock.utcnow())
            if not db.replace(connection, changed, read):
                raise errors.GenerationConflict(what=f"the {record.noun} {record.id}")
            return changed

        changed = self._again_on_collision(change, [record])
        self._show_at_servers(ports)
        return changed

    def delete_networking(self, noun: str, record_id: str) -> None:
        freed: list[AnyRecord] = []

        def delete(connection: Connection) -> None:
            if noun == "network":
                _delete_own_parts(connection, record_id)
            if noun == "subnet":
                _delete_own_ports(connection, {"subnet_id": [record_id]})
            if noun == "port":
                _release_floating_ips(connection, record_id)
            freed[:] = db.find(connection, "floatingip", {"id": [record_id]}) if noun == "floatingip" else []
            if not db.delete(connection, noun, [record_id]):
                raise errors.NetworkingNotFound(noun=noun, id=record_id)
            for floating_ip in freed:
                db.delete(connection, "port", [floating_ip.floating_port_id])

        try:
            self._database.write(delete)
        except IntegrityError as error:
            raise errors.NetworkingInUse(noun=noun, id=record_id) from error
        self._show_at_servers({one.port_id for one in freed})

    def used_addresses(self) -> dict[str, int]:
        return dict(self._database.read(db.used_addresses))

    def network_quotas(self, project_id: str | None = None) -> list[Quota]:
        return self._database.read(lambda connection: db.quotas(connection, project_id))

    def set_network_quota(self, project_id: str, limits: dict[str, int] | None) -> None:
        def change(connection: Connection) -> None:
            if limits is None:
                db.delete_quotas(connection, project_id)
            else:
                db.set_quotas(connection, project_id, limits)

        self._database.write(change)

    def _show_at_servers(self, ports: Iterable[str | None]) -> None:
        """What users see of the servers with these ports follows soon, as with a Neutron that tells of its changes."""
        wanted = [port for port in ports if port]
        if not wanted:
            return
        found = self._database.read(lambda connection: db.find(connection, "port", {"id": wanted}))
        servers = {port.device_id for port in found if port.device_owner.startswith("compute:")}
        if servers:
            concurrency.spawn(self._refresh, servers)

    def _again_on_collision(self, work: Callable[[Connection], T], records: Sequence[AnyRecord]) -> T:
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                return self._database.write(work)
            except IntegrityError as error:
                if attempt == _ATTEMPTS or not any(isinstance(record, Port) for record in records):
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


def _check_quota(connection: Connection, records: list[AnyRecord], limits: Mapping[str, int]) -> None:
    asked: dict[tuple[str, str], int] = {}
    for record in records:
        if record.noun in limits:
            asked[record.project_id, record.noun] = asked.get((record.project_id, record.noun), 0) + 1
    own = {one: db.lock_quotas(connection, one) for one in sorted({project_id for project_id, _ in asked})}
    for (project_id, noun), number in asked.items():
        limit = own[project_id].get(noun, limits[noun])
        if limit >= 0 and db.count(connection, noun, project_id) + number > limit:
            raise errors.OverQuota(resources=f"['{noun}']")


def _add(connection: Connection, record: AnyRecord, before: list[AnyRecord]) -> AnyRecord:
    now = clock.utcnow()
    record = msgspec.structs.replace(record, created_at=record.created_at or now, updated_at=now)
    if isinstance(record, Port):
        record = _complete_port(connection, record, None)
    if isinstance(record, FloatingIp) and not record.floating_ip_address:
        port = next(one for one in before if one.id == record.floating_port_id)
        record = msgspec.structs.replace(record, floating_ip_address=port.fixed_ips[0].ip_address)
    db.insert(connection, record)
    return record


def _complete_port(connection: Connection, port: Port, before: Port | None) -> Port:
    """Choose what the port leaves open: its MAC and its addresses. before: the port as it is now."""
    if before is not None and (port.mac_address, port.fixed_ips) == (before.mac_address, before.fixed_ips):
        return port
    subnets = db.lock_subnets(connection, [port.network_id])
    own_mac = before.mac_address if before else None
    # A new MAC is taken already once in millions: then the database refuses it, and another is tried.
    mac = port.mac_address or _new_mac()
    if port.mac_address not in ("", own_mac) and db.mac_is_taken(connection, port.network_id, mac):
        raise errors.MacAddressInUse(mac=mac, network_id=port.network_id)
    taken = db.taken_addresses(connection, [subnet.id for subnet in subnets])
    kept = before.fixed_ips if before else ()
    for one in kept:
        taken[one.subnet_id].discard(one.ip_address)
    fixed_ips = ipam.choose(port.network_id, _keep(port.fixed_ips, kept), subnets, taken, mac)
    return msgspec.structs.replace(port, mac_address=mac, fixed_ips=fixed_ips)


def _keep(wanted: tuple[FixedIp, ...], kept: tuple[FixedIp, ...]) -> tuple[FixedIp, ...]:
    """A request that names only a subnet keeps the address the port has there, unless it names that, too."""
    named = {one.ip_address for one in wanted}
    held = {one.subnet_id: one for one in kept if one.ip_address not in named}
    return tuple(held.pop(one.subnet_id, one) if one.subnet_id and not one.ip_address else one for one in wanted)


def _new_mac() -> str:
    tail = random.getrandbits(24).to_bytes(3, "big")
    return "fa:16:3e:" + tail.hex(":")


def _delete_own_parts(connection: Connection, network_id: str) -> None:
    _delete_own_ports(connection, {"network_id": [network_id]})
    subnets = db.find(connection, "subnet", {"network_id": [network_id]})
    db.delete(connection, "subnet", [subnet.id for subnet in subnets])


def _delete_own_ports(connection: Connection, where: Mapping[str, list[str]]) -> None:
    ports = db.find(connection, "port", {**where, "device_owner": list(_OWN_PORTS)})
    db.delete(connection, "port", [port.id for port in ports])


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


def _shown_otherwise(before: AnyRecord, now: AnyRecord) -> Iterable[str | None]:
    """The ports which servers show otherwise after this change."""
    if isinstance(before, FloatingIp) and before.port_id != now.port_id:
        yield from (before.port_id, now.port_id)
    if isinstance(before, Port) and (before.fixed_ips, before.security_groups) != (now.fixed_ips, now.security_groups):
        yield now.id


def _references(record: AnyRecord) -> Iterable[tuple[str, str]]:
    if isinstance(record, Subnet | Port):
        yield "network", record.network_id
    if isinstance(record, Port):
        yield from (("security_group", group) for group in record.security_groups)
    if isinstance(record, Router) and record.external_network_id:
        yield "network", record.external_network_id
    if isinstance(record, FloatingIp):
        yield "network", record.floating_network_id
    if not isinstance(record, Network | Subnet | Port | Router | FloatingIp):
        for noun, field in (("security_group", "security_group_id"), ("security_group", "remote_group_id")):
            wanted = getattr(record, field, None)
            if wanted:
                yield noun, wanted
