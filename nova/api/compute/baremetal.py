"""Bare-metal nodes, until 2.35: a proxy to a service this release has no driver for.

Source: Compute API reference, "Bare metal nodes (deprecated)".
"""

from typing import Any

from nova import errors
from nova.api.compute.request import Request
from nova.http.declaration import PROJECT, action, delete, get, post
from nova.http.schema import ANY, STRING, UUID, Plain, arr, obj, optional, query, required
from nova.http.view import made

_RULES = "os_compute_api:os-baremetal-nodes:"
_UNTIL = "2.35"
_NO_QUERY = query()
_KEYS = (
    required("id", UUID),
    required("cpus", STRING),
    required("disk_gb", STRING),
    required("memory_mb", STRING),
    required("host", Plain({"const": "IRONIC MANAGED"})),
    required("task_state", STRING),
    required("interfaces", arr(obj(optional("address", STRING), is_open=True))),
)


@get(
    "/os-baremetal-nodes",
    policy=f"{_RULES}list",
    until=_UNTIL,
    query=_NO_QUERY,
    answer=made(obj(required("nodes", arr(obj(*_KEYS))))),
    errors=(404, 501),
)
def index(request: Request) -> None:
    """Always 501: there is no Bare Metal service behind this API."""
    raise errors.NotImplementedHere("Bare metal nodes are not available: there is no Bare Metal service.")


@get(
    "/os-baremetal-nodes/{node_id}",
    policy=f"{_RULES}show",
    until=_UNTIL,
    query=_NO_QUERY,
    answer=made(obj(required("node", obj(*_KEYS, required("instance_uuid", UUID))))),
    errors=(404, 501),
)
def show(request: Request, node_id: str) -> None:
    """Always 501, as for the list."""
    raise errors.NotImplementedHere("Bare metal nodes are not available: there is no Bare Metal service.")


@post("/os-baremetal-nodes", policy=f"{_RULES}list", until=_UNTIL, body=ANY, errors=(400,))
def create(request: Request) -> None:
    """Always 400, as upstream has answered since nodes moved to the Bare Metal API."""
    raise errors.Invalid("Adding a bare metal node is for the Bare Metal service's own API.")


@delete("/os-baremetal-nodes/{node_id}", policy=f"{_RULES}list", until=_UNTIL, status=200, errors=(400,))
def remove(request: Request, node_id: str) -> None:
    """Always 400, as upstream has answered since nodes moved to the Bare Metal API."""
    raise errors.Invalid("Removing a bare metal node is for the Bare Metal service's own API.")


def _interface(name: str) -> Any:
    @action(
        name,
        "/os-baremetal-nodes/{node_id}/action",
        policy=f"{_RULES}list",
        target=PROJECT,
        until=_UNTIL,
        body=ANY,
        status=200,
        errors=(400,),
    )
    def act(request: Request, node_id: str) -> None:
        """Always 400: interfaces of nodes are for the Bare Metal service's own API."""
        raise errors.Invalid("Interfaces of bare metal nodes are for the Bare Metal service's own API.")

    return act


add_interface = _interface("add_interface")
remove_interface = _interface("remove_interface")
