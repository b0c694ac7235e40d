"""How a host waits for the ports of a guest that it is about to start."""

import json
import threading

import pytest
import requests
from keystoneauth1 import adapter, session, token_endpoint

from nova import errors
from nova.compute.plugging import Plugging
from nova.compute.step_pool import StepPool
from nova.structs.network import Vif
from tests.functional.wsgi_adapter import WsgiAdapter


class Ports:
    """A Networking service with one port of one server, which has each of these statuses once, the last for good."""

    def __init__(self, *statuses, is_on=True):
        self._statuses, self._is_on, self.query = list(statuses), is_on, None

    def plug(self):
        self._statuses = ["ACTIVE"]

    def __call__(self, environ, start_response):
        self.query = environ["QUERY_STRING"]
        status = self._statuses.pop(0) if len(self._statuses) > 1 else self._statuses[0]
        port = {"id": "port", "device_owner": "compute:nova", "admin_state_up": self._is_on, "status": status}
        start_response("200 OK", [("Content-Type", "application/json")])
        return [json.dumps({"ports": [port]}).encode()]


def plugging(service, timeout_s=60.0, is_fatal=True):
    transport = requests.Session()
    transport.mount("http://network", WsgiAdapter(service))
    auth = token_endpoint.Token("http://network", "admin:service")
    service_adapter = adapter.Adapter(session.Session(auth, session=transport), endpoint_override="http://network")
    return Plugging(service_adapter, timeout_s, is_fatal)


def vif(**facts):
    return Vif(port_id="port", network_id="network", network_label="private", mac="fa:16:3e:00:00:01", **facts)


def test_ports_are_asked_for_by_their_ids_since_anybody_may_name_a_server_as_the_owner_of_others():
    service = Ports("ACTIVE")

    plugging(service).wait("server", [vif()])

    assert service.query == "id=port"


def test_ports_that_are_active_are_not_waited_for():
    assert plugging(Ports("ACTIVE")).wait("server", [vif()])


def test_a_port_that_becomes_active_is_seen_though_nobody_tells():
    assert plugging(Ports("DOWN", "DOWN", "ACTIVE")).wait("server", [vif()])


def test_news_of_another_state_are_no_reason_to_start():
    waits = plugging(Ports("DOWN", "BUILD", "ACTIVE"))
    outcome = []
    waiter = threading.Thread(target=lambda: outcome.append(waits.wait("server", [vif()])))

    waiter.start()
    waits.told("server")
    waits.told("another server")
    waiter.join(60)

    assert outcome == [True]


def test_a_port_that_its_owner_has_switched_off_is_never_plugged():
    assert plugging(Ports("DOWN", is_on=False)).wait("server", [vif()])


def test_a_guest_whose_ports_stay_unplugged_is_given_up():
    with pytest.raises(errors.PortsNotPlugged):
        plugging(Ports("DOWN"), timeout_s=0.1).wait("server", [vif()])


def test_an_operator_may_let_it_run_all_the_same():
    assert not plugging(Ports("DOWN"), timeout_s=0.1, is_fatal=False).wait("server", [vif()])


@pytest.mark.parametrize("facts", [{"vif_type": "ovs"}, {"vif_type": "bridge", "is_active": False}])
def test_what_is_plugged_by_others_is_waited_for(facts):
    assert plugging(Ports("DOWN")).is_waited_for([vif(**facts)])
    assert not plugging(Ports("DOWN"), timeout_s=0).is_waited_for([vif(**facts)])


def test_ports_of_nova_network_are_ready_at_once():
    assert not plugging(Ports("DOWN")).is_waited_for([vif()])


def test_a_step_that_waits_for_ports_leaves_its_place_to_others_and_ends_in_a_place_again():
    service, pool = Ports("DOWN"), StepPool(1)
    waits, outcome, over = plugging(service), [], threading.Event()

    def step():
        outcome.append(waits.wait("server", [vif()]))
        over.set()

    other, may_end = threading.Event(), threading.Event()
    pool.submit("server", step)
    pool.submit("another server", lambda: (other.set(), may_end.wait(120)))
    assert other.wait(90)

    service.plug()
    waits.told("server")
    last = threading.Event()
    pool.submit("a third server", last.set)
    assert not over.is_set()
    may_end.set()

    assert over.wait(90)
    assert outcome == [True]
    assert last.wait(90)
