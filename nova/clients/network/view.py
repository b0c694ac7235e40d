"""A server's own view of its ports, networks and subnets, from what the Networking API shows. Pure functions."""

from collections.abc import Mapping, Sequence
from typing import Any

from nova import errors
from nova.structs.network import FixedIp, Subnet, Vif

Json = Mapping[str, Any]


def vif(
    port: Json,
    network: Json,
    subnets: Mapping[str, Json],
    group_names: Mapping[str, str],
    floating: Sequence[Json] = (),
    tag: str | None = None,
    is_preexisting: bool = False,
) -> Vif:
    """A port as plugged into a server. subnets and group_names are by id."""
    subnet_ids = dict.fromkeys(fixed_ip["subnet_id"] for fixed_ip in port["fixed_ips"])
    return Vif(
        port_id=port["id"],
        network_id=port["network_id"],
        network_label=network["name"],
        mac=port["mac_address"],
        mtu=network.get("mtu") or 1500,
        vif_type=port.get("binding:vif_type") or "unbound",
        vnic_type=port.get("binding:vnic_type") or "normal",
        details={
            name: value
            for name, value in (port.get("binding:vif_details") or {}).items()
            if isinstance(value, str | int | bool)
        },
        fixed_ips=tuple(_fixed_ip(fixed_ip, floating) for fixed_ip in port["fixed_ips"]),
        subnets=tuple(_subnet(subnets[subnet_id]) for subnet_id in subnet_ids if subnet_id in subnets),
        security_groups=tuple(group_names.get(group, group) for group in port.get("security_groups") or ()),
        tag=tag,
        is_preexisting=is_preexisting,
        is_active=port.get("status") == "ACTIVE",
    )


def _fixed_ip(fixed_ip: Json, floating: Sequence[Json]) -> FixedIp:
    address = fixed_ip["ip_address"]
    return FixedIp(
        address=address,
        version=6 if ":" in address else 4,
        subnet_id=fixed_ip["subnet_id"],
        floating_ips=tuple(each["floating_ip_address"] for each in floating if each.get("fixed_ip_address") == address),
    )


def _subnet(subnet: Json) -> Subnet:
    return Subnet(
        id=subnet["id"],
        cidr=subnet["cidr"],
        gateway=subnet.get("gateway_ip"),
        dns=tuple(subnet.get("dns_nameservers") or ()),
        routes=tuple((route["destination"], route["nexthop"]) for route in subnet.get("host_routes") or ()),
        has_dhcp=bool(subnet.get("enable_dhcp")),
    )


def is_somebody_elses(port: Json) -> bool:
    """Whether a port serves something that is no server, as the subport of a trunk: it would never come up."""
    return bool(port["device_owner"]) and not port["device_owner"].startswith("compute:")


def check_bound(vifs: Sequence[Vif], host: str) -> None:
    """Raises HostRefused when the Networking service could not bind a port to the host: nothing can be plugged there."""
    for vif in vifs:
        if vif.vif_type == "binding_failed":
            raise errors.HostRefused(host=host, reason=f"port {vif.port_id} cannot be bound there")
