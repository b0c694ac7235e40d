"""Which tracked connections end when filters change, and that no other does."""

import pytest

from nova.network.host import connections
from nova.network.host.connections import GuestConnections
from nova.network.host.firewall import Guarded
from nova.structs.networking import SecurityGroupRule

OWN, OTHER, PEER = "10.0.0.5", "10.0.0.6", "192.0.2.9"
ZONE = 7


def rule(direction="ingress", ethertype="IPv4", **values):
    return SecurityGroupRule(
        id="r", project_id="p", security_group_id="g", direction=direction, ethertype=ethertype, **values
    )


def port(port_id="one", addresses=(OWN,), groups=("g",), **values):
    return Guarded(port_id, f"tap{port_id}", "br0", ("fa:16:3e:00:00:01",), addresses, groups, **values)


def connection(source, destination, protocol=17, first=1111, second=9999, zone=ZONE, is_expected=False):
    key = f"{source}>{destination}:{second}".encode()
    return (zone, protocol, source, destination, first, second, destination, source, is_expected, key)


@pytest.fixture
def host(monkeypatch):
    """A host's tracked connections; what is called tells which end when filters become these."""
    tracked, ended = [], []

    def kernel(function, space, what):
        if function is connections.connections.tracked:
            return [one for one in tracked if one[0] in what]
        ended.extend(key.decode() for key in what)
        return None

    monkeypatch.setattr(connections, "call", kernel)
    guests = GuestConnections()

    def change(ports, rules=(), members=None):
        ended.clear()
        guests.follow(ports, {"g": rules}, members or {}, {"br0": ZONE})
        return sorted(ended)

    change.tracked = tracked
    return change


@pytest.mark.parametrize(
    "allowed, one, passes",
    [
        (rule(), connection(PEER, OWN), True),
        (rule(protocol="udp"), connection(PEER, OWN), True),
        (rule(protocol="tcp"), connection(PEER, OWN), False),
        (rule(protocol="17"), connection(PEER, OWN), True),
        (rule(protocol="udp", port_range_min=9000, port_range_max=9999), connection(PEER, OWN), True),
        (rule(protocol="udp", port_range_min=9000, port_range_max=9998), connection(PEER, OWN), False),
        (rule(protocol="dccp", port_range_min=9999, port_range_max=9999), connection(PEER, OWN, 33), False),
        (rule(remote_ip_prefix="192.0.2.0/24"), connection(PEER, OWN), True),
        (rule(remote_ip_prefix="198.51.100.0/24"), connection(PEER, OWN), False),
        (rule(remote_ip_prefix="0.0.0.0/0"), connection(PEER, OWN), True),
        (rule(remote_group_id="friends"), connection(PEER, OWN), True),
        (rule(remote_group_id="friends"), connection("192.0.2.8", OWN), False),
        (rule(remote_group_id="friends"), connection("203.0.113.77", OWN), True),
        (rule(protocol="icmp"), connection(PEER, OWN, 1, 8, 0), True),
        (rule(protocol="icmp", port_range_min=8, port_range_max=0), connection(PEER, OWN, 1, 8, 0), True),
        (rule(protocol="icmp", port_range_min=13), connection(PEER, OWN, 1, 8, 0), False),
        (rule(ethertype="IPv6"), connection(PEER, OWN), False),
        (rule("egress"), connection(PEER, OWN), False),
        (rule("egress"), connection(OWN, PEER), True),
        (rule("ingress"), connection(OWN, PEER), False),
        (rule("egress", remote_ip_prefix="198.51.100.0/24"), connection(OWN, "169.254.169.254", 6, 5000, 80), True),
        (rule("ingress"), connection(OWN, "10.0.0.2", 17, 68, 67), True),
        (rule("egress"), connection(PEER, OWN, is_expected=True), True),
    ],
)
def test_at_a_start_what_the_rules_do_not_allow_ends(host, allowed, one, passes):
    host.tracked.append(one)

    assert host([port()], [allowed], {"friends": {PEER, "203.0.113.0/24"}}) == ([] if passes else [one[-1].decode()])


def test_rules_that_allow_more_end_nothing_and_ask_nothing(host, monkeypatch):
    host([port()], [rule("egress")])
    monkeypatch.setattr(connections, "call", None)

    assert host([port()], [rule("egress"), rule()]) == []
    assert host([port(groups=("g", "h"))], [rule("egress"), rule()]) == []


def test_a_member_that_leaves_a_group_is_let_in_no_more(host):
    rules = [rule(remote_group_id="friends")]
    host([port()], rules, {"friends": {PEER, OTHER}})
    host.tracked += [connection(PEER, OWN), connection(OTHER, OWN)]

    assert host([port()], rules, {"friends": {OTHER}}) == [f"{PEER}>{OWN}:9999"]


def test_what_an_address_has_opened_ends_when_it_comes_to_a_port(host):
    """A guest that moves here is asked by others as before; what the address asked itself may have been another's."""
    rules = [rule("egress"), rule(protocol="udp", port_range_min=53, port_range_max=53)]
    host([], rules)
    host.tracked += [
        connection(OWN, PEER),
        connection(PEER, OWN, second=53),
        connection(PEER, OWN),
        connection(PEER, OTHER),
    ]

    assert host([port()], rules) == [f"{OWN}>{PEER}:9999", f"{PEER}>{OWN}:9999"]
    assert host([port()], rules) == []
    assert host([port("next")], rules) == [f"{OWN}>{PEER}:9999", f"{PEER}>{OWN}:9999"]


def test_a_port_without_security_and_an_address_of_nobody_keep_theirs(host):
    host.tracked += [connection(PEER, OWN), connection(PEER, OTHER), connection(PEER, OWN, zone=8)]

    assert host([port(is_filtered=False, groups=()), port("two", ("10.0.0.7",))]) == []


def test_a_port_is_found_by_its_range(host):
    host.tracked += [connection(PEER, "10.0.9.9"), connection(PEER, OTHER)]

    assert host([port(addresses=(OWN, "10.0.9.0/24"))]) == [f"{PEER}>10.0.9.9:9999"]


@pytest.mark.parametrize(
    "source, destination, answers_from, answers_to, ends",
    [
        ("10.0.0.5", PEER, PEER, "203.0.113.5", False),
        ("10.0.0.5", PEER, PEER, "203.0.113.1", False),
        ("10.0.0.6", PEER, PEER, "203.0.113.5", True),
        ("10.0.0.6", PEER, PEER, "203.0.113.1", False),
        ("10.0.0.5", PEER, PEER, "203.0.113.9", True),
        (PEER, "203.0.113.5", "10.0.0.5", PEER, False),
        (PEER, "203.0.113.5", "10.0.0.6", PEER, True),
        ("10.0.0.5", "10.0.1.5", "10.0.1.5", "10.0.0.5", False),
    ],
)
def test_in_a_router_translations_end_with_their_floating_ip(
    monkeypatch, source, destination, answers_from, answers_to, ends
):
    one = (0, 17, source, destination, 1, 2, answers_from, answers_to, False, b"key")
    ended = []
    monkeypatch.setattr(
        connections,
        "call",
        lambda function, space, what: [one] if function is connections.connections.tracked else ended.extend(what),
    )

    connections.forget_translations("router", {"10.0.0.5": "203.0.113.5"}, "203.0.113.1")

    assert ended == ([b"key"] if ends else [])
