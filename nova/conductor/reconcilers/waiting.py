"""Ends what waits for its time: resizes nobody confirms, shelved servers that still lie on a host,
deleted ones nobody restores.

Each asks for an operation as a user would; another request under way comes first. Read are the servers whose time may have
come, by a column that is never too late, and no others: there may be very many that wait.
"""

import datetime
import logging
import uuid as uuids
from collections.abc import Callable, Iterator
from functools import partial

from sqlalchemy.engine import Connection

from nova import errors
from nova.clock import utcnow
from nova.conductor.calls.servers import ServerCalls
from nova.conductor.core import Core
from nova.conductor.workflows import soft_delete
from nova.conductor.workflows.shelve import SINCE
from nova.db import instances
from nova.structs.context import Context
from nova.structs.instance import Instance, VmState

LOG = logging.getLogger(__name__)

_BATCH = 100

Since = Callable[[Instance], datetime.datetime | None]


def reconcile(core: Core) -> None:
    conf = core.conf
    for state, wait_s, since, operation in (
        (VmState.RESIZED, conf.resize_confirm_window, _resized, "confirmResize"),
        (VmState.SHELVED, conf.shelved_offload_time, _shelved, "shelveOffload"),
        (VmState.SOFT_DELETED, conf.reclaim_instance_interval, _deleted, "delete"),
    ):
        if wait_s > 0:
            for server in _due(core, state, wait_s, since):
                _ask(core, server, operation)


def _resized(server: Instance) -> datetime.datetime | None:
    before = server.properties.resized_from
    return None if before is None else before.resized_at


def _shelved(server: Instance) -> datetime.datetime | None:
    since = server.system_metadata.get(SINCE)
    return datetime.datetime.fromisoformat(since) if since else None


def _deleted(server: Instance) -> datetime.datetime | None:
    since = server.system_metadata.get(soft_delete.SINCE)
    # What does not say when it was deleted was so long ago.
    return datetime.datetime.fromisoformat(since) if since else datetime.datetime.min


def _due(core: Core, state: VmState, wait_s: int, since: Since) -> Iterator[Instance]:
    """The servers that have been in a state for so long, by their record."""
    now = utcnow()
    before = now - datetime.timedelta(seconds=wait_s)
    last = 0
    while servers := core.db.read(partial(_read, state=state, before=before, after_id=last)):
        last = servers[-1].id
        for server in servers:
            when = since(server)
            if when is not None and when <= before:
                yield server
            else:
                # An older release brought it here. One that says nothing is looked at again when as long has passed.
                core.db.write(
                    partial(instances.set_state_since, uuid=server.uuid, state=state, since=when if when else now)
                )


def _read(connection: Connection, state: VmState, before: datetime.datetime, after_id: int) -> list[Instance]:
    return instances.waiting_since(connection, state, before, after_id, _BATCH)


def _ask(core: Core, instance: Instance, operation: str) -> None:
    context = Context(
        user_id=instance.user_id, project_id=instance.project_id, is_admin=True, request_id=f"req-{uuids.uuid4()}"
    )
    try:
        ServerCalls(core).operate(context, instance.uuid, operation, {})
    except errors.DomainError as error:
        LOG.info("%s of server %s comes later: %s", operation, instance.uuid, error)
