"""Ends what waits for its time: resizes nobody confirms, shelved servers that still lie on a host,
deleted ones nobody restores.

Each begins an operation as a user's request would, but another request comes first, under way or over: whether the
server waits still, and has waited for so long, is asked in the transaction that begins it. Read are the servers whose time
may have come, by a column that is never too late, and no others: there may be very many that wait.
"""

import dataclasses
import datetime
import logging
import uuid as uuids
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from sqlalchemy.engine import Connection

from nova import errors
from nova.clock import utcnow
from nova.conductor.acceptance import told
from nova.conductor.core import Core
from nova.conductor.engine.operation import Acceptance, Operation
from nova.conductor.workflows import soft_delete
from nova.conductor.workflows.confirm_resize import CONFIRM_RESIZE
from nova.conductor.workflows.delete import DELETE
from nova.conductor.workflows.shelve import SHELVE_OFFLOAD
from nova.conductor.workflows.shelved_image import SINCE
from nova.db import instances
from nova.structs.context import Context
from nova.structs.instance import Instance, VmState

LOG = logging.getLogger(__name__)

_BATCH = 100

Since = Callable[[Instance], datetime.datetime | None]


def reconcile(core: Core) -> None:
    """A time of 0 or less in the configuration lets its servers wait for ever."""
    conf = core.conf
    for state, wait_s, since, workflow in (
        (VmState.RESIZED, conf.resize_confirm_window, _resized, CONFIRM_RESIZE),
        (VmState.SHELVED, conf.shelved_offload_time, _shelved, SHELVE_OFFLOAD),
        (VmState.SOFT_DELETED, conf.reclaim_instance_interval, _deleted, DELETE),
    ):
        if wait_s > 0:
            due = _when_due(workflow, state, wait_s, since)
            for server in _due(core, state, wait_s, since):
                # Its old disks may be the only ones where its host is gone: they wait, however long that takes.
                if state is not VmState.RESIZED or core.liveness.is_up(str(server.host)):
                    _begin(core, server, due)


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


def _when_due(workflow: Operation[Any], state: VmState, wait_s: int, since: Since) -> Operation[Any]:
    """The operation where a server has been in a state for so long, and nothing else is under way."""

    def begin(acceptance: Acceptance, document: Any) -> Any:
        when = since(acceptance.instance)
        if when is None or when > utcnow() - datetime.timedelta(seconds=wait_s):
            raise errors.WrongServerState(
                action=workflow.asked_for, server_id=acceptance.instance.uuid, attribute="vm_state", state=str(state)
            )
        return workflow.begin(acceptance, document)

    return dataclasses.replace(
        workflow,
        from_states=frozenset({state}),
        begin=begin,
        overtakes=False,
        ends_left=workflow.overtakes or workflow.ends_left,
    )


def _begin(core: Core, instance: Instance, workflow: Operation[Any]) -> None:
    context = Context(
        user_id=instance.user_id, project_id=instance.project_id, is_admin=True, request_id=f"req-{uuids.uuid4()}"
    )
    try:
        told.begin(core, context, instance, workflow)
    except errors.DomainError as error:
        LOG.info("%s of server %s comes later: %s", workflow.name, instance.uuid, error)
