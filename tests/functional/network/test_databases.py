"""What nova-network keeps, on every database a cloud may stand on."""

import sys
import threading
import uuid
from pathlib import Path

import msgspec
import pytest

from nova import errors
from nova.conductor.calls.networks import NetworkingCalls
from nova.db.engine import Database
from nova.db.models import Base
from nova.structs.networking import AllocationPool, FixedIp, FloatingIp, Network, Port, SecurityGroup, Subnet

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "tools"))

from throwaway_databases import MariaDB, PostgreSQL


@pytest.fixture(scope="module", params=["sqlite", "mariadb", "postgresql"])
def database(request, tmp_path_factory):
    server = {"mariadb": MariaDB, "postgresql": PostgreSQL}.get(request.param)
    running = server() if server else None
    url = running.new_database() if running else f"sqlite:///{tmp_path_factory.mktemp('database')}/networks.db"
    database = Database(url)
    Base.metadata.create_all(database.engine)
    yield database
    database.close()
    if running:
        running.stop()


@pytest.fixture
def calls(database):
    yield NetworkingCalls(database)
    with database.transaction() as connection:
        for table in reversed(Base.metadata.sorted_tables):
            connection.execute(table.delete())


def new_id():
    return str(uuid.uuid4())


@pytest.fixture
def network(calls):
    """A network with 60 addresses to give."""
    network = Network(id=new_id(), project_id=new_id(), bridge=new_id()[:13])
    subnet = Subnet(
        id=new_id(),
        project_id=network.project_id,
        network_id=network.id,
        cidr="10.0.0.0/26",
        gateway_ip="10.0.0.1",
        allocation_pools=(AllocationPool("10.0.0.2", "10.0.0.61"),),
    )
    calls.add_networking([network, subnet], {})
    return network


def port_on(network, **values):
    defaults = {"id": new_id(), "project_id": network.project_id, "network_id": network.id, "mac_address": ""}
    return Port(**{**defaults, "fixed_ips": (FixedIp(),), **values})


def ports_of(calls, network):
    """The ports on a network, without its DHCP server's."""
    return [port for port in calls.networking("port", {"network_id": [network.id]}) if not port.device_owner]


def test_sixteen_writers_never_give_one_address_twice(calls, network):
    made, refused = [], []

    def work():
        for _ in range(5):
            try:
                made.extend(calls.add_networking([port_on(network)], {}))
            except errors.IpAddressGenerationFailure:
                refused.append(1)

    threads = [threading.Thread(target=work) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len({port.fixed_ips[0].ip_address for port in made}) == len(made) == 59
    assert len(refused) == 21


def test_adding_twice_adds_once(calls, network):
    port = port_on(network)

    first, second = calls.add_networking([port], {}), calls.add_networking([port], {})

    assert first == second
    assert first[0].mac_address.startswith("fa:16:3e:")


def test_all_or_nothing_is_added(calls, network):
    ports = [port_on(network), port_on(network, mac_address="fa:16:3e:00:00:01")]
    calls.add_networking([port_on(network, mac_address="fa:16:3e:00:00:01")], {})

    with pytest.raises(errors.MacAddressInUse):
        calls.add_networking(ports, {})

    assert len(ports_of(calls, network)) == 1


def test_a_change_of_an_old_revision_is_refused(calls, network):
    changed = calls.change_networking(msgspec.structs.replace(network, name="new ☂"))

    with pytest.raises(errors.GenerationConflict):
        calls.change_networking(msgspec.structs.replace(network, name="newer"))

    assert calls.networking("network", {"id": [network.id]}) == [changed]
    assert (changed.name, changed.revision_number) == ("new ☂", 1)


def test_a_port_moves_to_another_address_and_the_old_one_is_free(calls, network):
    [port] = calls.add_networking([port_on(network)], {})

    moved = calls.change_networking(msgspec.structs.replace(port, fixed_ips=(FixedIp("", "10.0.0.50"),)))
    [other] = calls.add_networking([port_on(network)], {})

    assert moved.fixed_ips[0].ip_address == "10.0.0.50"
    assert other.fixed_ips == port.fixed_ips


def test_what_is_referred_to_cannot_go_and_what_refers_goes_along(calls, network):
    group = SecurityGroup(id=new_id(), project_id=network.project_id, name="web")
    calls.add_networking([group], {})
    [port] = calls.add_networking([port_on(network, security_groups=(group.id,))], {})

    for noun, record_id in (("network", network.id), ("security_group", group.id)):
        with pytest.raises(errors.NetworkingInUse):
            calls.delete_networking(noun, record_id)
    calls.delete_networking("port", port.id)
    calls.delete_networking("security_group", group.id)
    calls.delete_networking("network", network.id)

    assert calls.networking("subnet", {"network_id": [network.id]}) == []
    with pytest.raises(errors.NetworkingNotFound):
        calls.delete_networking("network", network.id)


def test_a_reference_to_nothing_is_told_of(calls, network):
    with pytest.raises(errors.NetworkingNotFound, match="security_group"):
        calls.add_networking([port_on(network, security_groups=(new_id(),))], {})


def test_a_floating_ip_takes_its_ports_address_and_gives_it_back(calls, network):
    holder = port_on(network)
    floating = FloatingIp(
        id=new_id(),
        project_id=network.project_id,
        floating_network_id=network.id,
        floating_ip_address="",
        floating_port_id=holder.id,
    )

    _, added = calls.add_networking([holder, floating], {})
    calls.delete_networking("floatingip", floating.id)

    assert added.floating_ip_address == "10.0.0.2"
    assert ports_of(calls, network) == []


def test_a_limit_holds_however_many_ask_at_once(calls, network):
    outcomes = []

    def work():
        for _ in range(3):
            try:
                group = SecurityGroup(id=new_id(), project_id=network.project_id, name="web")
                outcomes.extend(calls.add_networking([group], {"security_group": 7}))
            except errors.OverQuota:
                outcomes.append(None)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(outcomes) == 24
    assert len([group for group in outcomes if group]) == 7


def test_a_limit_holds_for_one_request_of_many(calls, network):
    with pytest.raises(errors.OverQuota):
        calls.add_networking([port_on(network) for _ in range(3)], {"port": 2})
    calls.set_network_quota(network.project_id, {"port": 3})

    assert len(calls.add_networking([port_on(network) for _ in range(3)], {"port": 2})) == 3
    with pytest.raises(errors.OverQuota):
        calls.add_networking([port_on(network)], {"port": 100})
