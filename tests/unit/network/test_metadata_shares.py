"""How many connections of guests a network and a project have open."""

from concurrent.futures import ThreadPoolExecutor

from nova.network.host.metadata_proxy import Shares

OWNERS = {f"mine-{number}": "me" for number in range(10)} | {"theirs": "them"}


def made():
    shares = Shares()
    shares.owners = OWNERS
    return shares


def taken(shares, *networks):
    """How many connections were let in of 300 from each of some networks."""
    return sum(bool(shares.take(network)) for network in networks for _ in range(300))


def test_no_network_has_more_than_its_share():
    assert taken(made(), "mine-0") == 200


def test_no_project_has_more_than_its_share_by_many_networks():
    shares = made()

    assert taken(shares, *(f"mine-{number}" for number in range(10))) == 400
    assert taken(shares, "theirs") == 200


def test_networks_that_projects_share_are_counted_one_by_one():
    assert taken(made(), "shared-0", "shared-1", "shared-2") == 600


def test_what_has_ended_makes_room_and_leaves_nothing_behind():
    shares = made()
    counted = [shares.take("mine-0") for _ in range(200)]
    # The network is given to all while connections are open: they end as they began.
    shares.owners = {}

    for each in counted:
        shares.give_back(each)

    assert not shares._open
    assert taken(shares, "mine-0") == 200


def test_counts_are_right_whoever_comes_at_once():
    shares = made()

    with ThreadPoolExecutor(20) as pool:
        for _ in pool.map(lambda _: shares.give_back(shares.take("mine-0")), range(20000)):
            pass

    assert not shares._open
