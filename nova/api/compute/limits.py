"""Limits of a project, and how much of them is used: /limits. Source: Compute API reference, "Limits"."""

from typing import Any

from nova.api.compute.request import Request
from nova.http.declaration import get
from nova.http.schema import NONE_OF_THEM, Field, Plain, obj, optional, query, required
from nova.http.schema import STRING as TEXT
from nova.http.view import chosen

_COUNT = Plain({"type": "integer", "minimum": -1})


def _shows(name: str, until: str | None = None) -> Field:
    return required(name, _COUNT, until=until)


_ABSOLUTE = obj(
    _shows("maxImageMeta", until="2.38"),
    _shows("maxPersonality", until="2.56"),
    _shows("maxPersonalitySize", until="2.56"),
    _shows("maxSecurityGroups", until="2.35"),
    _shows("maxSecurityGroupRules", until="2.35"),
    _shows("maxServerMeta"),
    _shows("maxServerGroups"),
    _shows("maxServerGroupMembers"),
    _shows("maxTotalCores"),
    _shows("maxTotalFloatingIps", until="2.35"),
    _shows("maxTotalInstances"),
    _shows("maxTotalKeypairs"),
    _shows("maxTotalRAMSize"),
    _shows("totalCoresUsed"),
    _shows("totalFloatingIpsUsed", until="2.35"),
    _shows("totalInstancesUsed"),
    _shows("totalRAMUsed"),
    _shows("totalSecurityGroupsUsed", until="2.35"),
    _shows("totalServerGroupsUsed"),
)
_LIMITS = obj(required("limits", obj(required("absolute", _ABSOLUTE), required("rate", NONE_OF_THEM))))

_LIMIT_OF = {
    "maxImageMeta": "metadata_items", "maxPersonality": "injected_files",
    "maxPersonalitySize": "injected_file_content_bytes", "maxServerMeta": "metadata_items",
    "maxServerGroups": "server_groups", "maxServerGroupMembers": "server_group_members", "maxTotalCores": "cores",
    "maxTotalInstances": "instances", "maxTotalKeypairs": "key_pairs", "maxTotalRAMSize": "ram",
    "maxSecurityGroups": "security_groups", "maxSecurityGroupRules": "security_group_rules",
    "maxTotalFloatingIps": "floating_ips",
}  # fmt: skip
_USE_OF = {
    "totalCoresUsed": "cores", "totalInstancesUsed": "instances", "totalRAMUsed": "ram",
    "totalServerGroupsUsed": "server_groups",
}  # fmt: skip
# The network service has these: this API shows them as unused.
_ELSEWHERE = {"totalFloatingIpsUsed": 0, "totalSecurityGroupsUsed": 0}


@get(
    "/limits",
    policy="os_compute_api:limits",
    query=query(optional("tenant_id", TEXT), strict_since="2.75"),
    answer=chosen(_LIMITS),
)
def show(request: Request) -> dict[str, Any]:
    """Quotas of the caller's project and their use. There are no rate limits, and none are shown."""
    project = request.first("tenant_id")
    if project is not None and project != request.context.project_id:
        request.check("os_compute_api:limits:other_project", {"project_id": project})
    quota = request.conductor.quota(project or request.context.project_id)
    absolute = {name: quota.limits[resource] for name, resource in _LIMIT_OF.items()}
    absolute |= {name: quota.in_use.get(resource, 0) for name, resource in _USE_OF.items()}
    return {"limits": {"rate": [], "absolute": absolute | _ELSEWHERE}}
