"""Routers and floating IPs. Source: Networking API v2.0 reference, "Layer-3 networking".

A router joins subnets and leads them out. A floating IP is an address on a router that leads to a port.
"""

import uuid
from collections.abc import Sequence
from typing import Any

import msgspec

from nova.errors import Invalid, NetworkingNotFound, PolicyDenied
from nova.network.api import fields, ranges
from nova.network.api.fields import Field
from nova.network.api.resource import Call, Resource, common_view
from nova.structs.networking import AnyRecord, FixedIp, FloatingIp, Port, Router, Subnet
from nova.structs.subnet_ranges import is_given

# Not a router's gateway: that port goes when the router no longer leads out.
_INTERFACE = "network:router_interface"
_SNAT_RULE = "network:set_router:enable_snat"
_ADDRESS_RULE = "network:set_floatingip:floating_ip_address"


def _gateway_info(value: Any) -> dict[str, Any] | None:
    if not value:
        return None
    if not isinstance(value, dict) or "network_id" not in value:
        raise ValueError("external_gateway_info names a network_id")
    unknown = set(value) - {"network_id", "enable_snat", "external_fixed_ips"}
    if unknown:
        raise ValueError(f"unexpected keys {sorted(unknown)}")
    return {
        "external_network_id": fields.uuid_text(value["network_id"]),
        "enable_snat": fields.boolean(value.get("enable_snat", True)),
        "external_fixed_ips": fields.list_of(fields.fixed_ip, limit=5)(value.get("external_fixed_ips")),
    }


class Routers(Resource):
    noun = "router"
    plural = "routers"
    path = "routers"
    fields = (
        *fields.COMMON,
        fields.ADMIN_STATE_UP,
        Field("external_gateway_info", _gateway_info, default=None),
        Field("routes", fields.list_of(fields.host_route, limit=30), default=(), post=False),
        Field("distributed", fields.boolean, default=False, rule="network:set_router:distributed"),
        Field("ha", fields.boolean, default=False, rule="network:set_router:ha"),
        Field("availability_zone_hints", fields.list_of(fields.text()), default=(), put=False),
        Field("flavor_id", fields.optional(fields.text()), default=None, put=False),
    )
    shown = ("status", "availability_zones")
    columns = {"id": "id", "name": "name", "project_id": "project_id", "tenant_id": "project_id"}

    def __init__(self) -> None:
        self.verbs = {"add_router_interface": self._add_interface, "remove_router_interface": self._remove_interface}

    def build(self, call: Call, values: dict[str, Any]) -> list[AnyRecord]:
        return [Router(id=str(uuid.uuid4()), **self._own_values(call, values))]

    def change(self, call: Call, record: Router, values: dict[str, Any]) -> AnyRecord:
        """A router whose gateway is taken away forgets what it was told of it."""
        had_gateway = "external_gateway_info" in values
        changed = msgspec.structs.replace(record, **self._own_values(call, values))
        if had_gateway and not changed.external_network_id:
            return msgspec.structs.replace(changed, enable_snat=True, external_fixed_ips=())
        return changed

    def _own_values(self, call: Call, values: dict[str, Any]) -> dict[str, Any]:
        for name in ("distributed", "ha", "availability_zone_hints", "flavor_id"):
            values.pop(name, None)
        if "external_gateway_info" in values:
            gateway = values.pop("external_gateway_info") or {"external_network_id": None}
            if gateway["external_network_id"]:
                _external_network(call, gateway["external_network_id"])
            if gateway.get("external_fixed_ips") and not call.sees_everything:
                raise PolicyDenied(action="network:create_router:external_gateway_info:external_fixed_ips")
            # Without it guests leave under addresses that they chose themselves, and are reached from outside.
            if not gateway.get("enable_snat", True) and not call.permits(_SNAT_RULE):
                raise PolicyDenied(action=_SNAT_RULE)
            _check_addresses(call, gateway["external_network_id"], gateway.get("external_fixed_ips", ()))
            values |= gateway
        for route in values.get("routes", ()):
            ranges.check_route(route.destination)
        return values

    def views(self, call: Call, records: Sequence[Router]) -> list[dict[str, Any]]:
        return [
            common_view(record)
            | {
                "admin_state_up": record.admin_state_up,
                "status": "ACTIVE",
                "external_gateway_info": None
                if record.external_network_id is None
                else {
                    "network_id": record.external_network_id,
                    "enable_snat": record.enable_snat,
                    "external_fixed_ips": [msgspec.structs.asdict(one) for one in record.external_fixed_ips],
                },
                "routes": [msgspec.structs.asdict(route) for route in record.routes],
                "distributed": False,
                "ha": False,
                "flavor_id": None,
                "availability_zones": [call.conf.default_availability_zone],
                "availability_zone_hints": [],
            }
            for record in records
        ]

    def _add_interface(self, call: Call, router_id: str, body: dict[str, Any]) -> dict[str, Any]:
        router = call.get("router", router_id)
        call.require("network:update_router", router)
        if bool(body.get("subnet_id")) == bool(body.get("port_id")):
            raise Invalid("A router interface names either subnet_id or port_id.")
        port = call.get("port", str(body["port_id"])) if body.get("port_id") else None
        subnet = call.get("subnet", str(body["subnet_id"])) if body.get("subnet_id") else None
        if port is not None:
            call.require("network:update_port", port)
            _check_network_is_own(call, port.network_id)
        if subnet is not None:
            _check_network_is_own(call, subnet.network_id)
        added = call.store.add_router_interface(router.id, port and port.id, subnet and subnet.id)
        return _interface_view(router, added)

    def _remove_interface(self, call: Call, router_id: str, body: dict[str, Any]) -> dict[str, Any]:
        router = call.get("router", router_id)
        call.require("network:update_router", router)
        for port in call.records(Port, device_id=[router.id], device_owner=[_INTERFACE]):
            on_subnets = {fixed_ip.subnet_id for fixed_ip in port.fixed_ips}
            if port.id == body.get("port_id") or str(body.get("subnet_id")) in on_subnets:
                call.store.delete_networking("port", port.id)
                return _interface_view(router, port)
        raise NetworkingNotFound(noun="port", id=str(body.get("port_id") or body.get("subnet_id")))


