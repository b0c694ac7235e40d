"""What the conductor asks of networks when it builds, moves and deletes servers."""

import uuid

import pytest
from keystoneauth1 import adapter, session, token_endpoint

from nova import errors
from nova.clients.network.client import Networking
from nova.clients.network.http import NetworkingHttp
from nova.structs.network import NetworkRequest


def allocate(cloud, server_id, requests=None, **given):
    port_ids = tuple(str(uuid.uuid4()) for _ in requests or (None,))
    options = {"host": "host-1", "zone": "nova", "hostname": "web", "port_ids": port_ids}
    return cloud.client.allocate("demo", server_id, requests=requests, **{**options, **given})


def test_a_server_gets_an_address_on_the_one_network_of_its_project(cloud, demo, server_id):
    network = demo.network(cidr="10.20.0.0/24")

    [vif] = allocate(cloud, server_id)

    assert vif.network_id == network["id"]
    assert vif.network_label == "private"
    assert [ip.address for ip in vif.fixed_ips] == ["10.20.0.2"]
    assert vif.subnets[0].gateway == "10.20.0.1"
    assert vif.security_groups == ("default",)
    assert (vif.vif_type, vif.is_active) == ("bridge", True)
    assert 0 < len(vif.details["bridge_name"]) <= 15


def test_a_server_has_no_network_when_its_project_has_none(cloud, server_id):
    assert allocate(cloud, server_id) == ()


def test_allocating_twice_makes_the_ports_once(cloud, demo, server_id):
    demo.network()
    ports = (str(uuid.uuid4()),)

    first = allocate(cloud, server_id, port_ids=ports)
    second = allocate(cloud, server_id, port_ids=ports)

    assert first == second
    assert len(demo.ports()) == 1


def test_a_networking_api_that_chooses_ids_itself_makes_the_ports_once_too(cloud, demo, server_id, monkeypatch):
    from nova.network.api import extensions

    monkeypatch.delitem(extensions.EXTENSIONS, "nova-network")
    demo.network()
    ports = (str(uuid.uuid4()),)

    first = allocate(cloud, server_id, port_ids=ports)
    second = allocate(cloud, server_id, port_ids=ports)

    assert first == second
    assert len(demo.ports()) == 1
    cloud.client.detach(server_id, ports[0])
    assert demo.ports() == []


def test_a_build_that_moves_on_takes_its_ports_to_the_next_host(cloud, demo, server_id):
    demo.network()
    ports = (str(uuid.uuid4()),)
    allocate(cloud, server_id, port_ids=ports)

    allocate(cloud, server_id, port_ids=ports, host="host-2")

    [port] = cloud.admin.ports()
    assert port["binding:host_id"] == "host-2"


def test_a_known_network_costs_two_requests_at_most(cloud, demo, server_id):
    network = demo.network()
    wanted = (NetworkRequest(network_id=network["id"]),)
    cloud.client.validate(demo.context, wanted)
    allocate(cloud, str(uuid.uuid4()), wanted)

    sent = cloud.requests_during(
        lambda: (cloud.client.validate(demo.context, wanted), allocate(cloud, server_id, wanted))
    )

    assert sent == ["GET /v2.0/quotas/demo/details.json?fields=port", "POST /v2.0/ports"]


def test_release_deletes_what_the_cloud_made_and_frees_what_the_user_made(cloud, demo, server_id):
    network = demo.network()
    own = demo.create("ports", network_id=network["id"], name="mine")
    allocate(cloud, server_id, (NetworkRequest(port_id=own["id"]), NetworkRequest(network_id=network["id"])))

    cloud.client.release(server_id, keep=(own["id"],))
    cloud.client.release(server_id, keep=(own["id"],))

    [left] = cloud.admin.ports()
    assert left["name"] == "mine"
    assert (left["device_id"], left["device_owner"], left["binding:host_id"]) == ("", "", "")
    assert left["fixed_ips"] == own["fixed_ips"]


