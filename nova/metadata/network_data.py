"""network_data.json: how a guest is to set up its networks.

Source: the network metadata schema beside the Compute user guide's page "Metadata".
"""

import ipaddress
from collections.abc import Iterable
from typing import Any

from nova.structs.network import FixedIp, Subnet, Vif

# What the schema allows as a link's type; any other VIF is just a network card to the guest.
_LINK_TYPES = frozenset({"bridge", "dvs", "hw_veb", "hyperv", "ovs", "tap", "vhostuser", "vif"})


def build(vifs: Iterable[Vif]) -> dict[str, Any]:
    """links: network cards. networks: their addresses and routes. services: the name servers of all."""
    links: list[dict[str, Any]] = []
    networks: list[dict[str, Any]] = []
    services: list[dict[str, Any]] = []
    for vif in vifs:
        link = _link(vif)
        links.append(link)
        subnets = {subnet.id: subnet for subnet in vif.subnets}
        for fixed_ip in vif.fixed_ips:
            subnet = subnets.get(fixed_ip.subnet_id)
            if subnet is None:
                continue
            networks.append(_network(f"network{len(networks)}", link["id"], vif, fixed_ip, subnet))
            services += [service for service in _name_servers(subnet) if service not in services]
    return {"links": links, "networks": networks, "services": services}


def _link(vif: Vif) -> dict[str, Any]:
    return {
        "id": f"tap{vif.port_id[:11]}",
        "vif_id": vif.port_id,
        "type": vif.vif_type if vif.vif_type in _LINK_TYPES else "phy",
        "mtu": vif.mtu,
        "ethernet_mac_address": vif.mac,
    }


def _network(name: str, link: str, vif: Vif, fixed_ip: FixedIp, subnet: Subnet) -> dict[str, Any]:
    protocol = f"ipv{fixed_ip.version}"
    network: dict[str, Any] = {"id": name, "link": link, "network_id": vif.network_id}
    if subnet.has_dhcp:
        return network | {"type": f"{protocol}_dhcp"}
    return network | {
        "type": protocol,
        "ip_address": fixed_ip.address,
        "netmask": str(ipaddress.ip_network(subnet.cidr).netmask),
        "routes": [*_default_route(subnet), *(_route(*route) for route in subnet.routes)],
        "services": _name_servers(subnet),
    }


def _default_route(subnet: Subnet) -> list[dict[str, str]]:
    if subnet.gateway is None:
        return []
    return [_route("::/0" if ":" in subnet.gateway else "0.0.0.0/0", subnet.gateway)]


def _route(destination: str, gateway: str) -> dict[str, str]:
    network = ipaddress.ip_network(destination)
    return {"network": str(network.network_address), "netmask": str(network.netmask), "gateway": gateway}


def _name_servers(subnet: Subnet) -> list[dict[str, str]]:
    return [{"type": "dns", "address": address} for address in subnet.dns]
