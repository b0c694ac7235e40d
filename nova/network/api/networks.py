"""Networks: /v2.0/networks. Source: Networking API v2.0 reference, "Networks"."""

import uuid
from collections.abc import Sequence
from typing import Any

import msgspec

from nova.errors import NetworkingInUse
from nova.network.api import fields
from nova.network.api.fields import Field
from nova.network.api.resource import Call, Resource, common_view
from nova.structs import network_mtu
from nova.structs.networking import AnyRecord, Carriers, Network

_PROVIDER = "network:set_network:provider"
_FLAT, _VXLAN, _LOCAL = "flat", "vxlan", "local"


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
        """A physical network without a type is flat. What carries the network is chosen when it is stored."""
        network_id = str(uuid.uuid4())
        network_type = values.pop("network_type") or (_FLAT if values["physical_network"] else "")
        bridge = f"nbr{network_id.replace('-', '')[:11]}"
        return [Network(id=network_id, bridge=bridge, network_type=network_type, **values)]

    def carriers(self, call: Call) -> Carriers:
        first, _, last = call.conf.vni_range.partition(":")
        return Carriers(
            network_types=tuple(call.conf.tenant_network_types),
            vni_range=(int(first), int(last)),
            mtu=call.conf.network_device_mtu,
            flat_bridge=call.conf.flat_network_bridge,
        )

    def change(self, call: Call, record: Network, values: dict[str, Any]) -> AnyRecord:
        """An mtu of 0 leaves it as it is. Raises NetworkingInUse where other projects have ports on what was shared."""
        if values.get("mtu") == 0:
            values["mtu"] = record.mtu
        if values.get("mtu", record.mtu) != record.mtu:
            network_mtu.check(values["mtu"], self.carriers(call).largest_mtu(record.network_type))
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
        """What carries a network is shown to those who may see it."""
        subnets: dict[str, list[str]] = {record.id: [] for record in records}
        if records:
            where = {"network_id": list(subnets)} if len(records) < 100 else {}
            for subnet in call.find("subnet", **where):
                subnets.setdefault(subnet.network_id, []).append(subnet.id)
        provider = call.permits(_PROVIDER)
        return [_view(record, subnets[record.id], provider) for record in records]


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
