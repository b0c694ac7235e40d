"""The Networking API as its clients see it."""

import threading
import uuid

import pytest


def names(answer, plural):
    return [one["name"] for one in answer[plural]]


def test_a_network_with_its_subnet_is_made_shown_changed_and_deleted(demo):
    network = demo.create("networks", name="private", description="mine")
    subnet = demo.create("subnets", network_id=network["id"], ip_version=4, cidr="10.20.0.7/24")

    shown = demo.get(f"networks/{network['id']}")["network"]
    renamed = demo.update("networks", network["id"], name="renamed")
    deleted = demo.delete("networks", network["id"])

    assert (shown["status"], shown["subnets"], shown["project_id"]) == ("ACTIVE", [subnet["id"]], "demo")
    assert subnet["cidr"] == "10.20.0.0/24"
    assert subnet["gateway_ip"] == "10.20.0.1"
    assert subnet["allocation_pools"] == [{"start": "10.20.0.2", "end": "10.20.0.254"}]
    assert (renamed["name"], renamed["revision_number"]) == ("renamed", shown["revision_number"] + 1)
    assert deleted is None
    assert demo.ask("GET", f"networks/{network['id']}").status_code == 404
    assert demo.ask("GET", f"subnets/{subnet['id']}").status_code == 404


def test_version_documents_need_no_token_and_everything_else_does(demo):
    anonymous = {"authenticated": False}

    assert demo.adapter.get("/", **anonymous).json()["versions"][0]["id"] == "v2.0"
    assert demo.adapter.get("/v2.0/", **anonymous).status_code == 200
    refused = demo.adapter.get("/v2.0/networks", raise_exc=False, **anonymous)
    assert (refused.status_code, refused.json()["error"]["code"]) == (401, 401)


def test_a_project_sees_its_own_networks_shared_ones_and_no_others(cloud, admin, demo):
    demo.create("networks", name="mine")
    admin.create("networks", name="shared", shared=True)
    admin.create("networks", name="public", **{"router:external": True})
    foreign = cloud.project("other").create("networks", name="theirs")

    assert names(demo.get("networks"), "networks") == ["mine", "shared", "public"]
    assert demo.ask("GET", f"networks/{foreign['id']}").status_code == 404
    assert demo.delete("networks", foreign["id"]) == "NetworkNotFound"
    assert len(admin.get("networks")["networks"]) == 4


@pytest.mark.parametrize(
    "values",
    [{"shared": True}, {"router:external": True}, {"provider:network_type": "vxlan"}, {"project_id": "other"}],
    ids=lambda values: next(iter(values)),
)
def test_what_only_an_administrator_may_set_is_forbidden(demo, values):
    assert demo.create("networks", name="one", **values) == "PolicyNotAuthorized"
    assert demo.get("networks")["networks"] == []


def test_a_shared_network_is_used_but_not_changed_by_others(admin, demo):
    network = admin.network(shared=True)

    port = demo.create("ports", network_id=network["id"])

    assert port["project_id"] == "demo"
    assert demo.update("networks", network["id"], name="taken over") == "PolicyNotAuthorized"
    assert demo.delete("networks", network["id"]) == "PolicyNotAuthorized"
    assert demo.create("ports", network_id=network["id"], mac_address="fa:16:3e:00:00:01") == "PolicyNotAuthorized"
    assert "binding:host_id" not in port


