"""Connections of guests that nothing allows any more: the kernel lets what it has accepted once go on for as long as it likes.

An address that has come to a port brings nothing along of what it had opened under another port. What rules no longer allow
ends with them; all else goes on.
"""

import ipaddress
import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from nova.network.host.commands import CommandFailed
from nova.network.host.firewall import Guarded
from nova.privileged import connections
from nova.privileged.separation import call
from nova.privileged.sockets import METADATA
from nova.structs.networking import SecurityGroupRule
from nova.structs.security_group_rules import PROTOCOLS

LOG = logging.getLogger(__name__)

_TCP, _UDP, _ICMP, _ICMPV6 = 6, 17, 1, 58
_ICMP_NAMES = ("icmp", "1", "icmpv6", "ipv6-icmp", "58")
_WITH_PORTS = (_TCP, _UDP, 132)

Rules = Mapping[str, Sequence[SecurityGroupRule]]
Members = Mapping[str, set[str]]


class Connection(msgspec.Struct, frozen=True, array_like=True):
    """What nova.privileged.connections tells of one. first and second: its ports, or type and code of ICMP."""

    zone: int
    protocol: int
    source: str
    destination: str
    first: int
    second: int
    answers_from: str
    answers_to: str
    is_expected: bool
    key: bytes


class _Allowed(msgspec.Struct, frozen=True):
    """What was allowed at a time, in a form to compare. owners: port id by bridge and address."""

    owners: dict[tuple[str, str], str]
    groups: dict[str, frozenset[str]]
    rules: dict[str, frozenset[tuple[Any, ...]]]
    members: dict[str, set[str]]


class GuestConnections:
    """Ends what the filters of one host do not allow any more."""

    def __init__(self) -> None:
        # At a daemon's start: what was allowed until then is not known, but whatever is not now, ends.
        self._before: _Allowed | None = None

    def follow(self, ports: Sequence[Guarded], rules: Rules, members: Members, zones: Mapping[str, int]) -> None:
        """After the filters for these have been loaded. What fails is logged, and tried again the next time."""
        filtered = [port for port in ports if port.is_filtered and port.bridge in zones]
        now = _allowed(filtered, rules, members)
        arrived, shrunk = _arrived(self._before, now), _shrunk(self._before, now)
        try:
            if arrived or shrunk:
                judge = _Judge(filtered, rules, members, zones, arrived, shrunk)
                found = _tracked("", sorted({zones[port.bridge] for port in filtered}))
                _forget("", [one for one in found if judge.ends(one)])
        except (CommandFailed, OSError) as error:
            LOG.warning("connections that are not allowed any more go on: %s", error)
        else:
            self._before = now


class _Judge:
    def __init__(
        self,
        ports: Iterable[Guarded],
        rules: Rules,
        members: Members,
        zones: Mapping[str, int],
        arrived: set[tuple[str, str]],
        shrunk: set[str],
    ) -> None:
        self._rules, self._members = rules, members
        self._arrived = {(zones[bridge], address) for bridge, address in arrived if bridge in zones}
        self._shrunk = shrunk
        self._ports = {(zones[port.bridge], address): port for port in ports for address in port.addresses}
        self._ranges = [key for key in self._ports if "/" in key[1]]

    def ends(self, one: Connection) -> bool:
        if one.is_expected:
            return False
        source, destination = self._key(one.zone, one.source), self._key(one.zone, one.destination)
        if source in self._arrived:
            return True
        if (
            source in self._ports
            and self._ports[source].port_id in self._shrunk
            and not self._passes("egress", source, one)
        ):
            return True
        is_due = destination in self._arrived or (
            destination in self._ports and self._ports[destination].port_id in self._shrunk
        )
        return is_due and destination in self._ports and not self._passes("ingress", destination, one)

    def _key(self, zone: int, address: str) -> tuple[int, str]:
        """As the filters find a port: its own address first, then a range."""
        if (zone, address) in self._ports or not self._ranges:
            return zone, address
        net = ipaddress.ip_address(address)
        for number, text in self._ranges:
            if number == zone and net in ipaddress.ip_network(text):
                return number, text
        return zone, address

    def _passes(self, direction: str, key: tuple[int, str], one: Connection) -> bool:
        remote = one.source if direction == "ingress" else one.destination
        is_dhcp = one.protocol == _UDP and {one.first, one.second} == {67, 68}
        if is_dhcp or (direction == "egress" and (remote, one.protocol, one.second) == (METADATA, _TCP, 80)):
            return True
        return any(
            rule.direction == direction and _matches(rule, one, remote, self._members)
            for group in self._ports[key].groups
            for rule in self._rules.get(group, ())
        )


