"""What the network, volume and bare-metal services tell of servers: heeded once, never waited for."""

import contextlib

from sqlalchemy.engine import Connection

from nova import errors
from nova.conductor import network_view
from nova.conductor.acceptance import told
from nova.conductor.core import Core
from nova.conductor.workflows import WORKFLOWS
from nova.conductor.workflows.extend_volume import EXTEND_VOLUME
from nova.db import events, instances
from nova.structs.context import Context
from nova.structs.instance import Instance
from nova.structs.requests import ExternalEvent

# The workflow behind each tag of power-update.
_POWER = {"POWER_ON": "start", "POWER_OFF": "stop"}


class ExternalCalls:
    def __init__(self, core: Core) -> None:
        self._core = core

    def external_events(self, context: Context, told: list[ExternalEvent]) -> list[int]:
        """One by one, in their order: each is committed before the next is looked at."""
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
        if event.name == "network-vif-plugged":
            with contextlib.suppress(errors.Unavailable):
                self._core.compute(instance.host).ports_changed(instance.uuid)
        if event.name.startswith("network-"):
            gone = event.tag if event.name == "network-vif-deleted" else None
            network_view.refresh(self._core, instance, without=gone, context=context)
        elif event.name == "power-update":
            self._follow_power(context, instance, event)
        elif event.name == "volume-extended":
            told.begin(self._core, context, instance, EXTEND_VOLUME, volume_id=event.tag)
        return 200

    def _follow_power(self, context: Context, instance: Instance, event: ExternalEvent) -> None:
        """The guest's power was changed behind our back: let the record follow, as an action of its own."""
        name = _POWER.get(event.tag or "")
        if name is not None:
            told.begin(self._core, context, instance, WORKFLOWS[name])


def _log(connection: Connection, context: Context, instance: Instance, event: ExternalEvent) -> None:
    payload = {"name": event.name, "status": event.status, "tag": event.tag}
    events.append(
        connection, "instance.external_event", instance.project_id, payload, instance.uuid, context.request_id
    )
