"""nova-manage network, fixed and floating: what they make is what servers and projects get."""

import pytest

from nova import errors
from tests.functional.manage.printed import table

URL = "http://network"


@pytest.fixture
def refused(operator):
    """Why a command is refused."""

    def run(*words):
        with pytest.raises(errors.DomainError) as caught:
            operator(*words)
        return caught.value.message

    return run


def addresses(server):
    return [each["addr"] for each in next(iter(server["addresses"].values()))]


def test_a_network_of_a_project_is_what_was_said(cloud, operator):
    words = (
        "--fixed_range_v4",
        "10.20.0.0/24",
        "--fixed_range_v6",
        "fd00:20::/64",
        "--dns1",
        "192.0.2.53",
        "--mtu",
        "1400",
    )
    more = ("--gateway", "10.20.0.254", "--allowed_start", "10.20.0.100", "--allowed_end", "10.20.0.200")

    _, said = operator("network", "create", "office", *words, *more, "--project_id", "project")
    network_id = said.strip()

    user, other = cloud.client(), cloud.client(project="other")
    network = user.get(f"/v2.0/networks/{network_id}", url=URL).json()["network"]
    assert (network["name"], network["mtu"], network["shared"]) == ("office", 1400, False)
    assert other.get(f"/v2.0/networks/{network_id}", url=URL).status_code == 404
    subnets = {one["ip_version"]: one for one in user.get("/v2.0/subnets", url=URL).json()["subnets"]}
    assert (subnets[4]["gateway_ip"], subnets[4]["dns_nameservers"]) == ("10.20.0.254", ["192.0.2.53"])
    assert subnets[4]["allocation_pools"] == [{"start": "10.20.0.100", "end": "10.20.0.200"}]
    assert (subnets[6]["cidr"], subnets[6]["gateway_ip"]) == ("fd00:20::/64", "fd00:20::1")
    (row,) = table(operator("network", "list")[1])
    assert (row["UUID"], row["Label"], row["IPv4"], row["IPv6"]) == (
        network_id,
        "office",
        "10.20.0.0/24",
        "fd00:20::/64",
    )
    assert (row["DNS1"], row["Carried by"], row["Project"]) == ("192.0.2.53", "flat", "project")


def test_a_network_of_nobody_is_everybodys_until_it_is_given_to_a_project(cloud, operator, refused):
    cloud.add_host()
    operator("network", "create", "all", "--fixed_range_v4", "10.30.0.0/24", "--fixed_cidr", "10.30.0.64/30")
    server = cloud.client().create_server(networks="auto")

    assert addresses(server)[0] in ("10.30.0.64", "10.30.0.65", "10.30.0.66", "10.30.0.67")
    assert "in use" in refused("network", "modify", "--fixed_range", "10.30.0.0/24", "--project", "other")
    assert table(operator("network", "list")[1])[0]["Project"] == "all"
    operator("network", "modify", "--fixed_range", "10.30.0.0/24", "--project", "project")
    assert cloud.client(project="other").get("/v2.0/networks", url=URL).json()["networks"] == []
    (network,) = cloud.client().get("/v2.0/networks", url=URL).json()["networks"]
    assert (network["shared"], network["project_id"]) == (False, "project")
    assert len(cloud.client().get("/v2.0/subnets", url=URL).json()["subnets"]) == 1


def test_a_network_that_is_used_is_not_deleted(cloud, operator, refused):
    cloud.add_host()
    _, said = operator("network", "create", "all", "--fixed_range_v4", "10.30.0.0/24")
    user = cloud.client()
    server = user.create_server(networks="auto")

    refused("network", "delete", "--uuid", said.strip())
    user.delete(f"/servers/{server['id']}")
    user.wait_gone(server["id"])
    operator("network", "delete", "--fixed_range", "10.30.0.0/24")

    assert table(operator("network", "list")[1]) == []


