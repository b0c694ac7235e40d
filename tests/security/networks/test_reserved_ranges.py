"""A tenant names addresses that mean something to a host. Nothing of it is taken, and nothing changes."""

import pytest

REFUSED = (400, "InvalidInput")


def refusal(answer):
    return answer.status_code, answer.json().get("NeutronError", {}).get("type")


@pytest.mark.parametrize(
    "cidr",
    [
        *("127.0.0.0/8", "127.5.0.0/24", "169.254.0.0/16", "169.254.169.0/24", "64.0.0.0/3", "0.0.0.0/0", "0.0.0.0/8"),
        *("224.0.0.0/8", "239.1.1.0/24", "240.0.0.0/8", "255.255.255.0/24"),
        *("10.77.3.0/24", "10.0.0.0/8", "10.99.0.0/24", "10.99.0.7/32"),
        *(
            "::/64",
            "::1/128",
            "::/0",
            "fe80::/64",
            "ff02::/64",
            "::ffff:10.0.0.0/120",
            "fc00::/7",
            "2001:db8:77:1::/64",
        ),
    ],
)
def test_ranges_of_hosts_are_refused(api, cidr):
    demo = api.project()
    network = demo.create("networks", name="n")
    body = {"network_id": network["id"], "cidr": cidr, "ip_version": 6 if ":" in cidr else 4, "gateway_ip": None}

    assert refusal(demo.ask("POST", "subnets", {"subnet": body})) == REFUSED
    assert demo.get("subnets")["subnets"] == demo.get("ports")["ports"] == []


@pytest.mark.parametrize(
    "values",
    [
        {"gateway_ip": "10.21.0.1"},
        {"gateway_ip": "10.20.0.0"},
        {"gateway_ip": "10.20.0.255"},
        {"gateway_ip": "127.0.0.1"},
        {"allocation_pools": [{"start": "10.20.0.250", "end": "10.21.0.9"}]},
        {"host_routes": [{"destination": "10.9.0.0/16", "nexthop": "10.21.0.1"}]},
        {"host_routes": [{"destination": "127.0.0.0/8", "nexthop": "10.20.0.9"}]},
        {"host_routes": [{"destination": "169.254.0.0/16", "nexthop": "10.20.0.9"}]},
        {"host_routes": [{"destination": "224.0.0.0/4", "nexthop": "10.20.0.9"}]},
        {"dns_nameservers": ["127.0.0.53"]},
        {"dns_nameservers": ["169.254.169.254"]},
        {"dns_nameservers": ["0.0.0.0"]},
    ],
)
def test_addresses_beside_a_subnet_are_refused_when_it_is_made_and_when_it_is_changed(api, values):
    demo = api.project()
    made = demo.network(cidr="10.30.0.0/24")
    network = demo.network(cidr="10.20.0.0/24")
    body = {"network_id": made["id"], "cidr": "10.20.0.0/24", "ip_version": 4, **values}
    before = demo.get(f"subnets/{network['subnets'][0]}")

    assert refusal(demo.ask("POST", "subnets", {"subnet": body})) == REFUSED
    assert refusal(demo.ask("PUT", f"subnets/{network['subnets'][0]}", {"subnet": values})) == REFUSED
    assert demo.get(f"subnets/{network['subnets'][0]}") == before


def test_another_way_to_the_metadata_service_may_be_told(api):
    route = {"destination": "169.254.169.254/32", "nexthop": "10.20.0.9"}

    network = api.project().network(cidr="10.20.0.0/24", subnet={"host_routes": [route]})

    assert api.project().get(f"subnets/{network['subnets'][0]}")["subnet"]["host_routes"] == [route]


@pytest.mark.parametrize("destination", ["127.0.0.0/8", "169.254.169.254/31", "fe80::/10"])
def test_a_router_gets_no_route_to_a_hosts_addresses(api, destination):
    demo = api.project()
    router = demo.join(demo.network(cidr="10.20.0.0/24"))
    nexthop = "fd00::1" if ":" in destination else "10.20.0.9"
    body = {"router": {"routes": [{"destination": destination, "nexthop": nexthop}]}}

    assert refusal(demo.ask("PUT", f"routers/{router['id']}", body)) == REFUSED


def test_a_router_gets_no_route_through_what_it_does_not_join(api):
    demo = api.project()
    router = demo.join(demo.network(cidr="10.20.0.0/24"))
    body = {"router": {"routes": [{"destination": "10.9.0.0/16", "nexthop": "10.21.0.9"}]}}

    assert refusal(demo.ask("PUT", f"routers/{router['id']}", body)) == (400, "InvalidRoutes")


def test_an_operators_external_network_may_be_the_hosts_own(api):
    public = api.admin.network(cidr="10.99.0.0/24", name="public", **{"router:external": True})

    assert len(public["subnets"]) == 1
