"""What other projects share with a project, by Neutron's RBAC policies."""

from collections.abc import Sequence

from nova.clients.network.http import Json, NetworkingHttp

# The target of a policy that is for every project.
_ALL = "*"


def granted_ids(http: NetworkingHttp, project_id: str, kind: str, ids: Sequence[str] | None = None) -> list[str]:
    """The ids of what a project may use of others. kind: network or security_group. ids: of these alone.

    Asked with the service's credentials, which sees all policies: a server is changed when its user's token is gone,
    and an administrator, who sees everything, changes servers of projects that may not use it.
    """
    if not http.has("rbac-policies") or (ids is not None and not ids):
        return []
    query: Json = {
        "object_type": kind,
        "action": "access_as_shared",
        "target_tenant": [project_id, _ALL],
        "fields": "object_id",
        **({} if ids is None else {"object_id": list(ids)}),
    }
    return list(dict.fromkeys(str(policy["object_id"]) for policy in http.find("rbac_policies", query)))