REFUSED = (
    ("network create a", "needs --fixed_range_v4"),
    ("network create a --fixed_range_v4 nonsense", "is no range of addresses"),
    ("network create a --fixed_range_v4 fd00::/64", "no range of IPv4"),
    ("network create a --fixed_range_v4 127.0.0.0/24", "loopback"),
    ("network create a --fixed_range_v4 10.0.0.0/24 --gateway 10.9.0.1", "gateway_ip"),
    ("network create a --fixed_range_v4 10.0.0.0/24 --fixed_cidr 10.9.0.0/28", "allocation_pools"),
    ("network create a --fixed_range_v4 10.0.0.0/24 --gateway_v6 fd00::1", "has not"),
    ("network create a --fixed_range_v6 fd00::/64 --allowed_start 10.0.0.4", "has not"),
    ("network create a --fixed_range_v4 10.0.0.0/24 --dns1 none", "is no address"),
    ("network create a --fixed_range_v4 10.0.0.0/24 --num_networks 2", "--num_networks"),
    ("network create a --fixed_range_v4 10.0.0.0/24 --network_size 64", "--network_size"),
    ("network create a --fixed_range_v4 10.0.0.0/24 --vlan 100", "--vlan cannot be honoured"),
    ("network create a --fixed_range_v4 10.0.0.0/24 --multi_host T", "--multi_host cannot be honoured"),
    ("network create a --fixed_range_v4 10.0.0.0/24 --bridge br100", "--bridge cannot be honoured"),
    ("network modify --fixed_range 10.0.0.0/24 --project p", "There is no network"),
    ("network modify --uuid x --disassociate-project", "cannot be honoured"),
    ("network modify --uuid x --host h", "cannot be honoured"),
    ("network modify --uuid x", "--project"),
    ("network delete", "--uuid or by --fixed_range"),
    ("network delete --uuid none", "There is no network"),
    ("fixed reserve --address 10.0.0.4", "no network has it"),
    ("fixed reserve --address here", "is no address"),
    ("fixed unreserve --address 10.0.0.4", "no network has it"),
    ("floating create --ip_range 203.0.113.7/32", "no address beside"),
    ("floating create --ip_range 203.0.113.0/24 --interface eth0", "--interface cannot be honoured"),
    ("floating create --ip_range 127.0.0.0/24", "loopback"),
    ("floating delete --ip_range 203.0.113.0/24", "no range of floating addresses"),
)


def test_what_cannot_be_honoured_is_refused_and_nothing_is_made(operator, refused):
    for words, why in REFUSED:
        assert why in refused(*words.split()), words

    assert table(operator("network", "list")[1]) == []


def test_a_reserved_address_is_given_to_nobody(cloud, operator, refused):
    cloud.add_host()
    operator("network", "create", "all", "--fixed_range_v4", "10.30.0.0/24", "--fixed_cidr", "10.30.0.64/30")
    taken = {row["IP address"] for row in table(operator("fixed", "get")[1])}
    free = sorted({f"10.30.0.{number}" for number in range(64, 68)} - taken)
    for address in free[:-1]:
        operator("fixed", "reserve", "--address", address)

    server = cloud.client().create_server(networks="auto")

    assert addresses(server) == free[-1:]
    assert free[0] in refused("fixed", "reserve", "--address", free[0])
    refused("fixed", "reserve", "--address", free[-1])
    assert "is not reserved" in refused("fixed", "unreserve", "--address", free[-1])
    rows = {row["IP address"]: row for row in table(operator("fixed", "get")[1])}
    assert rows[free[0]]["Used by"] == "nova-manage:reserved"
    assert rows[free[-1]]["Used by"] == server["id"]
    host = rows[free[-1]]["Host"]
    assert [row["IP address"] for row in table(operator("fixed", "get", "--host", host)[1])] == free[-1:]
    assert not any(port["name"] == "reserved" for port in cloud.client().get("/v2.0/ports", url=URL).json()["ports"])
    operator("fixed", "unreserve", "--address", free[0])
    assert addresses(cloud.client().create_server(networks="auto")) == free[:1]


def test_an_address_of_several_networks_is_named_with_its_network(operator, refused):
    ids = [
        operator("network", "create", name, "--fixed_range_v4", "10.40.0.0/24", "--project_id", name)[1].strip()
        for name in ("one", "two")
    ]

    assert "several networks" in refused("fixed", "reserve", "--address", "10.40.0.9")
    operator("fixed", "reserve", "--address", "10.40.0.9", "--network", ids[1])
    assert "Several networks" in refused("network", "delete", "--fixed_range", "10.40.0.0/24")
    assert "is not reserved" in refused("fixed", "unreserve", "--address", "10.40.0.9", "--network", ids[0])
    operator("fixed", "unreserve", "--address", "10.40.0.9", "--network", ids[1])


def test_floating_addresses_come_out_of_a_pool_and_it_goes_when_nobody_has_one(cloud, operator, refused):
    operator("floating", "create", "--ip_range", "203.0.113.0/29", "--pool", "public")
    user = cloud.client(version="2.1")

    given = user.post("/os-floating-ips", {"pool": "public"}).json()["floating_ip"]

    assert given["ip"] in {f"203.0.113.{number}" for number in range(2, 7)}
    (row,) = table(operator("floating", "list")[1])
    assert (row["Project"], row["IP address"], row["Pool"]) == ("project", given["ip"], "public")
    assert table(operator("floating", "list", "--host", "host-1")[1]) == []
    refused("floating", "delete", "--ip_range", "203.0.113.0/29")
    refused("floating", "create", "--ip_range", "203.0.113.0/28", "--pool", "public")
    assert user.delete(f"/os-floating-ips/{given['id']}").status_code == 202
    operator("floating", "delete", "--ip_range", "203.0.113.0/29")
    assert user.post("/os-floating-ips", {"pool": "public"}).status_code >= 400
    assert table(operator("floating", "list")[1]) == []