@pytest.mark.parametrize(
    "method, path, body, status, kind",
    [
        ("POST", "networks", {"network": {"nosuch": 1}}, 400, "InvalidInput"),
        ("POST", "networks", {"network": {"name": 7}}, 400, "InvalidInput"),
        ("POST", "networks", {"network": {"name": "x" * 300}}, 400, "InvalidInput"),
        ("POST", "networks", {"network": []}, 400, "InvalidInput"),
        ("POST", "networks", {"networks": []}, 400, "InvalidInput"),
        ("POST", "networks", {}, 400, "InvalidInput"),
        ("POST", "networks", {"network": {"admin_state_up": "perhaps"}}, 400, "InvalidInput"),
        ("POST", "networks", {"network": {"mtu": -1}}, 400, "InvalidInput"),
        ("POST", "subnets", {"subnet": {"cidr": "10.0.0.0/24", "ip_version": 4}}, 400, "InvalidInput"),
        ("POST", "ports", {"port": {"network_id": "not-a-uuid"}}, 400, "InvalidInput"),
        ("POST", "ports", {"port": {"network_id": str(uuid.uuid4())}}, 404, "NetworkNotFound"),
        ("PUT", "networks/nosuch", {"network": {"name": "x"}}, 404, "NetworkNotFound"),
        ("DELETE", "ports/nosuch", None, 404, "PortNotFound"),
        ("GET", "security-groups/nosuch", None, 404, "SecurityGroupNotFound"),
        ("GET", "nosuch", None, 404, "HTTPNotFound"),
        ("GET", "networks?nosuch=1", None, 400, "InvalidInput"),
        ("GET", "networks?limit=many", None, 400, "InvalidInput"),
        ("GET", "networks?marker=nosuch", None, 400, "InvalidInput"),
        ("GET", "networks?sort_key=name&sort_dir=up", None, 400, "InvalidInput"),
        ("GET", "networks?limit=%C2%B2", None, 400, "InvalidInput"),
        ("GET", "networks?name=%00", None, 400, "InvalidInput"),
        ("GET", "networks?name=%FF", None, 400, "InvalidInput"),
        ("GET", "networks/%00", None, 404, "HTTPNotFound"),
        ("GET", "networks/%FF", None, 400, "InvalidInput"),
        ("POST", "networks", {"network": {"name": "a\0b"}}, 400, "InvalidInput"),
        ("PATCH", "networks", None, 405, "HTTPMethodNotAllowed"),
    ],
)
def test_bad_requests_are_refused_in_the_apis_words(demo, method, path, body, status, kind):
    demo.network()

    answer = demo.ask(method, path, body)

    assert (answer.status_code, answer.json()["NeutronError"]["type"]) == (status, kind)
    assert set(answer.json()["NeutronError"]) == {"type", "message", "detail"}
    assert len(demo.get("networks")["networks"]) == 1


@pytest.mark.parametrize("raw", [b"{", b"[]", b"\xff", b'{"network": {"name": "\\ud800"}}', b""])
def test_a_body_that_is_no_json_object_is_refused(demo, raw):
    answer = demo.adapter.post("/v2.0/networks", data=raw, raise_exc=False)

    assert answer.status_code == 400


def test_a_huge_body_is_refused(demo):
    answer = demo.adapter.post("/v2.0/networks", data=b"x" * (1024 * 1024 + 1), raise_exc=False)

    assert answer.status_code == 413


@pytest.mark.parametrize(
    "values, kind",
    [
        ({"cidr": "10.20.0.0/24", "gateway_ip": "10.20.0.255"}, "InvalidInput"),
        ({"cidr": "10.20.0.0/24", "gateway_ip": "fd00::1"}, "InvalidInput"),
        ({"cidr": "10.20.0.0/24", "ip_version": 6}, "InvalidInput"),
        ({"cidr": "10.20.0.0/24", "allocation_pools": [{"start": "10.21.0.5", "end": "10.21.0.9"}]}, "InvalidInput"),
        ({"cidr": "10.20.0.0/24", "allocation_pools": [{"start": "10.20.0.9", "end": "10.20.0.5"}]}, "InvalidInput"),
        ({"cidr": "10.20.0.0/24", "allocation_pools": [{"start": "10.20.0.1", "end": "10.20.0.9"}]}, "Conflict"),
        ({"cidr": "nonsense"}, "InvalidInput"),
        ({"cidr": "10.20.0.0/33"}, "InvalidInput"),
        ({"cidr": "10.1.0.128/25"}, "InvalidInput"),
        ({"cidr": "10.20.0.0/24", "host_routes": [{"destination": "x", "nexthop": "y"}]}, "InvalidInput"),
        ({"cidr": "10.20.0.0/24", "dns_nameservers": ["dns"]}, "InvalidInput"),
    ],
)
def test_a_subnet_that_makes_no_sense_is_refused(demo, values, kind):
    network = demo.network(cidr="10.1.0.0/24")

    answer = demo.create("subnets", **{"network_id": network["id"], "ip_version": 4, **values})

    assert answer == kind


