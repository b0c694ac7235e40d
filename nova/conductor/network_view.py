"""A server's record of its ports, brought up to what the Networking API says of them.

A workflow at work writes that record itself, and knows better which ports are the server's and which of them its user
brought: meanwhile the record learns only what became of the ports that it has.
"""

import contextlib
import logging
from collections.abc import Iterable

import msgspec
from sqlalchemy.engine import Connection

from nova import errors
from nova.conductor.acceptance import told
from nova.conductor.core import Core
from nova.conductor.workflows.interfaces import PORT_IS_GONE
from nova.db import instances, operations
from nova.structs.context import Context
from nova.structs.instance import Instance
from nova.structs.network import Vif

LOG = logging.getLogger(__name__)


def refresh(core: Core, instance: Instance, without: str | None = None, context: Context | None = None) -> None:
    """Read the server's ports again; what the guest has of a port that is gone is taken from it.

    without: a port that is gone, whatever the Networking API says still. context: of who told it.
    """
    network = core.step_context.network
    try:
        found = tuple(network.view(instance.uuid, instance.vifs))
        there = {vif.port_id for vif in found} - {without}
        # A list may be short for once; a port that is asked for by its id and not there is gone.
        missing = [vif.port_id for vif in instance.vifs if vif.port_id not in there]
        gone = [port_id for port_id in missing if port_id == without or not network.has_port(instance.uuid, port_id)]
    except errors.Unavailable as error:
        LOG.warning("the network of server %s is not read again: %s", instance.uuid, error)
        return
    # Without a host there is no guest that still has them. Else they stay in the record until the guest has not.
    kept = missing if instance.host is not None else [port_id for port_id in missing if port_id not in gone]
    vifs = {vif.port_id: vif for vif in found if vif.port_id in there}

    def work(connection: Connection) -> None:
        now = instances.get(connection, instance.uuid, for_update=True)
        if now.task_state is not None or now.is_deleted:
            return
        known = {vif.port_id: vif for vif in now.vifs}
        if _ids(now) == _ids(instance) and operations.active(connection, instance.uuid) is None:
            shown = (*vifs.values(), *(known[port_id] for port_id in kept))
        else:
            shown = tuple(_as_brought(vifs.get(vif.port_id, vif), vif) for vif in now.vifs)
        if _differ(now.vifs, shown):
            instances.change(connection, instance.uuid, vifs=shown)

    core.db.write(work)
    if instance.host is not None:
        teller = context or Context(user_id=instance.user_id, project_id=instance.project_id, is_admin=True)
        for port_id in gone:
            told.begin(core, teller, instance, PORT_IS_GONE, port_id=port_id)


def refresh_all(core: Core, servers: Iterable[str]) -> None:
    """The same for those that are there and at rest."""
    for server_id in servers:
        _refresh_at_rest(core, server_id)


def _refresh_at_rest(core: Core, server_id: str) -> None:
    with contextlib.suppress(errors.ServerNotFound):
        instance = core.db.read(lambda c: instances.get(c, server_id))
        if instance.task_state is None and not instance.is_deleted:
            refresh(core, instance)


def _ids(instance: Instance) -> set[str]:
    return {vif.port_id for vif in instance.vifs}


def _as_brought(vif: Vif, record: Vif) -> Vif:
    return msgspec.structs.replace(vif, tag=record.tag, is_preexisting=record.is_preexisting)


def _differ(before: tuple[Vif, ...], now: tuple[Vif, ...]) -> bool:
    return sorted(before, key=lambda vif: vif.port_id) != sorted(now, key=lambda vif: vif.port_id)
