"""Requests that exclude each other, sent at once to two nova-networks with conductors of their own: one wins."""

import collections
import socket
import sys
import threading
from pathlib import Path

import pytest

from nova import conf as configuration
from nova.conductor.calls.networks import NetworkingCalls
from nova.db.engine import Database
from nova.db.models import Base
from nova.http.service import HttpService
from nova.network.api import NullDataplane, application
from tests.functional.network.conftest import Project

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "tools"))

import throwaway_databases

AT_ONCE = 20


class RunningApi:
    """One nova-network that listens on a port, with a conductor's part over a database."""

    def __init__(self, url):
        conf = configuration.load([], files=[])
        conf.set_override("auth_strategy", "noauth2", group="api")
        conf.set_override("quota_router", -1)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.endpoint = f"http://127.0.0.1:{port}"
        self.database = Database(url)
        Base.metadata.create_all(self.database.engine)
        app = application(conf, NetworkingCalls(self.database), NullDataplane())
        self._service = HttpService(conf, "network", app, "127.0.0.1", port, requests=AT_ONCE)
        self._service.start()

    def project(self, name):
        return Project(None, name, self.endpoint)

    def stop(self):
        self._service.stop()
        self.database.close()


@pytest.fixture(scope="module", params=["sqlite", "mariadb", "postgresql"])
def apis(request):
    with throwaway_databases.database(request.param) as url:
        apis = [RunningApi(url) for _ in range(2)]
        yield apis
        for api in apis:
            api.stop()


@pytest.fixture(autouse=True)
def empty_tables(apis):
    yield
    with apis[0].database.transaction() as connection:
        for table in reversed(Base.metadata.sorted_tables):
            connection.execute(table.delete())


@pytest.fixture
def admin(apis):
    return apis[0].project("admin")


@pytest.fixture
def demo(apis):
    return apis[0].project("demo")


