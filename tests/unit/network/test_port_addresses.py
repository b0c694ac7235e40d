"""Which addresses a port gets."""

import pytest

from nova import errors
from nova.conductor.acceptance import port_addresses
from nova.structs import subnet_ranges
from nova.structs.networking import AllocationPool, FixedIp, Subnet

MAC = "fa:16:3e:12:34:56"


def subnet(cidr="10.0.0.0/24", id="s", **values):
    gateway = subnet_ranges.default_gateway(cidr)
    defaults = {
        "project_id": "p",
        "network_id": "n",
        "gateway_ip": gateway,
        "ip_version": 6 if ":" in cidr else 4,
        "allocation_pools": subnet_ranges.default_pools(cidr, gateway),
    }
    return Subnet(id=id, cidr=cidr, **{**defaults, **values})


def choose(wanted, subnets, taken=None):
    chosen = port_addresses.choose("n", wanted, subnets, taken or {}, MAC)
    return [one.ip_address for one in chosen]


@pytest.mark.parametrize(
    "cidr, gateway, pools",
    [
        ("10.0.0.0/24", "10.0.0.1", [("10.0.0.2", "10.0.0.254")]),
        ("10.0.0.0/24", None, [("10.0.0.1", "10.0.0.254")]),
        ("10.0.0.0/24", "10.0.0.100", [("10.0.0.1", "10.0.0.99"), ("10.0.0.101", "10.0.0.254")]),
        ("10.0.0.0/24", "10.0.0.254", [("10.0.0.1", "10.0.0.253")]),
        ("10.0.0.0/24", "10.9.9.9", [("10.0.0.1", "10.0.0.254")]),
        ("10.0.0.0/30", "10.0.0.1", [("10.0.0.2", "10.0.0.2")]),
        ("10.0.0.0/31", "10.0.0.0", [("10.0.0.1", "10.0.0.1")]),
        ("10.0.0.0/32", "10.0.0.0", []),
        ("fd00::/64", "fd00::1", [("fd00::2", "fd00::ffff:ffff:ffff:ffff")]),
    ],
)
def test_pools_are_every_host_address_but_the_gateway(cidr, gateway, pools):
    assert subnet_ranges.default_pools(cidr, gateway) == tuple(AllocationPool(*pool) for pool in pools)


def test_the_lowest_free_address_is_given():
    assert choose([FixedIp()], [subnet()], {"s": {"10.0.0.2", "10.0.0.3", "10.0.0.5"}}) == ["10.0.0.4"]


def test_a_range_of_millions_costs_no_more_than_what_is_taken():
    assert choose([FixedIp()], [subnet("10.0.0.0/8")], {"s": {"10.0.0.2"}}) == ["10.0.0.3"]
    assert choose([FixedIp("s")], [subnet("fd00::/64")], {}) == ["fd00::2"]


def test_one_address_of_each_version_is_given():
    both = [subnet("10.0.0.0/24", "four"), subnet("fd00::/64", "six"), subnet("10.1.0.0/24", "more")]

    assert choose([FixedIp()], both) == ["10.0.0.2", "fd00::2"]


def test_an_address_outside_the_pools_may_be_named():
    small = subnet(allocation_pools=(AllocationPool("10.0.0.10", "10.0.0.20"),))

    assert choose([FixedIp("", "10.0.0.200")], [small]) == ["10.0.0.200"]
    assert choose([FixedIp("", "10.0.0.1")], [small]) == ["10.0.0.1"]


def test_several_addresses_of_one_subnet_differ():
    assert choose([FixedIp("s"), FixedIp("s"), FixedIp("", "10.0.0.9")], [subnet()]) == [
        "10.0.0.2",
        "10.0.0.3",
        "10.0.0.9",
    ]


def test_an_ipv6_address_is_compared_in_its_short_form():
    with pytest.raises(errors.IpAddressInUse):
        choose([FixedIp("", "fd00:0:0::5")], [subnet("fd00::/64")], {"s": {"fd00::5"}})


@pytest.mark.parametrize(
    "wanted, error",
    [
        (FixedIp("", "10.0.0.255"), errors.Invalid),
        (FixedIp("", "10.0.0.0"), errors.Invalid),
        (FixedIp("", "192.168.0.1"), errors.Invalid),
        (FixedIp("other", ""), errors.Invalid),
        (FixedIp("other", "10.0.0.5"), errors.Invalid),
        (FixedIp("", "10.0.0.2"), errors.IpAddressInUse),
    ],
)
def test_an_address_that_cannot_be_had_is_refused(wanted, error):
    with pytest.raises(error):
        choose([wanted], [subnet()], {"s": {"10.0.0.2"}})


def test_a_network_without_subnets_gives_no_address_and_a_full_one_an_error():
    assert choose([FixedIp()], []) == []
    with pytest.raises(errors.IpAddressGenerationFailure):
        choose([FixedIp()], [subnet("10.0.0.0/30")], {"s": {"10.0.0.2"}})
