"""Which of the guests and disks on a host are left over: what no server needs, because another copy is known whole.

In doubt the answer is no: what stays costs room, what goes may be the only copy of a server's data.
"""

from nova import errors
from nova.conductor.core import Core
from nova.conductor.workflows.shelved_image import IMAGE
from nova.db import instances
from nova.structs.disks import HeldDisks
from nova.structs.instance import Instance, VmState
from nova.structs.requests import ServerQuery

# States in which a server's guest is on its host, with all its disks.
_WHOLE = frozenset(
    {VmState.ACTIVE, VmState.PAUSED, VmState.SUSPENDED, VmState.STOPPED, VmState.RESCUED, VmState.SHELVED}
)


def records(core: Core, uuids: set[str]) -> dict[str, Instance]:
    """The servers there is a record of, deleted ones included."""
    query = ServerQuery(uuids=tuple(sorted(uuids)), is_deleted=None)
    return {server.uuid: server for server in core.db.read(lambda c: instances.find(c, query))}


def is_guest_left_over(core: Core, server: Instance, host: str) -> bool:
    """Whether a guest found on host is nobody's: its server was deleted, or lives whole elsewhere."""
    return server.is_deleted or (server.host != host and _is_whole(core, server))


def are_disks_left_over(core: Core, server: Instance, held: HeldDisks) -> bool:
    """Whether disks found on a host are nobody's. Disks that do not say whose they are stay."""
    if server.is_deleted:
        return True
    if held.mark is None or server.disks_id in (held.mark.made_by, held.mark.found_as):
        return False
    return _is_whole(core, server)


def _is_whole(core: Core, server: Instance) -> bool:
    """Whether a server has its disks where its record says, by the word of who has them."""
    if server.task_state is not None:
        return False
    if server.host is None:
        return _has_whole_image(core, server)
    if server.vm_state not in _WHOLE or not core.liveness.is_up(server.host):
        return False
    try:
        core.compute(server.host).power_state(server.uuid)
    except errors.DomainError:
        # Its host is away, or has no guest: what was found may be all there is.
        return False
    return True


def _has_whole_image(core: Core, server: Instance) -> bool:
    """Whether a server without a host lives in its image, or was never built."""
    if server.vm_state is not VmState.SHELVED_OFFLOADED:
        return server.launched_at is None and server.vm_state is VmState.ERROR
    if server.image_id is None:
        return True
    try:
        return bool(core.step_context.images.get(server.system_metadata.get(IMAGE, "")).status == "active")
    except errors.DomainError:
        return False
