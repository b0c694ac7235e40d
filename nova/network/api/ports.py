"""Ports: /v2.0/ports. Source: Networking API v2.0 reference, "Ports" and its binding extension.

A port is bound as soon as it names a host: the guest's device becomes a member of the network's
bridge there. An administrator (nova-conductor) may choose a port's id, so that creating it twice
creates one port.
"""

import uuid
from collections.abc import Iterable, Sequence
from typing import Any, ClassVar

import msgspec

from nova.errors import Conflict, Invalid, NetworkingExists, NetworkingInUse, NetworkingNotFound, PolicyDenied
from nova.network.api import fields, security_groups
from nova.network.api.fields import Field
from nova.network.api.resource import Call, Resource, common_view
from nova.structs.networking import AnyRecord, FixedIp, Network, Port, SecurityGroup

_UNSET: Any = object()
_VNIC_TYPES = ("normal", "direct", "macvtap", "direct-physical", "baremetal", "virtio-forwarder", "smart-nic")
# Ports with these owners belong to another noun, and go with it.
_SERVANTS = {
    "network:router_interface": "router",
    "network:router_gateway": "router",
    "network:floatingip": "floatingip",
}
_DHCP = "network:dhcp"


class Ports(Resource):
    noun = "port"
    plural = "ports"
    path = "ports"
    fields = (
        *fields.COMMON,
        fields.ADMIN_STATE_UP,
        Field("id", fields.uuid_text, default=None, put=False, rule="network:set_port:id"),
        Field("network_id", fields.uuid_text, put=False),
        Field("mac_address", fields.mac_address, default=""),
        Field("fixed_ips", fields.list_of(fields.fixed_ip, limit=20), default=(FixedIp(),)),
        Field("device_id", fields.or_empty(fields.text()), default=""),
        Field("device_owner", fields.or_empty(fields.text()), default=""),
        Field(
            "binding:host_id",
            fields.or_empty(fields.text()),
            default="",
            record_name="host",
            rule="network:set_port:binding:host_id",
        ),
        Field("binding:vnic_type", fields.one_of(*_VNIC_TYPES), default="normal", record_name="vnic_type"),
        Field(
            "binding:profile",
            fields.mapping,
            default={},
            record_name="profile",
            rule="network:set_port:binding:profile",
        ),
        Field("port_security_enabled", fields.boolean, default=None),
        Field(
            "security_groups",
            fields.optional(fields.set_of(fields.uuid_text, limit=50)),
            default=_UNSET,
        ),
        Field("allowed_address_pairs", fields.list_of(fields.address_pair, limit=10), default=()),
        Field("extra_dhcp_opts", fields.list_of(fields.dhcp_option, limit=20), default=()),
        Field("dns_name", fields.dns_name, default=""),
        Field("propagate_uplink_status", fields.boolean, default=False),
    )
    shown = ("status", "binding:vif_type", "binding:vif_details", "dns_assignment", "dns_domain", "qos_policy_id")
    columns = {
        "id": "id",
        "name": "name",
        "project_id": "project_id",
        "tenant_id": "project_id",
        "network_id": "network_id",
        "device_id": "device_id",
        "device_owner": "device_owner",
        "mac_address": "mac_address",
        "binding:host_id": "host",
    }
    hidden: ClassVar[dict[str, str]] = {"binding:host_id": "network:set_port:binding:host_id"}

    def build(self, call: Call, values: dict[str, Any]) -> list[AnyRecord]:
        """Without groups it gets the project's "default", but where port security is off or the owner is network:*."""
        network, default = _network_and_default_group(call, values)
        values.pop("propagate_uplink_status")
        _check_owner(call, network, values)
        if values["port_security_enabled"] is None:
            values["port_security_enabled"] = network.port_security_enabled
        groups = values["security_groups"]
        if groups in (_UNSET, None):
            groups = ()
            if values["port_security_enabled"] and not values["device_owner"].startswith("network:"):
                groups = ((default or security_groups.default_group(call, values["project_id"])).id,)
        else:
            _check_groups(call, groups)
        values["security_groups"] = groups
        values["id"] = values["id"] or str(uuid.uuid4())
        port = Port(**values)
        _check_protection(port)
        return [port]

    def store_new(self, call: Call, built: list[list[AnyRecord]]) -> list[AnyRecord]:
        """A port of the chosen id that is there for the same device is the one asked for. Raises NetworkingExists."""
        ports = super().store_new(call, built)
        pairs: Iterable[tuple[Any, Any]] = zip((group[-1] for group in built), ports, strict=True)
        for asked, port in pairs:
            if (asked.network_id, asked.device_id) != (port.network_id, port.device_id):
                raise NetworkingExists(f"Port {port.id} exists already.", noun="port")
        return ports

    def change(self, call: Call, record: Port, values: dict[str, Any]) -> AnyRecord:
        """Raises NetworkingInUse, Conflict, PolicyDenied for what a port in use must keep: MAC address, device."""
        _check_not_dhcp(call, record)
        network = call.networks_of([record.network_id])[record.network_id]
        values.pop("propagate_uplink_status", None)
        if values.get("device_owner") == record.device_owner:
            values.pop("device_owner")
        _check_owner(call, network, values)
        if "mac_address" in values and values["mac_address"] != record.mac_address and record.host:
            raise NetworkingInUse(
                f"Port {record.id} is bound: its MAC address stays as it is.", noun="port", id=record.id
            )
        moves = bool(values.get("device_id")) and values["device_id"] != record.device_id
        if moves and record.device_owner.startswith("compute:") and not call.sees_everything:
            raise PolicyDenied(action="network:update_port:device_id")
        if not call.sees_everything:
            _check_stays_plugged(record, values)
        _check_stays_servant(record, values)
        if values.get("device_id") and record.device_id not in ("", values["device_id"]) and record.host:
            raise Conflict(f"Port {record.id} is in use by device {record.device_id}.")
        if "security_groups" in values:
            values["security_groups"] = values["security_groups"] or ()
            _check_groups(call, [group for group in values["security_groups"] if group not in record.security_groups])
        if values.get("port_security_enabled", True) is None:
            values.pop("port_security_enabled")
        changed = msgspec.structs.replace(record, **values)
        _check_protection(changed)
        return changed

    def check_delete(self, call: Call, record: Port) -> None:
        """Ports of routers, floating IPs and DHCP servers go with these. Raises NetworkingInUse."""
        _check_not_dhcp(call, record)
        if record.device_owner in _SERVANTS:
            raise NetworkingInUse(
                f"Port {record.id} goes with its {_SERVANTS[record.device_owner]}; it cannot be deleted alone.",
                noun="port",
                id=record.id,
            )

    def views(self, call: Call, records: Sequence[Port]) -> list[dict[str, Any]]:
        networks: dict[str, Network] = {}
        shows_binding = call.permits("network:set_port:binding:host_id")
        if shows_binding and records:
            networks = call.networks_of(record.network_id for record in records)
        return [_view(record, networks.get(record.network_id)) for record in records]


