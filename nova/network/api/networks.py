"""Networks: /v2.0/networks. Source: Networking API v2.0 reference, "Networks"."""

import uuid
from collections.abc import Sequence
from typing import Any

import msgspec

from nova.errors import NetworkingExists, NetworkingInUse, OverQuota
from nova.network.api import fields
from nova.network.api.fields import Field
from nova.network.api.resource import Call, Resource, common_view
from nova.structs.networking import AnyRecord, Network

_PROVIDER = "network:set_network:provider"
# What a VXLAN header takes from the carrier's MTU. Source: RFC 7348 over IPv4.
_VXLAN_OVERHEAD = 50
_FLAT, _VXLAN, _LOCAL = "flat", "vxlan", "local"
_UNDECIDED = ""


class Networks(Resource):
    noun = "network"
    plural = "networks"
    path = "networks"
    fields = (
        *fields.COMMON,
        fields.ADMIN_STATE_UP,
        Field("shared", fields.boolean, default=False, rule="network:set_network:shared"),
        Field(
            "router:external",
            fields.boolean,
            default=False,
            record_name="is_external",
            rule="network:set_network:router:external",
        ),
        Field("is_default", fields.boolean, default=False, rule="network:set_network:is_default"),
        Field("mtu", fields.integer(0, 65535), default=0),
        Field("port_security_enabled", fields.boolean, default=True),
        Field("dns_domain", fields.dns_name, default=""),
        Field("availability_zone_hints", fields.list_of(fields.text()), default=(), put=False),
        Field(
            "provider:network_type",
            fields.optional(fields.one_of(_FLAT, _VXLAN, _LOCAL)),
            default=None,
            put=False,
            record_name="network_type",
            rule=_PROVIDER,
        ),
        Field(
            "provider:physical_network",
            fields.optional(fields.text(64)),
            default=None,
            put=False,
            record_name="physical_network",
            rule=_PROVIDER,
        ),
        Field(
            "provider:segmentation_id",
            fields.optional(fields.integer(1, 2**24 - 1)),
            default=None,
            put=False,
            record_name="segmentation_id",
            rule=_PROVIDER,
        ),
    )
    shown = ("status", "subnets", "availability_zones", "ipv4_address_scope", "ipv6_address_scope", "l2_adjacency")
    columns = {"id": "id", "name": "name", "project_id": "project_id", "tenant_id": "project_id"}

    def build(self, call: Call, values: dict[str, Any]) -> list[AnyRecord]:
        network_id = str(uuid.uuid4())
        wanted = values.pop("network_type") or (_FLAT if values["physical_network"] else _UNDECIDED)
        bridge = f"nbr{network_id.replace('-', '')[:11]}"
        return [Network(id=network_id, bridge=bridge, network_type=wanted, **values)]

    def store_new(self, call: Call, built: list[list[AnyRecord]]) -> list[AnyRecord]:
        for attempt in range(5):
            taken = call.store.networking("network", {})
            carried: list[list[AnyRecord]] = []
            for [network] in built:
                attached = _attach_to_wire(network, taken, call)
                taken.append(attached)
                carried.append([attached])
            try:
                return super().store_new(call, carried)
            except NetworkingExists:
                # Another creation took the same segment: take the next.
                if attempt == 4:
                    raise
        raise AssertionError("unreachable")

    def change(self, call: Call, record: Network, values: dict[str, Any]) -> AnyRecord:
        if values.get("mtu") == 0:
            values["mtu"] = record.mtu
        if record.shared and values.get("shared") is False:
            foreign = [port for port in _ports_of(call, record) if port.project_id not in (record.project_id, "")]
            if foreign:
                raise NetworkingInUse(
                    f"Network {record.id} cannot stop being shared: another project has ports on it.",
                    noun="network",
                    id=record.id,
                )
        return msgspec.structs.replace(record, **values)

    def views(self, call: Call, records: Sequence[Network]) -> list[dict[str, Any]]:
        subnets: dict[str, list[str]] = {record.id: [] for record in records}
        if records:
            where = {"network_id": list(subnets)} if len(records) < 100 else {}
            for subnet in call.find("subnet", **where):
                subnets.setdefault(subnet.network_id, []).append(subnet.id)
        provider = call.permits(_PROVIDER)
        return [_view(record, subnets[record.id], provider) for record in records]


def _attach_to_wire(network: Network, taken: Sequence[Network], call: Call) -> Network:
    """Choose what carries the network between hosts.

    Floating addresses are the network host's business, so an external network needs no other host.
    """
    conf, wanted = call.conf, network.network_type
    if wanted == _UNDECIDED and network.is_external:
        wanted = _LOCAL
    for network_type in [wanted] if wanted else conf.tenant_network_types:
        if network_type == _LOCAL:
            return _carried(network, _LOCAL, None, None, network.mtu or conf.network_device_mtu)
        if network_type == _FLAT:
            physical = network.physical_network or _FLAT
            if any(other.physical_network == physical for other in taken):
                if wanted:
                    raise NetworkingInUse(
                        f"Physical network {physical} carries a flat network already.", noun="network", id=network.id
                    )
                continue
            bridge = conf.flat_network_bridge if physical == _FLAT else None
            carried = _carried(network, _FLAT, physical, None, network.mtu or conf.network_device_mtu)
            return msgspec.structs.replace(carried, bridge=bridge or network.bridge)
        if network_type == _VXLAN:
            held = {other.segmentation_id for other in taken}
            if network.segmentation_id in held - {None}:
                raise NetworkingInUse(
                    f"VXLAN {network.segmentation_id} carries a network already.", noun="network", id=network.id
                )
            vni = network.segmentation_id or _free_vni(conf.vni_range, held)
            return _carried(network, _VXLAN, None, vni, network.mtu or conf.network_device_mtu - _VXLAN_OVERHEAD)
    raise OverQuota("No network of a type in tenant_network_types is left.")


def _carried(network: Network, kind: str, physical: str | None, vni: int | None, mtu: int) -> Network:
    return msgspec.structs.replace(network, network_type=kind, physical_network=physical, segmentation_id=vni, mtu=mtu)


def _free_vni(span: str, taken: set[int | None]) -> int:
    first, _, last = span.partition(":")
    for vni in range(int(first), int(last) + 1):
        if vni not in taken:
            return vni
    raise OverQuota("No VXLAN network identifier is left.")


def _ports_of(call: Call, network: Network) -> list[Any]:
    return call.store.networking("port", {"network_id": [network.id]})


def _view(record: Network, subnets: list[str], provider: bool) -> dict[str, Any]:
    view = common_view(record) | {
        "admin_state_up": record.admin_state_up,
        "status": "ACTIVE" if record.admin_state_up else "DOWN",
        "shared": record.shared,
        "router:external": record.is_external,
        "is_default": record.is_default,
        "mtu": record.mtu,
        "subnets": subnets,
        "port_security_enabled": record.port_security_enabled,
        "dns_domain": record.dns_domain,
        "availability_zone_hints": list(record.availability_zone_hints),
        "availability_zones": ["nova"] if subnets else [],
        "ipv4_address_scope": None,
        "ipv6_address_scope": None,
        "l2_adjacency": True,
    }
    if provider:
        view |= {
            "provider:network_type": record.network_type,
            "provider:physical_network": record.physical_network,
            "provider:segmentation_id": record.segmentation_id,
        }
    return view
