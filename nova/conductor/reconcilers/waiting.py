"""Ends what waits for its time: resizes nobody confirms, shelved servers that still lie on a host,
deleted ones nobody restores.

Each asks for an operation as a user would; another request under way comes first.
"""

import datetime
import logging
import uuid as uuids

from nova import errors
from nova.clock import utcnow
from nova.conductor.calls.servers import ServerCalls
from nova.conductor.core import Core
from nova.conductor.workflows import soft_delete
from nova.conductor.workflows.shelve import SINCE
from nova.db import instances
from nova.structs.context import Context
from nova.structs.instance import Instance, VmState
from nova.structs.requests import ServerQuery

LOG = logging.getLogger(__name__)


def reconcile(core: Core) -> None:
    now = utcnow()
    window = core.conf.resize_confirm_window
    if window > 0:
        for server in _in_state(core, VmState.RESIZED):
            before = server.properties.resized_from
            if before is not None and (now - before.resized_at).total_seconds() >= window:
                _ask(core, server, "confirmResize")
    stays_s = core.conf.shelved_offload_time
    if stays_s > 0:
        for server in _in_state(core, VmState.SHELVED):
            since = server.system_metadata.get(SINCE)
            if since and (now - datetime.datetime.fromisoformat(since)).total_seconds() >= stays_s:
                _ask(core, server, "shelveOffload")
    kept_s = core.conf.reclaim_instance_interval
    if kept_s > 0:
        for server in _in_state(core, VmState.SOFT_DELETED):
            since = server.system_metadata.get(soft_delete.SINCE)
            if since is None or (now - datetime.datetime.fromisoformat(since)).total_seconds() >= kept_s:
                _ask(core, server, "delete")


def _in_state(core: Core, state: VmState) -> list[Instance]:
    return core.db.read(lambda c: instances.find(c, ServerQuery(vm_states=(state,), task_states=(None,))))


def _ask(core: Core, instance: Instance, operation: str) -> None:
    context = Context(
        user_id=instance.user_id, project_id=instance.project_id, is_admin=True, request_id=f"req-{uuids.uuid4()}"
    )
    try:
        ServerCalls(core).operate(context, instance.uuid, operation, {})
    except errors.DomainError as error:
        LOG.info("%s of server %s comes later: %s", operation, instance.uuid, error)
