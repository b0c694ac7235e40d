"""Which addresses a port gets."""

import ipaddress
import itertools

import msgspec
import pytest
import sqlalchemy

from nova import errors
from nova.conductor.acceptance import port_addresses
from nova.db import addresses
from nova.db import networks as db
from nova.db.models import Base
from nova.db.models.networks import PortAddress
from nova.structs import subnet_ranges
from nova.structs.networking import AllocationPool, FixedIp, Network, Port, Subnet

MAC = "fa:16:3e:12:34:56"


@pytest.fixture
def connection():
    names = (
        "networks",
        "subnets",
        "ports",
        "port_addresses",
        "port_security_groups",
        "free_addresses",
        "security_groups",
    )
    engine = sqlalchemy.create_engine("sqlite://")
    with engine.begin() as connection:
        Base.metadata.create_all(connection, [Base.metadata.tables[name] for name in names])
        db.insert(connection, Network(id="n", project_id="p", bridge="br0"))
        yield connection
    engine.dispose()


def port(fixed_ips, id="other", mac="fa:16:3e:00:00:01"):
    return Port(id=id, project_id="p", network_id="n", mac_address=mac, fixed_ips=tuple(fixed_ips))


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


@pytest.fixture
def choose(connection):
    """Chooses on a network with these subnets, some of whose addresses another port has."""

    def choose(wanted, subnets, taken=None):
        for one in subnets:
            db.insert(connection, one)
        held = [FixedIp(subnet_id, address) for subnet_id, given in (taken or {}).items() for address in sorted(given)]
        if held:
            db.insert(connection, port(held))
        chosen = port_addresses.choose("n", wanted, subnets, port_addresses.Choice(connection, MAC))
        return [one.ip_address for one in chosen]

    return choose


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


def test_the_lowest_free_address_is_given(choose):
    assert choose([FixedIp()], [subnet()], {"s": {"10.0.0.2", "10.0.0.3", "10.0.0.5"}}) == ["10.0.0.4"]


def test_a_range_of_millions_has_a_first_address_like_any_other(choose):
    assert choose([FixedIp()], [subnet("10.0.0.0/8")], {"s": {"10.0.0.2"}}) == ["10.0.0.3"]
    assert choose([FixedIp("six")], [subnet("fd00::/64", "six")], {}) == ["fd00::2"]


def test_one_address_of_each_version_is_given(choose):
    both = [subnet("10.0.0.0/24", "four"), subnet("fd00::/64", "six"), subnet("10.1.0.0/24", "more")]

    assert choose([FixedIp()], both) == ["10.0.0.2", "fd00::2"]


def test_an_address_outside_the_pools_may_be_named(choose):
    small = subnet(allocation_pools=(AllocationPool("10.0.0.10", "10.0.0.20"),))

    assert choose([FixedIp("", "10.0.0.200"), FixedIp("", "10.0.0.1")], [small]) == ["10.0.0.200", "10.0.0.1"]


def test_several_addresses_of_one_subnet_differ(choose):
    assert choose([FixedIp("s"), FixedIp("s"), FixedIp("", "10.0.0.9")], [subnet()]) == [
        "10.0.0.2",
        "10.0.0.3",
        "10.0.0.9",
    ]


def test_an_ipv6_address_is_compared_in_its_short_form(choose):
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
def test_an_address_that_cannot_be_had_is_refused(choose, wanted, error):
    with pytest.raises(error):
        choose([wanted], [subnet()], {"s": {"10.0.0.2"}})


def test_a_network_without_subnets_gives_no_address_and_a_full_one_an_error(choose):
    assert choose([FixedIp()], []) == []
    with pytest.raises(errors.IpAddressGenerationFailure):
        choose([FixedIp()], [subnet("10.0.0.0/30")], {"s": {"10.0.0.2"}})


class Steps:
    """Counts the instructions that SQLite executes for what is done inside: each row that it looks at costs some."""

    def __init__(self, connection):
        self._driver = connection.connection.dbapi_connection
        self.number = 0

    def __enter__(self):
        def count():
            self.number += 1

        self._driver.set_progress_handler(count, 1)
        return self

    def __exit__(self, *ignored):
        self._driver.set_progress_handler(None, 0)


def filled(connection, one, taken):
    """A subnet whose addresses another port has taken."""
    db.insert(connection, one)
    db.insert(connection, port([], id=f"of-{one.id}", mac=f"fa:16:3e:00:01:{len(one.id):02x}"))
    rows = [{"subnet_id": one.id, "address": address, "port_id": f"of-{one.id}"} for address in taken]
    connection.execute(sqlalchemy.insert(PortAddress), rows)
    addresses.count_anew(connection, one)


def cost_of_a_life(connection, cidr, taken, wanted):
    """Steps for a port that gets an address beside these, and goes again; and the address."""
    one = subnet(cidr)
    filled(connection, one, taken)
    with Steps(connection) as steps:
        made = port_addresses.complete(connection, port([wanted], id="new", mac=MAC))
        db.insert(connection, made)
        db.delete(connection, "port", ["new"])
    connection.execute(sqlalchemy.delete(PortAddress))
    db.delete(connection, "port", [f"of-{one.id}"])
    db.delete(connection, "subnet", [one.id])
    return steps.number, made.fixed_ips[0].ip_address


