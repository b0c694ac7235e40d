"""From security groups to nftables rules."""

import subprocess

import pytest

from nova.network.host import firewall
from nova.network.host.firewall import Guarded
from nova.structs.networking import SecurityGroupRule

PORT = "11111111-2222-3333-4444-555555555555"


def rule(direction, ethertype="IPv4", **values):
    return SecurityGroupRule(
        id="r", project_id="p", security_group_id="g", direction=direction, ethertype=ethertype, **values
    )


def port(**values):
    defaults = {
        "port_id": PORT,
        "device": firewall.device_of(PORT),
        "bridge": "br0",
        "macs": ("fa:16:3e:00:00:01",),
        "addresses": ("10.0.0.5",),
        "groups": ("g",),
    }
    return Guarded(**{**defaults, **values})


def rules_of(*rules, **values):
    return firewall.ruleset("t", [port(**values)], {"g": rules}, {"g": {"10.0.0.5", "fd00::5"}})


def chain(ruleset, name):
    """The rules of a chain."""
    body = ruleset.split(f"chain {name} {{", 1)[1].split("\n  }", 1)[0]
    return [line.strip() for line in body.splitlines()[1:]]


@pytest.mark.parametrize(
    "allowed, expected",
    [
        (rule("ingress"), "meta nfproto ipv4 accept"),
        (rule("ingress", "IPv6"), "meta nfproto ipv6 accept"),
        (
            rule("ingress", protocol="tcp", port_range_min=22, port_range_max=22),
            "meta nfproto ipv4 tcp dport 22 accept",
        ),
        (
            rule("ingress", protocol="udp", port_range_min=53, port_range_max=60),
            "meta nfproto ipv4 udp dport 53-60 accept",
        ),
        (rule("ingress", protocol="tcp"), "meta nfproto ipv4 meta l4proto 6 accept"),
        (rule("ingress", protocol="89"), "meta nfproto ipv4 meta l4proto 89 accept"),
        (rule("ingress", remote_ip_prefix="10.1.0.0/16"), "meta nfproto ipv4 ip saddr 10.1.0.0/16 accept"),
        (rule("ingress", remote_ip_prefix="0.0.0.0/0"), "meta nfproto ipv4 accept"),
        (rule("ingress", remote_group_id="g"), "meta nfproto ipv4 ip saddr @members4-g accept"),
        (rule("ingress", "IPv6", remote_group_id="g"), "meta nfproto ipv6 ip6 saddr @members6-g accept"),
        (
            rule("ingress", protocol="icmp", port_range_min=8, port_range_max=0),
            "meta nfproto ipv4 meta l4proto icmp icmp type 8 icmp code 0 accept",
        ),
        (rule("ingress", "IPv6", protocol="icmp"), "meta nfproto ipv6 meta l4proto ipv6-icmp accept"),
    ],
)
def test_a_rule_lets_through_what_it_names(allowed, expected):
    assert chain(rules_of(allowed), "ingress-g") == [expected]


@pytest.mark.parametrize("protocol", ["dccp", "udplite", "33", "136", None])
def test_ports_that_cannot_be_told_apart_let_nothing_through(protocol):
    kept = rule("ingress", protocol=protocol, port_range_min=80, port_range_max=80)

    assert chain(rules_of(kept), "ingress-g") == []


def test_an_egress_rule_looks_at_the_destination():
    assert chain(rules_of(rule("egress", remote_ip_prefix="10.1.0.0/16")), "egress-g") == [
        "meta nfproto ipv4 ip daddr 10.1.0.0/16 accept"
    ]


def test_what_no_rule_lets_through_is_dropped():
    rules = rules_of(rule("egress"))

    for direction in ("ingress", "egress"):
        assert chain(rules, f"{direction}-port-{PORT}")[-2:] == [f"jump {direction}-g", "drop"]
    assert chain(rules, f"from-{firewall.device_of(PORT)}")[-1] == "drop"


def test_a_port_without_security_is_in_no_chain():
    assert "10.0.0.5" not in firewall.ruleset("t", [port(is_filtered=False)], {}, {})


@pytest.mark.parametrize(
    "ports, rules, members",
    [
        ([], {}, {}),
        ([port(addresses=(), groups=())], {}, {}),
        ([port(addresses=("10.0.0.5", "10.0.0.0/24", "fd00::5", "fd00::/64"))], {"g": [rule("egress")]}, {}),
        (
            [port()],
            {"g": [rule("ingress", kind, protocol=name) for kind in ("IPv4", "IPv6") for name in firewall._ICMP]},
            {},
        ),
        ([port()], {"g": [rule("ingress", remote_group_id="g")]}, {"g": {"10.0.0.5", "10.0.0.6", "fd00::1"}}),
        (
            [port()],
            {"g": [rule("ingress", protocol=name) for name in ("gre", "esp", "ah", "vrrp", "sctp", "0", "255")]},
            {},
        ),
    ],
    ids=["nothing", "no address", "ranges", "icmp", "members", "protocols"],
)
def test_nftables_understands_the_rules(ports, rules, members):
    ruleset = firewall.ruleset("t", ports, rules, members)

    checked = subprocess.run(["nft", "--check", "-f", "-"], input=ruleset, text=True, capture_output=True)

    assert checked.returncode == 0, checked.stderr


def test_nftables_understands_every_protocol_the_api_takes():
    rules = {"g": [rule("ingress", protocol=name) for name in firewall.PROTOCOLS]}

    ruleset = firewall.ruleset("t", [port()], rules, {})
    checked = subprocess.run(["nft", "--check", "-f", "-"], input=ruleset, text=True, capture_output=True)

    assert checked.returncode == 0, checked.stderr
