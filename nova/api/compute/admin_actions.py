"""Actions that change a server's record alone: locks, and what an administrator says of its state.

Source: Compute API reference, "Servers - run an action", "Servers - run an administrative action".
"""

from nova.api.compute.request import Request
from nova.api.compute.versions import LOCKED_REASON
from nova.http.declaration import action, gone
from nova.http.schema import ANY, enum, obj, optional, required, string, versioned

_LOCK = "os_compute_api:os-lock-server:"


@action(
    "lock",
    policy=f"{_LOCK}lock",
    body=versioned(ANY, v2_73=obj(optional("locked_reason", string(minLength=1, maxLength=255)), is_nullable=True)),
    errors=(404,),
)
def lock(request: Request) -> None:
    """Refuse most actions of users other than administrators until the server is unlocked."""
    body = request.body if isinstance(request.body, dict) else {}
    reason = body.get("locked_reason") if request.since(LOCKED_REASON) else None
    request.conductor.set_lock(request.context, request.server.uuid, True, reason)


@action("unlock", policy=f"{_LOCK}unlock", body=ANY, errors=(404,))
def unlock(request: Request) -> None:
    """Remove a lock. A lock that an administrator made needs the rule unlock_override."""
    server = request.server
    is_owner = server.project_id == request.context.project_id
    if server.is_locked and server.properties.locked_by not in (None, "owner" if is_owner else "admin"):
        request.check(f"{_LOCK}unlock:unlock_override", {"project_id": server.project_id, "user_id": server.user_id})
    request.conductor.set_lock(request.context, server.uuid, False)


@action(
    "os-resetState",
    policy="os_compute_api:os-admin-actions:reset_state",
    body=obj(required("state", enum("active", "error"))),
    errors=(404,),
)
def reset_state(request: Request) -> None:
    """Set vm_state to active or error, cancel a running operation. The guest is not touched."""
    request.conductor.reset_state(request.context, request.server.uuid, request.body["state"])


@action(
    "injectNetworkInfo",
    policy="os_compute_api:os-admin-actions:inject_network_info",
    body=ANY,
    errors=(404, 409),
)
def inject_network_info(request: Request) -> None:
    """Nothing to do: guests learn of their networks from DHCP, the config drive and the metadata API."""


RESET_NETWORK = gone("POST", "/servers/{server_id}/action", "resetNetwork")