def _network_and_default_group(call: Call, values: dict[str, Any]) -> tuple[Network, SecurityGroup | None]:
    """The port's network, and its project's default group where there is one already."""
    network_id = values["network_id"]
    answers: list[list[Any]] = call.store.networking_of(
        [
            ("network", call.visible({"id": [network_id]})),
            ("security_group", {"default_of": [values["project_id"]]}),
        ]
    )
    networks, groups = answers
    if not networks:
        raise NetworkingNotFound(noun="network", id=network_id)
    network: Network
    network = call.networks[network_id] = networks[0]
    is_own = network.project_id == call.context.project_id
    if not (is_own or network.shared or call.sees_everything):
        # An external network is there to take floating addresses from, not for ports.
        raise NetworkingNotFound(noun="network", id=network_id)
    return network, groups[0] if groups else None


def _check_owner(call: Call, network: Network, values: dict[str, Any]) -> None:
    """Attributes that could harm others on a network are for the network's owner. Raises PolicyDenied."""
    # The metadata service and the server's own view take the owner of a server's port for that server.
    if str(values.get("device_owner", "")).startswith(("network:", "compute:")) and not call.sees_everything:
        raise PolicyDenied(action="network:create_port:device_owner")
    if call.allows("network:create_network", {"project_id": network.project_id}):
        return
    chosen = [name for name in ("mac_address", "allowed_address_pairs") if values.get(name)]
    if values.get("port_security_enabled") is False:
        chosen.append("port_security_enabled")
    if any(fixed_ip.ip_address for fixed_ip in values.get("fixed_ips", ())):
        chosen.append("fixed_ips:ip_address")
    if chosen:
        raise PolicyDenied(action=f"network:create_port:{chosen[0]}")