class FloatingIps(Resource):
    noun = "floatingip"
    plural = "floatingips"
    path = "floatingips"
    fields = (
        fields.DESCRIPTION,
        fields.PROJECT,
        Field("floating_network_id", fields.uuid_text, put=False),
        Field(
            "floating_ip_address",
            fields.optional(fields.ip_address),
            default=None,
            put=False,
            rule=_ADDRESS_RULE,
        ),
        Field("subnet_id", fields.optional(fields.uuid_text), default=None, put=False),
        Field("port_id", fields.optional(fields.uuid_text), default=None),
        Field("fixed_ip_address", fields.optional(fields.ip_address), default=None),
        Field("dns_name", fields.dns_name, default="", put=False),
        Field("dns_domain", fields.dns_name, default="", put=False),
    )
    shown = ("status", "router_id", "port_details", "qos_policy_id")
    columns = {
        "id": "id",
        "project_id": "project_id",
        "tenant_id": "project_id",
        "floating_network_id": "floating_network_id",
        "floating_ip_address": "floating_ip_address",
        "port_id": "port_id",
        "fixed_ip_address": "fixed_ip_address",
    }

    def build(self, call: Call, values: dict[str, Any]) -> list[AnyRecord]:
        """The floating IP and the port that holds its address on the external network, which is nobody's."""
        network = _external_network(call, values["floating_network_id"])
        floating_id, port_id = str(uuid.uuid4()), str(uuid.uuid4())
        wanted = FixedIp(values["subnet_id"] or "", values["floating_ip_address"] or "")
        _check_addresses(call, network.id, [wanted])
        port = Port(
            id=port_id,
            project_id="",
            network_id=network.id,
            mac_address="",
            fixed_ips=(wanted,),
            device_id=floating_id,
            device_owner="network:floatingip",
            port_security_enabled=False,
        )
        target, fixed = _target(call, values["port_id"], values["fixed_ip_address"])
        floating_ip = FloatingIp(
            id=floating_id,
            project_id=values["project_id"],
            description=values["description"],
            floating_network_id=network.id,
            floating_ip_address="",
            floating_port_id=port_id,
            port_id=target,
            fixed_ip_address=fixed,
        )
        return [port, floating_ip]

    def change(self, call: Call, record: FloatingIp, values: dict[str, Any]) -> AnyRecord:
        if "port_id" in values or "fixed_ip_address" in values:
            port_id = values.get("port_id", record.port_id)
            values["port_id"], values["fixed_ip_address"] = _target(call, port_id, values.get("fixed_ip_address"))
        return msgspec.structs.replace(record, **values)

    def views(self, call: Call, records: Sequence[FloatingIp]) -> list[dict[str, Any]]:
        wanted = sorted({record.port_id for record in records if record.port_id})
        ports = {port.id: port for port in call.records(Port, id=wanted)} if wanted else {}
        return [_floating_view(record, ports.get(record.port_id or "")) for record in records]


