"""What other projects share with a project, by Neutron's RBAC policies."""

from collections.abc import Sequence

from nova.clients.network.http import Json, NetworkingHttp

RBAC = "rbac-policies"
# The target of a policy that is for every project.
_ALL = "*"
_SHARED = "access_as_shared"


def granted_ids(http: NetworkingHttp, project_id: str, kind: str, ids: Sequence[str] | None = None) -> list[str]:
    """The ids of what a project may use of others. kind: network or security_group. ids: of these alone.

    Asked with the service's credentials, which sees all policies: a server is changed when its user's token is gone,
    and an administrator, who sees everything, changes servers of projects that may not use it.
    """
    return _granted(http, (project_id, _ALL), kind, _SHARED, ids)


def everybodys_ids(
    http: NetworkingHttp, kind: str, action: str = _SHARED, ids: Sequence[str] | None = None
) -> list[str]:
    """The ids of what every project may use.

    The Networking API calls shared, too, what is shared with the one who asks: for the service that is whatever any
    project shares with the service's own, which makes it nobody else's.
    """
    return _granted(http, (_ALL,), kind, action, ids)


def _granted(
    http: NetworkingHttp, targets: Sequence[str], kind: str, action: str, ids: Sequence[str] | None
) -> list[str]:
    if not http.has(RBAC) or (ids is not None and not ids):
        return []
    query: Json = {"object_type": kind, "action": action, "target_tenant": list(targets)}
    query |= {"fields": ["object_id", *query]} | ({} if ids is None else {"object_id": list(ids)})
    policies = http.find("rbac_policies", query)
    # A filter that is not known is none.
    wanted = [
        policy
        for policy in policies
        if policy["target_tenant"] in targets and (policy["object_type"], policy["action"]) == (kind, action)
    ]
    return list(dict.fromkeys(str(policy["object_id"]) for policy in wanted))
