"""What ports take of their host in Placement: read from them, and told to them when it is claimed.

The Networking service makes a port's request of its QoS policy, and wants to hear in the port's binding profile which
provider gives each part. Source: Networking API reference, "Port resource request groups", "Port binding".
"""

from collections.abc import Collection, Mapping
from typing import Any

from nova.clients.network.http import NetworkingHttp
from nova.structs.network import PortClaim
from nova.structs.request_group import RequestGroup

Json = dict[str, Any]

_EXTENSIONS = ("port-resource-request", "port-resource-request-groups")
# In the binding profile.
ALLOCATION = "allocation"


class PortClaims:
    def __init__(self, http: NetworkingHttp) -> None:
        self._http = http

    def of(self, project_id: str, port_ids: Collection[str]) -> tuple[PortClaim, ...]:
        """The claims of these ports of a project; ports that take nothing have none."""
        if not port_ids or not any(self._http.has(extension) for extension in _EXTENSIONS):
            return ()
        query = {"id": sorted(port_ids), "project_id": project_id, "fields": ["id", "resource_request"]}
        claims = (read(port) for port in sorted(self._http.find("ports", query), key=lambda port: str(port["id"])))
        return tuple(claim for claim in claims if claim is not None)


def read(port: Mapping[str, Any]) -> PortClaim | None:
    """What a port asks for, in either of the two forms that there are."""
    asked = port.get("resource_request")
    if not asked:
        return None
    if "request_groups" not in asked:
        return PortClaim(port_id=port["id"], groups=(_group(port["id"], asked),), has_ids=False)
    groups = tuple(_group(group["id"], group) for group in asked["request_groups"])
    return PortClaim(port_id=port["id"], groups=groups, subtree=tuple(asked.get("same_subtree") or ()))


def _group(suffix: str, asked: Mapping[str, Any]) -> RequestGroup:
    resources = {str(name): int(amount) for name, amount in asked.get("resources", {}).items()}
    return RequestGroup(
        suffix=suffix, resources=tuple(sorted(resources.items())), required=tuple(sorted(asked.get("required", ())))
    )


def allocation(claim: PortClaim, providers: Mapping[str, str]) -> Json | str:
    """What the binding profile is to say. providers: by group."""
    if claim.has_ids:
        return {group.suffix: providers[group.suffix] for group in claim.groups}
    return providers[claim.groups[0].suffix]


def with_allocation(profile: Json, said: Json | str | None) -> Json:
    """A binding profile that says this of the claims, or nothing of them."""
    rest = {name: value for name, value in profile.items() if name != ALLOCATION}
    return rest if said is None else {**rest, ALLOCATION: said}