def test_a_network_in_use_cannot_be_deleted(demo):
    network = demo.network()
    port = demo.create("ports", network_id=network["id"])

    assert demo.delete("networks", network["id"]) == "NetworkInUse"
    assert demo.delete("subnets", network["subnets"][0]) == "SubnetInUse"
    assert demo.delete("ports", port["id"]) is None
    assert demo.delete("networks", network["id"]) is None


def test_an_address_belongs_to_one_port(demo):
    network = demo.network(cidr="10.20.0.0/24")
    wanted = {"network_id": network["id"], "fixed_ips": [{"ip_address": "10.20.0.9"}]}
    demo.create("ports", **wanted)

    assert demo.create("ports", **wanted) == "IpAddressInUse"
    assert demo.create("ports", network_id=network["id"], fixed_ips=[{"ip_address": "10.20.0.255"}]) == "InvalidInput"
    assert demo.create("ports", network_id=network["id"], fixed_ips=[{"ip_address": "10.99.0.1"}]) == "InvalidInput"


@pytest.mark.parametrize(
    "values",
    [
        {"allowed_address_pairs": [{"ip_address": "fe80::1%} accept; {"}]},
        {"allowed_address_pairs": [{"ip_address": "fe80::%} accept/64"}]},
        {"fixed_ips": [{"ip_address": "fe80::1%x"}]},
        {"extra_dhcp_opts": [{"opt_name": "mtu", "opt_value": "1\nlog-queries"}]},
        {"extra_dhcp_opts": [{"opt_name": "mtu,1\n", "opt_value": "1"}]},
        {"dns_name": "web\nfa:16:3e:00:00:01,10.20.0.3"},
        {"dns_name": "web,10.20.0.3"},
        {"mac_address": "fa:16:3e:00:00:0g"},
        {"mac_address": "ff:ff:ff:ff:ff:ff"},
        {"device_id": 7},
        {"binding:vnic_type": "nosuch"},
        {"security_groups": "default"},
    ],
)
def test_what_would_end_up_in_rules_and_files_is_checked_first(demo, values):
    network = demo.network(cidr="10.20.0.0/24")

    assert demo.create("ports", network_id=network["id"], **values) == "InvalidInput"


def test_nobody_passes_for_somebody_elses_server(cloud, admin, demo):
    network = demo.network()
    server = str(uuid.uuid4())
    own = demo.create("ports", network_id=network["id"])
    admin.update("ports", own["id"], device_id=str(uuid.uuid4()), device_owner="compute:nova")

    made = demo.create("ports", network_id=network["id"], device_id=server, device_owner="compute:nova")
    moved = demo.update("ports", own["id"], device_id=server)
    marked = demo.create("ports", network_id=network["id"], device_id=server)

    assert (made, moved) == ("PolicyNotAuthorized", "PolicyNotAuthorized")
    assert cloud.client.view(server) == ()
    assert cloud.client.device_at(marked["fixed_ips"][0]["ip_address"]) is None


def test_a_mac_belongs_to_one_port_of_a_network(demo):
    network = demo.network()
    wanted = {"network_id": network["id"], "mac_address": "FA-16-3E-00-00-01"}
    first = demo.create("ports", **wanted)

    assert first["mac_address"] == "fa:16:3e:00:00:01"
    assert demo.create("ports", **wanted) == "MacAddressInUse"


def test_a_full_subnet_gives_nothing_and_what_comes_back_is_given_again(demo):
    network = demo.network(cidr="10.20.0.0/30", subnet={"enable_dhcp": False})
    port = demo.create("ports", network_id=network["id"])

    full = demo.create("ports", network_id=network["id"])
    demo.delete("ports", port["id"])
    again = demo.create("ports", network_id=network["id"])

    assert full == "IpAddressGenerationFailure"
    assert again["fixed_ips"] == port["fixed_ips"]