def test_a_port_of_the_user_keeps_its_address_and_its_mark(cloud, demo, server_id):
    network = demo.network()
    own = demo.create("ports", network_id=network["id"], fixed_ips=[{"ip_address": "10.20.0.99"}])

    [vif] = allocate(cloud, server_id, (NetworkRequest(port_id=own["id"], tag="nic"),))

    assert vif.port_id == own["id"]
    assert vif.is_preexisting
    assert vif.tag == "nic"
    assert vif.fixed_ips[0].address == "10.20.0.99"


def test_a_port_of_another_server_is_in_use(cloud, demo, server_id):
    network = demo.network()
    own = demo.create("ports", network_id=network["id"])
    request = (NetworkRequest(port_id=own["id"]),)
    allocate(cloud, str(uuid.uuid4()), request)

    with pytest.raises(errors.PortInUse):
        allocate(cloud, server_id, request)
    with pytest.raises(errors.PortInUse):
        cloud.client.validate(demo.context, request)


def test_a_port_that_has_come_to_serve_a_trunk_since_it_was_checked_is_in_use(cloud, demo, server_id):
    network = demo.network()
    own = demo.create("ports", network_id=network["id"])
    request = (NetworkRequest(port_id=own["id"]),)
    cloud.client.validate(demo.context, request)
    cloud.admin.update("ports", own["id"], device_owner="trunk:subport")

    with pytest.raises(errors.PortInUse):
        allocate(cloud, server_id, request)

    [port] = demo.ports()
    assert (port["device_id"], port["device_owner"]) == ("", "trunk:subport")


def test_several_networks_and_no_choice_is_a_conflict(cloud, demo):
    demo.network(cidr="10.20.0.0/24")
    demo.network(cidr="10.21.0.0/24")

    with pytest.raises(errors.MultipleNetworks):
        cloud.client.validate(demo.context, None)


@pytest.mark.parametrize(
    "request_for",
    [
        lambda network, foreign: NetworkRequest(network_id=str(uuid.uuid4())),
        lambda network, foreign: NetworkRequest(network_id=foreign["id"]),
        lambda network, foreign: NetworkRequest(port_id=str(uuid.uuid4())),
        lambda network, foreign: NetworkRequest(network_id=network["id"], fixed_ip="192.168.1.1"),
        lambda network, foreign: NetworkRequest(network_id=network["id"], fixed_ip="10.20.0.5"),
        lambda network, foreign: NetworkRequest(network_id=network["id"], fixed_ip="10.20.0.0"),
        lambda network, foreign: NetworkRequest(network_id=network["id"], fixed_ip="10.20.0.255"),
        lambda network, foreign: NetworkRequest(network_id=network["id"], fixed_ip="10.20.0.1"),
    ],
    ids=[
        *("unknown network", "foreign network", "unknown port", "address outside", "address taken"),
        *("the subnet itself", "its broadcast address", "its gateway"),
    ],
)
def test_a_request_that_cannot_be_met_is_refused_before_anything_is_made(cloud, demo, request_for):
    network = demo.network(cidr="10.20.0.0/24")
    foreign = cloud.project("other").network(cidr="10.30.0.0/24")
    demo.create("ports", network_id=network["id"], fixed_ips=[{"ip_address": "10.20.0.5"}])

    with pytest.raises(errors.Invalid):
        cloud.client.validate(demo.context, (request_for(network, foreign),))


def test_a_network_without_a_subnet_cannot_be_booted_on(cloud, demo):
    network = demo.create("networks", name="bare")

    with pytest.raises(errors.Invalid, match="subnet"):
        cloud.client.validate(demo.context, (NetworkRequest(network_id=network["id"]),))


def test_a_network_made_after_the_last_look_is_found(cloud, demo):
    cloud.client.networks.usable(demo.context.project_id)
    network = demo.network()

    cloud.client.validate(demo.context, (NetworkRequest(network_id=network["id"]),))


def test_a_full_network_says_so(cloud, demo, server_id):
    demo.network(cidr="10.20.0.0/30", subnet={"enable_dhcp": False})
    allocate(cloud, str(uuid.uuid4()))

    with pytest.raises(errors.IpAddressGenerationFailure):
        allocate(cloud, server_id)


