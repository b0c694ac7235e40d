"""What the network, volume and bare-metal services tell of servers: heeded once, never waited for."""

import logging

from sqlalchemy.engine import Connection

from nova import errors
from nova.conductor import network_view
from nova.conductor.acceptance import accept
from nova.conductor.core import Core
from nova.conductor.workflows import WORKFLOWS
from nova.db import events, instances
from nova.structs.context import Context
from nova.structs.instance import Instance
from nova.structs.requests import ExternalEvent

LOG = logging.getLogger(__name__)

# The workflow behind each tag of power-update.
_POWER = {"POWER_ON": "start", "POWER_OFF": "stop"}


class ExternalCalls:
    def __init__(self, core: Core) -> None:
        self._core = core

    def external_events(self, context: Context, told: list[ExternalEvent]) -> list[int]:
        return [self._heed(context, event) for event in told]

    def _heed(self, context: Context, event: ExternalEvent) -> int:
        try:
            instance = self._core.db.read(lambda c: instances.get(c, event.server_id))
        except errors.ServerNotFound:
            return 404
        if instance.is_deleted:
            return 404
        if instance.host is None:
            return 422
        if event.name == "volume-extended" and not event.tag:
            return 400
        self._core.db.write(lambda c: _log(c, context, instance, event))
        if event.name.startswith("network-"):
            gone = event.tag if event.name == "network-vif-deleted" else None
            network_view.refresh(self._core, instance, without=gone)
        elif event.name == "power-update":
            self._follow_power(context, instance, event)
        elif event.name == "volume-extended":
            self._begin(context, instance, event, "extend_volume", volume_id=event.tag)
        return 200

    def _follow_power(self, context: Context, instance: Instance, event: ExternalEvent) -> None:
        """The guest's power was changed behind our back: let the record follow, as an action of its own."""
        name = _POWER.get(event.tag or "")
        if name is not None:
            self._begin(context, instance, event, name)

    def _begin(
        self, context: Context, instance: Instance, event: ExternalEvent, name: str, **facts: str | None
    ) -> None:
        """Begin an operation, where what was told still holds: who tells does not care to hear that it does not."""
        workflow = WORKFLOWS[name]
        document = workflow.document(instance_id=instance.uuid, **facts)
        try:
            accepted = self._core.db.write(
                lambda c: accept.accept_operation(c, self._core, context, instance.uuid, workflow, document)
            )
        except (errors.Conflict, errors.NotFound, errors.NotImplementedHere) as error:
            LOG.info("server %s does not follow %s %s: %s", instance.uuid, event.name, event.tag, error)
            return
        if accepted.lease is not None:
            self._core.engine.run(accepted.lease)


def _log(connection: Connection, context: Context, instance: Instance, event: ExternalEvent) -> None:
    payload = {"name": event.name, "status": event.status, "tag": event.tag}
    events.append(
        connection, "instance.external_event", instance.project_id, payload, instance.uuid, context.request_id
    )