@pytest.fixture
def at_once(apis):
    """Sends requests (method, path, body) in the same moment, to both APIs in turn; how each was answered."""

    def send(requests, name="demo"):
        answers = [None] * len(requests)
        barrier = threading.Barrier(len(requests))

        def work(index, request):
            project = apis[index % 2].project(name)
            barrier.wait()
            answers[index] = outcome(project.ask(*request))

        threads = [threading.Thread(target=work, args=item) for item in enumerate(requests)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return collections.Counter(answers)

    return send


def outcome(answer):
    """The status of an answer, with a refusal's type."""
    if answer.status_code < 400:
        return answer.status_code
    return answer.status_code, answer.json()["NeutronError"]["type"]


def one_wins(status, refusal):
    return {status: 1, refusal: AT_ONCE - 1}


def test_one_of_the_subnets_that_overlap_is_created(demo, at_once):
    network = demo.create("networks", name="n")
    subnet = {"network_id": network["id"], "ip_version": 4, "gateway_ip": None}
    subnets = [subnet | {"cidr": f"10.20.0.0/{8 + number}"} for number in range(AT_ONCE)]

    answers = at_once([("POST", "subnets", {"subnet": subnet}) for subnet in subnets])

    assert answers == one_wins(201, (400, "InvalidInput"))
    assert len(demo.get("subnets")["subnets"]) == 1


def test_subnets_of_one_request_that_overlap_leave_nothing(demo):
    network = demo.create("networks", name="n")
    subnet = {"network_id": network["id"], "ip_version": 4, "gateway_ip": None}

    refused = demo.ask(
        "POST", "subnets", {"subnets": [subnet | {"cidr": "10.20.0.0/24"}, subnet | {"cidr": "10.20.0.0/16"}]}
    )

    assert outcome(refused) == (400, "InvalidInput")
    assert demo.get("subnets")["subnets"] == demo.ports() == []


@pytest.mark.parametrize(
    "wanted, refusal",
    [
        ({"provider:network_type": "flat", "provider:physical_network": "wire"}, "FlatNetworkInUse"),
        ({"provider:network_type": "vxlan", "provider:segmentation_id": 77}, "TunnelIdInUse"),
    ],
)
def test_one_network_gets_the_segment_that_all_ask_for(admin, at_once, wanted, refusal):
    answers = at_once([("POST", "networks", {"network": {"name": "n", **wanted}})] * AT_ONCE, "admin")

    assert answers == one_wins(201, (409, refusal))
    assert len(admin.get("networks")["networks"]) == 1


def test_networks_that_name_no_segment_get_different_ones(admin, at_once):
    answers = at_once([("POST", "networks", {"network": {"name": "n"}})] * AT_ONCE)

    networks = admin.get("networks")["networks"]
    assert answers == {201: AT_ONCE}
    assert sorted(network["provider:segmentation_id"] or 0 for network in networks) == [0, *range(1001, 1020)]


def test_a_project_gets_one_default_group(demo, at_once):
    answers = at_once([("GET", "security-groups")] * AT_ONCE)

    [group] = demo.get("security-groups")["security_groups"]
    assert answers == {200: AT_ONCE}
    assert (group["name"], len(group["security_group_rules"])) == ("default", 4)


def test_external_networks_that_overlap_are_not_made_at_once(admin, at_once):
    networks = [admin.create("networks", name="n", **{"router:external": True})["id"] for _ in range(AT_ONCE)]
    subnets = [{"network_id": network_id, "ip_version": 4, "cidr": "10.20.0.0/24"} for network_id in networks]

    answers = at_once([("POST", "subnets", {"subnet": subnet}) for subnet in subnets], "admin")

    assert answers == one_wins(201, (400, "InvalidInput"))


def test_a_router_joins_one_of_the_subnets_that_overlap(demo, at_once):
    subnets = [demo.network(cidr="10.20.0.0/24")["subnets"][0] for _ in range(AT_ONCE)]
    router = demo.create("routers", name="r")

    answers = at_once(
        [("PUT", f"routers/{router['id']}/add_router_interface", {"subnet_id": subnet}) for subnet in subnets]
    )

    assert answers == one_wins(200, (400, "BadRequest"))


def test_a_network_gets_small_packets_or_ipv6(demo, at_once):
    for number in range(10):
        network = demo.create("networks", name="n", mtu=1400)
        subnet = {"network_id": network["id"], "ip_version": 6, "cidr": f"fd00:{number}::/64"}
        change = ("PUT", f"networks/{network['id']}", {"network": {"mtu": 576}})

        answers = at_once([("POST", "subnets", {"subnet": subnet}), change])

        assert (400, "InvalidInput") in answers


def addresses_of(ports):
    return sorted(one["ip_address"] for port in ports for one in port["fixed_ips"])


def test_ports_that_are_made_at_once_get_addresses_of_their_own_as_long_as_there_are_any(demo, at_once):
    network = demo.network(cidr="10.20.0.0/28")
    # One is the gateway's, one the DHCP server's.
    free = [f"10.20.0.{number}" for number in range(2, 14)]

    answers = at_once([("POST", "ports", {"port": {"network_id": network["id"]}})] * AT_ONCE)

    full = (409, "IpAddressGenerationFailure")
    assert answers == {201: len(free), full: AT_ONCE - len(free)}
    assert addresses_of(demo.ports()) == sorted(free)


def test_an_address_that_all_name_goes_to_one(demo, at_once):
    network = demo.network()
    port = {"network_id": network["id"], "fixed_ips": [{"ip_address": "10.20.0.9"}]}

    assert at_once([("POST", "ports", {"port": port})] * AT_ONCE) == one_wins(201, (409, "IpAddressInUse"))
    assert addresses_of(demo.ports()) == ["10.20.0.9"]


def test_addresses_that_come_back_while_others_are_chosen_are_neither_lost_nor_given_twice(demo, at_once):
    network = demo.network(cidr="10.20.0.0/28")
    make = ("POST", "ports", {"port": {"network_id": network["id"]}})

    for _ in range(3):
        # Eight of twelve are taken: while these go, four are free, and more come.
        old = [demo.create("ports", network_id=network["id"])["id"] for _ in range(8)]
        answers = at_once([("DELETE", f"ports/{port_id}") for port_id in old] + [make] * 12)
        now = addresses_of(demo.ports())

        assert answers[204] == 8
        assert 4 <= answers[201] == len(set(now)) == len(now)
        for _ in range(12 - len(now)):
            demo.create("ports", network_id=network["id"])
        assert addresses_of(demo.ports()) == sorted(f"10.20.0.{number}" for number in range(2, 14))
        for port in demo.ports():
            assert demo.delete("ports", port["id"]) is None


def test_a_router_joins_a_subnet_once(demo, at_once):
    [subnet_id] = demo.network()["subnets"]
    router = demo.create("routers", name="r")

    answers = at_once([("PUT", f"routers/{router['id']}/add_router_interface", {"subnet_id": subnet_id})] * AT_ONCE)

    assert answers == one_wins(200, (400, "BadRequest"))
    assert len(demo.ports()) == 1


def test_a_free_port_goes_to_one_router(demo, at_once):
    port = demo.create("ports", network_id=demo.network()["id"])
    routers = [demo.create("routers", name="r")["id"] for _ in range(AT_ONCE)]

    answers = at_once(
        [("PUT", f"routers/{router_id}/add_router_interface", {"port_id": port["id"]}) for router_id in routers]
    )

    assert answers == one_wins(200, (409, "PortInUse"))
    assert demo.get(f"ports/{port['id']}")["port"]["device_id"] in routers


def test_a_router_is_deleted_or_gets_its_interface(demo, at_once):
    [subnet_id] = demo.network()["subnets"]

    for _ in range(10):
        router = demo.create("routers", name="r")
        add = ("PUT", f"routers/{router['id']}/add_router_interface", {"subnet_id": subnet_id})
        answers = at_once([add, ("DELETE", f"routers/{router['id']}")])

        routers, ports = demo.get("routers")["routers"], demo.ports()
        assert (answers, len(routers), len(ports)) in (
            ({204: 1, (404, "RouterNotFound"): 1}, 0, 0),
            ({200: 1, (409, "RouterInUse"): 1}, 1, 1),
        )
        if routers:
            demo.ask("PUT", f"routers/{router['id']}/remove_router_interface", {"subnet_id": subnet_id})
            demo.delete("routers", router["id"])


def test_a_fixed_address_gets_one_floating_ip(admin, demo, at_once):
    public = admin.network(cidr="203.0.113.0/24", **{"router:external": True})
    network = demo.network()
    demo.join(network, public)
    port = demo.create("ports", network_id=network["id"])
    floating = [demo.create("floatingips", floating_network_id=public["id"])["id"] for _ in range(AT_ONCE)]

    answers = at_once([("PUT", f"floatingips/{each}", {"floatingip": {"port_id": port["id"]}}) for each in floating])

    associated = [each for each in demo.get("floatingips")["floatingips"] if each["port_id"]]
    assert answers == one_wins(200, (409, "FloatingIPPortAlreadyAssociated"))
    assert [each["fixed_ip_address"] for each in associated] == [port["fixed_ips"][0]["ip_address"]]


def test_no_floating_ip_leads_to_a_port_that_went(admin, demo, at_once):
    public = admin.network(cidr="203.0.113.0/24", **{"router:external": True})
    network = demo.network()
    demo.join(network, public)
    floating = demo.create("floatingips", floating_network_id=public["id"])["id"]

    for _ in range(10):
        port = demo.create("ports", network_id=network["id"])
        associate = ("PUT", f"floatingips/{floating}", {"floatingip": {"port_id": port["id"]}})
        answers = at_once([associate, ("DELETE", f"ports/{port['id']}")])

        assert answers in ({200: 1, 204: 1}, {(404, "PortNotFound"): 1, 204: 1})
        assert demo.get(f"floatingips/{floating}")["floatingip"]["port_id"] is None


def test_a_gateway_does_not_move_to_the_address_of_a_port(demo):
    network = demo.network()
    port = demo.create("ports", network_id=network["id"], fixed_ips=[{"ip_address": "10.20.0.9"}])
    pools = [{"start": "10.20.0.100", "end": "10.20.0.200"}]

    change = {"gateway_ip": "10.20.0.9", "allocation_pools": pools}
    refused = demo.update("subnets", network["subnets"][0], **change)
    demo.delete("ports", port["id"])
    changed = demo.update("subnets", network["subnets"][0], **change)

    assert (refused, changed["gateway_ip"]) == ("GatewayIpInUse", "10.20.0.9")