def _check_network_is_own(call: Call, network_id: str) -> None:
    """A router on a shared network takes others' traffic: at the gateway's address, and by floating IPs at any.

    Its port is not protected either. Raises Invalid.
    """
    network = call.networks_of([network_id])[network_id]
    if not call.allows("network:update_network", {"project_id": network.project_id}):
        raise Invalid(f"Network {network_id} is another project's: no router of this project can be on it.")


def _external_network(call: Call, network_id: str) -> Any:
    network = call.get("network", network_id)
    if not network.is_external:
        raise Invalid(f"Network {network_id} is not a valid external network.")
    return network


def _check_addresses(call: Call, network_id: str, wanted: Sequence[FixedIp]) -> None:
    """Whoever has the gateway's address on an external network has everybody's way out; some other ones are in use
    beside the cloud, which is why the operator left them out of the pools.

    Raises Invalid for a gateway's, PolicyDenied for one outside the pools, but for a caller who sees everything.
    """
    named = {fixed_ip.ip_address for fixed_ip in wanted if fixed_ip.ip_address}
    subnets = call.records(Subnet, network_id=[network_id]) if named else []
    for address in sorted(named):
        if any(address == subnet.gateway_ip for subnet in subnets):
            raise Invalid(f"Invalid input: {address} is the address of a gateway.")
        if not (call.sees_everything or any(is_given(subnet, address) for subnet in subnets)):
            raise PolicyDenied(action=_ADDRESS_RULE)


def _target(call: Call, port_id: str | None, fixed_ip: str | None) -> tuple[str | None, str | None]:
    """The port of a floating IP, and its fixed address. Raises Invalid."""
    if not port_id:
        if fixed_ip:
            raise Invalid("fixed_ip_address cannot be specified without a port_id")
        return None, None
    port = call.get("port", port_id)
    call.require("network:update_port", port)
    addresses = [fixed_ip.ip_address for fixed_ip in port.fixed_ips if ":" not in fixed_ip.ip_address]
    if fixed_ip and fixed_ip not in addresses:
        raise Invalid(f"Port {port_id} does not have fixed ip {fixed_ip}.")
    if not addresses:
        raise Invalid(f"Port {port_id} has no IPv4 address.")
    if not fixed_ip and len(addresses) > 1:
        raise Invalid(f"Port {port_id} has multiple fixed IPv4 addresses. Must provide a specific one.")
    return port_id, fixed_ip or addresses[0]


def _floating_view(record: FloatingIp, port: Port | None) -> dict[str, Any]:
    view = common_view(record) | {
        "floating_network_id": record.floating_network_id,
        "floating_ip_address": record.floating_ip_address,
        "port_id": record.port_id,
        "fixed_ip_address": record.fixed_ip_address,
        "router_id": record.router_id,
        "status": "ACTIVE" if record.port_id else "DOWN",
        "port_details": None
        if port is None
        else {
            "name": port.name,
            "network_id": port.network_id,
            "mac_address": port.mac_address,
            "admin_state_up": port.admin_state_up,
            "status": "ACTIVE" if port.host else "DOWN",
            "device_id": port.device_id,
            "device_owner": port.device_owner,
        },
        "dns_name": "",
        "dns_domain": "",
        "qos_policy_id": None,
    }
    del view["name"]
    return view


def _interface_view(router: Router, port: Port) -> dict[str, Any]:
    subnets = [fixed_ip.subnet_id for fixed_ip in port.fixed_ips]
    return {
        "id": router.id,
        "tenant_id": router.project_id,
        "project_id": router.project_id,
        "port_id": port.id,
        "network_id": port.network_id,
        "subnet_id": subnets[0],
        "subnet_ids": subnets,
        "tags": [],
    }