def test_ports_follow_their_server(cloud, demo, server_id):
    demo.network()
    allocate(cloud, server_id)

    cloud.client.bind(server_id, "host-2")

    assert [port["binding:host_id"] for port in cloud.admin.ports()] == ["host-2"]


def test_an_interface_comes_and_goes(cloud, demo, server_id):
    demo.network(cidr="10.20.0.0/24")
    second = demo.network(cidr="10.21.0.0/24", name="second")
    port_id = str(uuid.uuid4())

    request = NetworkRequest(network_id=second["id"])
    vif = cloud.client.attach("demo", server_id, "host-1", "nova", "web", request, port_id)
    attached = cloud.client.view(server_id)
    cloud.client.detach(server_id, port_id)

    assert vif.port_id == port_id
    assert [one.network_label for one in attached] == ["second"]
    assert cloud.client.view(server_id) == ()


def test_a_server_gets_the_security_groups_it_names(cloud, demo, server_id):
    demo.network()
    web = demo.create("security-groups", name="web")

    [vif] = allocate(cloud, server_id, security_groups=("web",))
    cloud.client.security_groups.add_to_server("demo", server_id, "default")
    names = {group["name"] for group in cloud.client.security_groups.of_server("demo", server_id)}
    cloud.client.security_groups.remove_from_server("demo", server_id, web["id"])

    assert vif.security_groups == ("web",)
    assert names == {"web", "default"}
    assert [group["name"] for group in cloud.client.security_groups.of_server("demo", server_id)] == ["default"]


def test_an_unknown_security_group_is_refused(cloud, demo):
    demo.network()

    with pytest.raises(errors.Invalid, match="nosuch"):
        cloud.client.validate(demo.context, None, security_groups=("nosuch",))


def test_the_metadata_service_finds_the_server_behind_an_address(cloud, demo, server_id):
    demo.network(cidr="10.20.0.0/24")
    allocate(cloud, server_id)

    assert cloud.client.device_at("10.20.0.2") == (server_id, "demo")
    assert cloud.client.device_at("10.20.0.3") is None


def test_a_floating_address_appears_in_the_view_of_its_server(cloud, admin, demo, server_id):
    network = demo.network(cidr="10.20.0.0/24")
    demo.join(network, admin.network(cidr="203.0.113.0/24", name="public", **{"router:external": True}))
    allocate(cloud, server_id)
    floating = cloud.client.floating_ips.create(demo.context, "public")
    address = floating["floating_ip_address"]

    cloud.client.floating_ips.associate("demo", address, server_id)
    associated = cloud.client.view(server_id)
    cloud.client.floating_ips.disassociate("demo", address)

    assert associated[0].fixed_ips[0].floating_ips == (address,)
    assert cloud.client.view(server_id)[0].fixed_ips[0].floating_ips == ()


def test_a_networking_api_that_does_not_answer_is_unavailable(demo):
    auth = token_endpoint.Token("http://127.0.0.1:1", "admin:admin")
    nobody = Networking(adapter.Adapter(session.Session(auth=auth), service_type="network"))

    with pytest.raises(errors.Unavailable):
        nobody.networks.usable(demo.context.project_id)


def test_a_long_list_of_ids_is_asked_for_in_parts(cloud, demo):
    made = demo.ask("POST", "networks", {"networks": [{"name": "n"}] * 100}).json()["networks"]
    wanted = [network["id"] for network in made] + [str(uuid.uuid4()) for _ in range(150)]

    found = NetworkingHttp(cloud.admin.adapter).find("networks", {"id": wanted})

    assert len(found) == 100


def test_a_project_without_a_name_is_none_and_not_all_of_them(cloud, demo, server_id):
    demo.network()
    allocate(cloud, server_id)
    [group] = demo.get("security-groups")["security_groups"]
    rule = group["security_group_rules"][0]["id"]

    assert cloud.client.security_groups.rule(None, rule)["id"] == rule
    with pytest.raises(errors.NotFound):
        cloud.client.security_groups.rule("", rule)
    assert cloud.client.security_groups.of_server("", server_id) == []