def _check_not_dhcp(call: Call, port: Port) -> None:
    """Who takes a DHCP server's port takes its answers, whatever the rules let users do. Raises NetworkingInUse."""
    if port.device_owner == _DHCP and not call.sees_everything:
        raise NetworkingInUse(f"Port {port.id} belongs to its subnet's DHCP server.", noun="port", id=port.id)


def _check_stays_plugged(port: Port, values: dict[str, Any]) -> None:
    """A port with a guest on it stays that guest's: by these its host knows what it may send. Raises Conflict."""
    if not (port.host and port.device_owner.startswith("compute:")):
        return
    for name in ("device_id", "device_owner", "vnic_type"):
        if values.get(name, getattr(port, name)) != getattr(port, name):
            raise Conflict(f"Port {port.id} is bound, to server {port.device_id}: its {name} stays as it is.")


def _check_stays_servant(port: Port, values: dict[str, Any]) -> None:
    """A port that a router had is not protected: free of it, it would be a guest's like that. Raises NetworkingInUse."""
    device = (values.get("device_id", port.device_id), values.get("device_owner", port.device_owner))
    if port.device_owner in _SERVANTS and device != (port.device_id, port.device_owner):
        raise NetworkingInUse(
            f"Port {port.id} belongs to {port.device_owner} {port.device_id}.", noun="port", id=port.id
        )


def _check_groups(call: Call, groups: Sequence[str]) -> None:
    if not groups:
        return
    visible = {group.id for group in call.find("security_group", id=groups)}
    for group in groups:
        if group not in visible:
            raise NetworkingNotFound(noun="security_group", id=group)


def _check_protection(port: Port) -> None:
    if not port.port_security_enabled and port.security_groups:
        raise Conflict("Port has security group associated. Cannot disable port security.")
    if not port.port_security_enabled and port.allowed_address_pairs:
        raise Conflict("Port security is off: address pairs have no meaning.")
    named = [fixed_ip for fixed_ip in port.fixed_ips if fixed_ip.ip_address]
    if len(set(named)) != len(named):
        raise Invalid("Invalid input for fixed_ips. Reason: an address is named twice.")


def _view(record: Port, network: Network | None) -> dict[str, Any]:
    is_up = record.admin_state_up and (bool(record.host) or record.device_owner.startswith("network:"))
    view = common_view(record) | {
        "network_id": record.network_id,
        "mac_address": record.mac_address,
        "fixed_ips": [msgspec.structs.asdict(fixed_ip) for fixed_ip in record.fixed_ips],
        "admin_state_up": record.admin_state_up,
        "status": "ACTIVE" if is_up else "DOWN",
        "device_id": record.device_id,
        "device_owner": record.device_owner,
        "binding:vnic_type": record.vnic_type,
        "port_security_enabled": record.port_security_enabled,
        "security_groups": list(record.security_groups),
        "allowed_address_pairs": [
            {"ip_address": pair.ip_address, "mac_address": pair.mac_address or record.mac_address}
            for pair in record.allowed_address_pairs
        ],
        "extra_dhcp_opts": list(record.extra_dhcp_opts),
        "dns_name": record.dns_name,
        "dns_domain": "",
        "dns_assignment": [],
        "propagate_uplink_status": False,
        "qos_policy_id": None,
    }
    if network is not None:
        view |= {
            "binding:host_id": record.host,
            "binding:profile": record.profile,
            "binding:vif_type": _vif_type(record),
            "binding:vif_details": _vif_details(record, network),
        }
    return view


def _vif_type(port: Port) -> str:
    if not port.host:
        return "unbound"
    return "bridge" if port.vnic_type == "normal" else "binding_failed"


def _vif_details(port: Port, network: Network) -> dict[str, Any]:
    """What the port's host needs to know: the bridge, and what joins it with the other hosts'."""
    if _vif_type(port) != "bridge":
        return {}
    details: dict[str, Any] = {
        "bridge_name": network.bridge,
        "port_filter": True,
        "connectivity": "l2",
        "network_type": network.network_type,
    }
    if network.segmentation_id is not None:
        details["segmentation_id"] = network.segmentation_id
    return details
