"""Availability zones: /os-availability-zone. Source: Compute API reference, "Availability zones"."""

from typing import Any

from nova.api.compute.request import Request
from nova.http.declaration import get
from nova.http.schema import BOOLEAN, NULL, STRING, TIME, Plain, Shape, arr, nullable, obj, optional, required
from nova.http.view import made
from nova.structs.host import ServiceRecord

_SERVICE = obj(required("active", BOOLEAN), required("available", BOOLEAN), required("updated_at", nullable(TIME)))
_HOSTS = obj(patterns={"^.+$": obj(patterns={"^.+$": _SERVICE})}, is_nullable=True)


def _zones(hosts: Shape) -> Shape:
    zone = obj(
        required("hosts", hosts),
        required("zoneName", STRING),
        required("zoneState", obj(optional("available", BOOLEAN), is_open=True)),
    )
    return obj(required("availabilityZoneInfo", arr(zone)))


@get(
    "/os-availability-zone",
    policy="os_compute_api:os-availability-zone:list",
    answer=made(_zones(Plain(NULL.schema))),
)
def index(request: Request) -> dict[str, Any]:
    """The zones users may name: those of compute hosts."""
    zones = _by_zone(request.conductor.services(request.context, binary="nova-compute"))
    return {"availabilityZoneInfo": [_zone_entry(name, members, None) for name, members in zones.items()]}


@get(
    "/os-availability-zone/detail",
    policy="os_compute_api:os-availability-zone:detail",
    answer=made(_zones(_HOSTS)),
)
def detail(request: Request) -> dict[str, Any]:
    """All zones with their hosts; a zone none of whose daemons is enabled has no hosts."""
    shown = []
    for name, members in _by_zone(request.conductor.services(request.context)).items():
        hosts: dict[str, Any] = {}
        for service in members:
            if not service.is_disabled:
                hosts.setdefault(service.host, {})[service.binary] = {
                    "active": True,
                    "available": service.is_up,
                    "updated_at": None if service.last_seen_at is None else service.last_seen_at.strftime(_TIME),
                }
        shown.append(_zone_entry(name, members, hosts or None))
    return {"availabilityZoneInfo": shown}


_TIME = "%Y-%m-%dT%H:%M:%S.%f"


def _by_zone(services: list[ServiceRecord]) -> dict[str, list[ServiceRecord]]:
    zones: dict[str, list[ServiceRecord]] = {}
    for member in sorted(services, key=lambda service: service.zone):
        zones.setdefault(member.zone, []).append(member)
    return zones


def _zone_entry(name: str, members: list[ServiceRecord], hosts: dict[str, Any] | None) -> dict[str, Any]:
    is_available = any(not service.is_disabled for service in members)
    return {"zoneName": name, "zoneState": {"available": is_available}, "hosts": hosts}