def hosts(first, number, step=1):
    start = int(ipaddress.ip_address(first))
    return [str(ipaddress.ip_address(start + offset * step)) for offset in range(number)]


@pytest.mark.parametrize("wanted", [FixedIp(), FixedIp("s"), FixedIp("s", "10.0.0.14")])
def test_a_choice_costs_the_same_in_a_subnet_of_16_and_of_65536_addresses(connection, wanted):
    small, first = cost_of_a_life(connection, "10.0.0.0/28", hosts("10.0.0.2", 8), wanted)
    # Nearly full; and one that is free, one that is not, all the way.
    large, next_free = cost_of_a_life(connection, "10.0.0.0/16", set(hosts("10.0.0.2", 65000)) - {"10.0.0.14"}, wanted)
    torn, middle = cost_of_a_life(connection, "10.0.0.0/16", hosts("10.0.0.3", 32000, 2), wanted)

    assert (first, next_free, middle) == (
        ("10.0.0.14",) * 3 if wanted.ip_address else ("10.0.0.10", "10.0.0.14", "10.0.0.2")
    )
    assert small > 200
    assert max(large, torn) < small * 1.15


def test_a_full_subnet_says_so_without_reading_its_addresses(connection):
    one = subnet("10.0.0.0/16")
    filled(connection, one, hosts("10.0.0.2", 65533))
    rows = []

    def fetched(cursor, row):
        rows.append(row)
        return row

    connection.connection.dbapi_connection.row_factory = fetched
    with pytest.raises(errors.IpAddressGenerationFailure):
        port_addresses.complete(connection, port([FixedIp()], mac=MAC))
    assert len(rows) < 10


def free(connection):
    """The addresses that are given one after the other until there are none."""
    given = []
    while (address := addresses.lowest(connection, "s", given)) is not None:
        given.append(address)
    return given


def test_addresses_come_back_and_only_those_of_pools(connection):
    one = subnet(
        "10.0.0.0/28", allocation_pools=(AllocationPool("10.0.0.1", "10.0.0.5"), AllocationPool("10.0.0.8", "10.0.0.9"))
    )
    db.insert(connection, one)
    db.insert(
        connection, port([FixedIp("s", address) for address in ("10.0.0.1", "10.0.0.3", "10.0.0.9", "10.0.0.12")])
    )
    assert free(connection) == ["10.0.0.2", "10.0.0.4", "10.0.0.5", "10.0.0.8"]

    db.delete(connection, "port", ["other"])

    assert free(connection) == ["10.0.0.2", "10.0.0.3", "10.0.0.4", "10.0.0.5", "10.0.0.8", "10.0.0.9"]
    assert addresses.highest(connection, "s") == "10.0.0.9"


def test_a_port_that_changes_its_addresses_gives_back_what_it_had(connection):
    db.insert(connection, subnet("10.0.0.0/29"))
    before = port([FixedIp("s", "10.0.0.2"), FixedIp("s", "10.0.0.4")])
    db.insert(connection, before)

    wanted = msgspec.structs.replace(before, fixed_ips=(FixedIp("s", "10.0.0.4"), FixedIp("s"), FixedIp("s")))
    db.replace(connection, port_addresses.complete(connection, wanted, before), 0)

    # Its own come first, as if they were free.
    assert [row.address for row in connection.execute(sqlalchemy.select(PortAddress.address))] == [
        "10.0.0.2", "10.0.0.3", "10.0.0.4",
    ]  # fmt: skip
    assert free(connection) == ["10.0.0.5", "10.0.0.6"]


def test_every_order_of_taking_and_giving_back_leaves_what_is_not_taken(connection):
    db.insert(connection, subnet("10.0.0.0/29", gateway_ip=None))
    everything = free(connection)
    assert everything == hosts("10.0.0.2", 5)

    for order in itertools.permutations(everything):
        for number, address in enumerate(order):
            addresses.take(connection, "s", address)
            assert free(connection) == sorted(set(everything) - set(order[: number + 1]))
        for number, address in enumerate(order):
            addresses.give_back(connection, subnet("10.0.0.0/29"), address)
            assert free(connection) == sorted(order[: number + 1])


def test_ipv6_ranges_are_cut_at_both_of_their_ends(connection):
    db.insert(
        connection, subnet("fd00::/126", allocation_pools=(AllocationPool("fd00::1", "fd00::3"),), gateway_ip=None)
    )
    for address, left in (("fd00::1", ["fd00::2", "fd00::3"]), ("fd00::3", ["fd00::2"]), ("fd00::2", [])):
        addresses.take(connection, "s", address)
        assert free(connection) == left


def test_what_an_older_release_took_and_gave_back_is_noticed(connection):
    """It knows port_addresses alone."""
    db.insert(connection, subnet("10.0.0.0/29"))
    db.insert(connection, port([]))
    rows = [{"subnet_id": "s", "address": address, "port_id": "other"} for address in ("10.0.0.2", "10.0.0.3")]
    connection.execute(sqlalchemy.insert(PortAddress), rows)

    def choose():
        return port_addresses.Choice(connection, MAC).first_free(subnet("10.0.0.0/29"))

    assert choose() == "10.0.0.4"
    for address in ("10.0.0.4", "10.0.0.5", "10.0.0.6"):
        addresses.take(connection, "s", address)
    connection.execute(sqlalchemy.delete(PortAddress).where(PortAddress.address == "10.0.0.3"))
    assert choose() == "10.0.0.3"