def _matches(rule: SecurityGroupRule, one: Connection, remote: str, members: Members) -> bool:
    """As firewall.ruleset() has the kernel match the connection's first packet."""
    version = 4 if rule.ethertype == "IPv4" else 6
    if (6 if ":" in remote else 4) != version:
        return False
    if rule.remote_group_id and not _is_in(remote, members.get(rule.remote_group_id, ())):
        return False
    if not rule.remote_group_id and rule.remote_ip_prefix and not _is_in(remote, [rule.remote_ip_prefix]):
        return False
    if rule.protocol is None:
        return rule.port_range_min is None
    first, last = rule.port_range_min, rule.port_range_max
    if rule.protocol in _ICMP_NAMES:
        is_type = first is None or one.first == first
        return one.protocol == (_ICMP if version == 4 else _ICMPV6) and is_type and (last is None or one.second == last)
    number = int(PROTOCOLS.get(rule.protocol, rule.protocol))
    if first is None:
        return one.protocol == number
    return number in _WITH_PORTS and one.protocol == number and first <= one.second <= (first if last is None else last)


def _is_in(address: str, ranges: Iterable[str]) -> bool:
    if address in ranges:
        return True
    parsed = ipaddress.ip_address(address)
    return any(parsed in ipaddress.ip_network(text) for text in ranges if "/" in text)


def _allowed(ports: Iterable[Guarded], rules: Rules, members: Members) -> _Allowed:
    return _Allowed(
        {(port.bridge, address): port.port_id for port in ports for address in port.addresses},
        {port.port_id: frozenset(port.groups) for port in ports},
        {group: frozenset(_said(rule) for rule in of_group) for group, of_group in rules.items()},
        {group: set(addresses) for group, addresses in members.items()},
    )


def _said(rule: SecurityGroupRule) -> tuple[Any, ...]:
    ports = (rule.port_range_min, rule.port_range_max)
    return (rule.direction, rule.ethertype, rule.protocol, *ports, rule.remote_ip_prefix, rule.remote_group_id)


def _arrived(before: _Allowed | None, now: _Allowed) -> set[tuple[str, str]]:
    """(bridge, address) of what a port has that it did not have here."""
    if before is None:
        return set()
    return {key for key, port_id in now.owners.items() if before.owners.get(key) != port_id}


def _shrunk(before: _Allowed | None, now: _Allowed) -> set[str]:
    """The ports that are allowed less than before, or for all that is known."""
    if before is None:
        return set(now.groups)
    lost = {group for group, addresses in before.members.items() if addresses - now.members.get(group, set())}
    less = {group for group, of_group in before.rules.items() if of_group - now.rules.get(group, frozenset())}
    # The seventh is the group whose members it names.
    less |= {group for group, of_group in now.rules.items() if any(said[6] in lost for said in of_group)}
    return {
        port_id
        for port_id, groups in now.groups.items()
        if before.groups.get(port_id, groups) - groups or groups & less
    }


def forget_translations(space: str, translated: Mapping[str, str], own: str) -> None:
    """In a router: connections of addresses that the router has no more, or that lead to another guest now.

    translated: the floating address of each fixed one. own: the router's own. What fails is logged.
    """

    def ends(one: Connection) -> bool:
        is_sent = one.answers_to not in (one.source, own, translated.get(one.source))
        is_led = one.answers_from != one.destination and translated.get(one.answers_from) != one.destination
        return is_sent or is_led

    try:
        _forget(space, [one for one in _tracked(space, [0]) if ends(one)])
    except (CommandFailed, OSError) as error:
        LOG.warning("connections through addresses that a router has no more go on: %s", error)


def _tracked(space: str, zones: list[int]) -> list[Connection]:
    found: list[Any] = call(connections.tracked, space, zones)
    return [Connection(*one) for one in found]


def _forget(space: str, ended: Sequence[Connection]) -> None:
    if ended:
        LOG.info("%d connections end, which nothing allows any more", len(ended))
        call(connections.forget, space, [one.key for one in ended])
