"""network_data.json: what a guest without DHCP needs to set up its networks."""

import pytest

from nova.metadata import network_data
from nova.structs.network import FixedIp, Subnet
from tests.unit.metadata.servers import SUBNET, VIF, vif

LINK = {
    "id": "tapcd9f6d46-4a",
    "vif_id": "cd9f6d46-4a3a-43ab-a466-994af9db96fc",
    "type": "bridge",
    "mtu": 1450,
    "ethernet_mac_address": "fa:16:3e:9c:bf:3d",
}
NETWORK_ID = "99e88329-f20d-4741-9593-25bf07847b16"


def test_a_network_with_dhcp_needs_no_addresses():
    assert network_data.build([VIF]) == {
        "links": [LINK],
        "networks": [{"id": "network0", "link": LINK["id"], "network_id": NETWORK_ID, "type": "ipv4_dhcp"}],
        "services": [{"type": "dns", "address": "9.9.9.9"}, {"type": "dns", "address": "1.1.1.1"}],
    }


def test_a_network_without_dhcp_says_how_to_set_it_up():
    subnet = Subnet(
        id="s4",
        cidr="10.0.0.0/20",
        gateway="10.0.0.1",
        dns=("9.9.9.9",),
        routes=(("192.168.0.0/16", "10.0.0.254"),),
        has_dhcp=False,
    )

    data = network_data.build([vif(subnets=(subnet,))])

    assert data["networks"] == [
        {
            "id": "network0",
            "link": LINK["id"],
            "network_id": NETWORK_ID,
            "type": "ipv4",
            "ip_address": "10.0.0.5",
            "netmask": "255.255.240.0",
            "routes": [
                {"network": "0.0.0.0", "netmask": "0.0.0.0", "gateway": "10.0.0.1"},
                {"network": "192.168.0.0", "netmask": "255.255.0.0", "gateway": "10.0.0.254"},
            ],
            "services": [{"type": "dns", "address": "9.9.9.9"}],
        }
    ]


def test_ipv6_is_told_beside_ipv4():
    six = Subnet(id="s6", cidr="2001:db8::/64", gateway="2001:db8::1", dns=("2620:fe::fe",), has_dhcp=False)
    both = vif(
        fixed_ips=(*VIF.fixed_ips, FixedIp(address="2001:db8::5", version=6, subnet_id="s6")), subnets=(SUBNET, six)
    )

    data = network_data.build([both])

    assert [network["type"] for network in data["networks"]] == ["ipv4_dhcp", "ipv6"]
    assert data["networks"][1]["id"] == "network1"
    assert data["networks"][1]["netmask"] == "ffff:ffff:ffff:ffff::"
    assert data["networks"][1]["routes"] == [{"network": "::", "netmask": "::", "gateway": "2001:db8::1"}]
    assert [service["address"] for service in data["services"]] == ["9.9.9.9", "1.1.1.1", "2620:fe::fe"]


def test_two_cards_are_two_links_and_name_servers_are_named_once():
    second = vif(port_id="aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee", mac="fa:16:3e:00:00:02")

    data = network_data.build([VIF, second])

    assert [link["id"] for link in data["links"]] == ["tapcd9f6d46-4a", "tapaaaaaaaa-bb"]
    assert [network["link"] for network in data["networks"]] == ["tapcd9f6d46-4a", "tapaaaaaaaa-bb"]
    assert len(data["services"]) == 2


@pytest.mark.parametrize(("vif_type", "told"), [("ovs", "ovs"), ("bridge", "bridge"), ("hostdev_physical", "phy")])
def test_a_link_has_one_of_the_types_the_schema_knows(vif_type, told):
    assert network_data.build([vif(vif_type=vif_type)])["links"][0]["type"] == told


def test_a_server_without_networks_has_none():
    assert network_data.build([]) == {"links": [], "networks": [], "services": []}