def test_a_second_subnet_takes_over_when_the_first_is_full(demo):
    network = demo.network(cidr="10.20.0.0/30", subnet={"enable_dhcp": False})
    demo.create("subnets", network_id=network["id"], ip_version=4, cidr="10.21.0.0/24")

    ports = [demo.create("ports", network_id=network["id"]) for _ in range(2)]

    assert [port["fixed_ips"][0]["ip_address"] for port in ports] == ["10.20.0.2", "10.21.0.2"]


def test_a_port_has_an_address_of_each_version(demo):
    network = demo.network(cidr="10.20.0.0/24")
    slaac = {"ipv6_address_mode": "slaac", "ipv6_ra_mode": "slaac"}
    demo.create("subnets", network_id=network["id"], ip_version=6, cidr="fd00:20::/64", **slaac)

    port = demo.create("ports", network_id=network["id"], mac_address="fa:16:3e:12:34:56")

    assert [one["ip_address"] for one in port["fixed_ips"]] == ["10.20.0.2", "fd00:20::f816:3eff:fe12:3456"]


def test_thirty_two_clients_at_once_never_get_one_address_twice(cloud, demo):
    network = demo.network(cidr="10.20.0.0/25")
    made, refused = [], []

    def work():
        mine = cloud.project("demo")
        for _ in range(4):
            port = mine.create("ports", network_id=network["id"])
            (refused if isinstance(port, str) else made).append(port)

    threads = [threading.Thread(target=work) for _ in range(32)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    addresses = {port["fixed_ips"][0]["ip_address"] for port in made}
    assert len(addresses) == len(made) == 124
    assert set(refused) == {"IpAddressGenerationFailure"}
    assert len(refused) == 128 - 124


def test_many_ports_are_made_in_one_request_or_none(demo):
    network = demo.network(cidr="10.20.0.0/29", subnet={"enable_dhcp": False})
    asked = [{"network_id": network["id"], "name": f"p{number}"} for number in range(4)]

    made = demo.ask("POST", "ports", {"ports": asked})
    demo.delete("ports", made.json()["ports"][0]["id"])
    refused = demo.ask("POST", "ports", {"ports": asked})

    assert made.status_code == 201
    assert names(made.json(), "ports") == ["p0", "p1", "p2", "p3"]
    assert refused.status_code == 409
    assert len(demo.get("ports")["ports"]) == 3


def test_lists_are_filtered_ordered_paged_and_cut(demo):
    for name in ("c", "a", "b"):
        demo.create("networks", name=name)

    assert names(demo.get("networks?name=a&name=b"), "networks") == ["a", "b"]
    assert names(demo.get("networks?sort_key=name&sort_dir=desc"), "networks") == ["c", "b", "a"]
    assert demo.get("networks?name=a&fields=name")["networks"] == [{"name": "a"}]
    assert demo.get("networks?admin_state_up=False")["networks"] == []
    first = demo.get("networks?sort_key=name&limit=2")
    [link] = first["networks_links"]
    rest = demo.get(link["href"].partition("/v2.0/")[2])
    assert (names(first, "networks"), names(rest, "networks")) == (["a", "b"], ["c"])
    assert "networks_links" not in rest


def test_ports_are_found_by_address_device_and_group(demo):
    network = demo.network(cidr="10.20.0.0/24")
    port = demo.create("ports", network_id=network["id"], device_id="server-1")
    demo.create("ports", network_id=network["id"])

    for query in (
        "fixed_ips=ip_address%3D10.20.0.2",
        "device_id=server-1",
        f"mac_address={port['mac_address']}",
        f"security_groups={port['security_groups'][0]}&device_id=server-1",
        f"fixed_ips=subnet_id%3D{network['subnets'][0]}&fixed_ips=ip_address%3D10.20.0.2",
    ):
        assert [one["id"] for one in demo.get(f"ports?{query}")["ports"]] == [port["id"]], query


def test_tags_are_put_found_and_taken(demo):
    network = demo.create("networks", name="tagged")
    demo.create("networks", name="plain")
    path = f"networks/{network['id']}/tags"

    assert demo.ask("PUT", path, {"tags": ["red", "blue"]}).json() == {"tags": ["red", "blue"]}
    assert demo.ask("PUT", f"{path}/green").status_code == 201
    assert names(demo.get("networks?tags=red,green"), "networks") == ["tagged"]
    assert names(demo.get("networks?not-tags=red"), "networks") == ["plain"]
    assert demo.ask("DELETE", f"{path}/red").status_code == 204
    assert demo.ask("GET", f"{path}/red").status_code == 404
    assert demo.get(path) == {"tags": ["blue", "green"]}


def test_a_project_has_a_default_group_before_it_asks(demo):
    [group] = demo.get("security-groups")["security_groups"]

    rules = {(rule["direction"], rule["ethertype"], rule["remote_group_id"]) for rule in group["security_group_rules"]}

    assert group["name"] == "default"
    assert rules == {
        *(("egress", version, None) for version in ("IPv4", "IPv6")),
        *(("ingress", version, group["id"]) for version in ("IPv4", "IPv6")),
    }
    assert demo.delete("security-groups", group["id"]) == "SecurityGroupCannotRemoveDefault"
    assert demo.create("security-groups", name="default") == "Conflict"


def test_a_group_that_guards_a_port_stays(demo):
    network = demo.network()
    group = demo.create("security-groups", name="web")
    port = demo.create("ports", network_id=network["id"], security_groups=[group["id"]])

    assert demo.delete("security-groups", group["id"]) == "SecurityGroupInUse"
    demo.delete("ports", port["id"])
    assert demo.delete("security-groups", group["id"]) is None


def test_a_rule_is_kept_once(demo):
    group = demo.create("security-groups", name="web")
    rule = {
        "security_group_id": group["id"],
        "direction": "ingress",
        "protocol": "tcp",
        "port_range_min": 22,
        "port_range_max": 22,
    }

    first = demo.create("security-group-rules", **rule)

    assert first["ethertype"] == "IPv4"
    assert demo.create("security-group-rules", **rule) == "SecurityGroupRuleExists"
    assert demo.delete("security-group-rules", first["id"]) is None


@pytest.mark.parametrize(
    "values",
    [
        {"protocol": "nosuch"},
        {"protocol": "tcp", "port_range_min": 90, "port_range_max": 80},
        {"protocol": "tcp", "port_range_min": 80},
        {"port_range_min": 80, "port_range_max": 80},
        *(
            {"protocol": protocol, "port_range_min": 80, "port_range_max": 80}
            for protocol in ("dccp", "udplite", "33", "136")
        ),
        {"protocol": "icmp", "port_range_max": 0},
        {"protocol": "icmp", "port_range_min": 300},
        {"ethertype": "IPv6", "remote_ip_prefix": "10.0.0.0/8"},
        {"ethertype": "IPX"},
        {"direction": "sideways"},
        {"remote_ip_prefix": "10.0.0.0/8; flush ruleset"},
        {"ethertype": "IPv6", "remote_ip_prefix": "fe80::%x } drop"},
    ],
)
def test_a_rule_that_makes_no_sense_is_refused(demo, values):
    group = demo.create("security-groups", name="web")

    answer = demo.create("security-group-rules", **{"security_group_id": group["id"], "direction": "ingress", **values})

    assert answer == "InvalidInput"


def test_a_group_of_another_project_is_not_there(cloud, demo):
    network = demo.network()
    foreign = cloud.project("other").create("security-groups", name="theirs")

    assert demo.create("ports", network_id=network["id"], security_groups=[foreign["id"]]) == "SecurityGroupNotFound"


def test_a_floating_ip_comes_from_an_external_network_and_leads_to_one_port(admin, demo):
    network = demo.network(cidr="10.20.0.0/24")
    public = admin.network(cidr="203.0.113.0/29", name="public", **{"router:external": True})
    port = demo.create("ports", network_id=network["id"])

    floating = demo.create("floatingips", floating_network_id=public["id"])
    unreachable = demo.update("floatingips", floating["id"], port_id=port["id"])
    router = demo.join(network, public)
    associated = demo.update("floatingips", floating["id"], port_id=port["id"])
    second = demo.create("floatingips", floating_network_id=public["id"], port_id=port["id"])
    subnet = {"subnet_id": network["subnets"][0]}
    kept = demo.ask("PUT", f"routers/{router['id']}/remove_router_interface", subnet)
    closed = demo.update("routers", router["id"], external_gateway_info=None)
    demo.delete("ports", port["id"])
    freed = demo.get(f"floatingips/{floating['id']}")["floatingip"]

    assert floating["status"] == "DOWN"
    assert unreachable == "ExternalGatewayForFloatingIPNotFound"
    assert associated["router_id"] == router["id"]
    assert kept.json()["NeutronError"]["type"] == "RouterInterfaceInUseByFloatingIP"
    assert closed == "RouterExternalGatewayInUseByFloatingIp"
    assert (associated["fixed_ip_address"], associated["status"]) == ("10.20.0.2", "ACTIVE")
    assert second == "FloatingIPPortAlreadyAssociated"
    assert (freed["port_id"], freed["fixed_ip_address"]) == (None, None)
    assert demo.delete("floatingips", floating["id"]) is None
    assert [one for one in admin.get("ports")["ports"] if one["device_owner"] == "network:floatingip"] == []


def test_a_router_joins_a_subnet_and_goes_when_it_joins_none(admin, demo):
    network = demo.network(cidr="10.20.0.0/24")
    public = admin.network(cidr="203.0.113.0/24", name="public", **{"router:external": True})
    router = demo.create("routers", name="r", external_gateway_info={"network_id": public["id"]})
    subnet = {"subnet_id": network["subnets"][0]}

    added = demo.ask("PUT", f"routers/{router['id']}/add_router_interface", subnet)
    in_use = demo.delete("routers", router["id"])
    [port] = demo.get(f"ports?device_id={router['id']}")["ports"]
    port_refused = demo.delete("ports", port["id"])
    removed = demo.ask("PUT", f"routers/{router['id']}/remove_router_interface", subnet)

    assert added.status_code == removed.status_code == 200
    assert port["fixed_ips"][0]["ip_address"] == "10.20.0.1"
    assert (in_use, port_refused) == ("RouterInUse", "PortInUse")
    assert demo.delete("routers", router["id"]) is None


def test_a_project_has_limits_and_an_administrator_moves_them(admin, demo):
    assert demo.get("quotas/demo")["quota"]["network"] == 100
    assert demo.ask("PUT", "quotas/demo", {"quota": {"network": 5}}).status_code == 403

    admin.ask("PUT", "quotas/demo", {"quota": {"network": 1}})
    demo.create("networks", name="first")
    refused = demo.create("networks", name="second")
    details = demo.get("quotas/demo/details")["quota"]["network"]
    admin.ask("DELETE", "quotas/demo")

    assert refused == "OverQuota"
    assert details == {"limit": 1, "used": 1, "reserved": 0}
    assert demo.get("quotas/demo")["quota"]["network"] == 100


def test_use_of_addresses_is_counted(admin, demo):
    network = demo.network(cidr="10.20.0.0/24")
    demo.create("ports", network_id=network["id"])

    [answer] = admin.get("network-ip-availabilities")["network_ip_availabilities"]

    assert (answer["network_name"], answer["total_ips"], answer["used_ips"]) == ("private", 253, 2)
    assert answer["subnet_ip_availability"][0]["cidr"] == "10.20.0.0/24"


def test_two_networks_with_nothing_between_them_take_different_wires(admin, demo):
    demo.create("networks", name="first")
    demo.create("networks", name="second")

    kinds = [
        (one["provider:network_type"], one["provider:segmentation_id"], one["mtu"])
        for one in admin.get("networks")["networks"]
    ]

    assert kinds == [("flat", None, 1500), ("vxlan", 1001, 1450)]
    assert admin.create("networks", name="third", **{"provider:network_type": "flat"}) == "FlatNetworkInUse"


def test_networks_made_together_take_different_wires_too(admin):
    made = admin.ask("POST", "networks", {"networks": [{"name": "n"}] * 4}).json()["networks"]
    taken = admin.create("networks", **{"provider:network_type": "vxlan", "provider:segmentation_id": 1001})
    public = admin.create("networks", **{"router:external": True})

    assert [one["provider:segmentation_id"] for one in made] == [None, 1001, 1002, 1003]
    assert taken == "TunnelIdInUse"
    assert public["provider:network_type"] == "local"


def test_an_update_of_a_revision_that_passed_is_refused(demo):
    network = demo.create("networks", name="one")
    demo.update("networks", network["id"], name="two")

    stale = demo.ask(
        "PUT",
        f"networks/{network['id']}",
        {"network": {"name": "three"}},
        headers={"If-Match": f"revision_number={network['revision_number']}"},
    )

    assert (stale.status_code, stale.json()["NeutronError"]["type"]) == (412, "RevisionNumberConstraintFailed")


def test_a_port_made_twice_under_one_id_is_one_port(admin):
    network = admin.network()
    wanted = {"id": str(uuid.uuid4()), "network_id": network["id"], "device_id": "server-1"}

    first, second = admin.create("ports", **wanted), admin.create("ports", **wanted)

    assert first == second
    assert admin.create("ports", **{**wanted, "device_id": "server-2"}) == "PortExists"


def test_a_users_extension_list_names_what_there_is(demo):
    aliases = {one["alias"] for one in demo.get("extensions")["extensions"]}

    assert {"security-group", "router", "binding", "quotas", "standard-attr-tag", "external-net"} <= aliases
    assert demo.get("extensions/router")["extension"]["alias"] == "router"


def test_ports_get_an_address_on_a_subnet_with_slaac_that_comes_later_and_lose_it_with_it(demo):
    network = demo.network(cidr="10.20.0.0/24")
    port = demo.create("ports", network_id=network["id"], mac_address="fa:16:3e:12:34:56")
    bare = demo.create("ports", network_id=network["id"], fixed_ips=[])
    slaac = {"ipv6_address_mode": "slaac", "ipv6_ra_mode": "slaac"}

    def addresses(one):
        shown = demo.get(f"ports/{one['id']}")["port"]["fixed_ips"]
        return [fixed_ip["ip_address"] for fixed_ip in shown]

    subnet = demo.create("subnets", network_id=network["id"], ip_version=6, cidr="fd00:20::/64", **slaac)
    after = addresses(port)
    deleted = demo.delete("subnets", subnet["id"])

    assert after == ["10.20.0.2", "fd00:20::f816:3eff:fe12:3456"]
    assert addresses(bare) == []
    assert deleted is None
    assert addresses(port) == ["10.20.0.2"]


def test_a_router_has_an_address_outside_while_it_leads_there(admin, demo):
    public = admin.network(cidr="203.0.113.0/24", name="public", **{"router:external": True})
    router = demo.create("routers", name="r", external_gateway_info={"network_id": public["id"]})
    chosen = {"network_id": public["id"], "external_fixed_ips": [{"ip_address": "203.0.113.77"}]}

    refused = demo.update("routers", router["id"], external_gateway_info=chosen)
    moved = admin.update("routers", router["id"], external_gateway_info=chosen)
    kept = demo.update("routers", router["id"], name="renamed")
    closed = demo.update("routers", router["id"], external_gateway_info=None)

    def outside(shown):
        return [one["ip_address"] for one in shown["external_gateway_info"]["external_fixed_ips"]]

    assert outside(router) == ["203.0.113.2"]
    assert refused == "PolicyNotAuthorized"
    assert outside(moved) == outside(kept) == ["203.0.113.77"]
    assert closed["external_gateway_info"] is None
    assert [one for one in admin.ports() if one["device_owner"] == "network:router_gateway"] == []
