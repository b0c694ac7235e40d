"""A server's record of its ports, brought up to what the Networking API says of them.

A workflow at work writes that record itself, and knows better: a server with one is left alone.
"""

import contextlib
import logging
from collections.abc import Iterable

from sqlalchemy.engine import Connection

from nova import errors
from nova.conductor.core import Core
from nova.db import instances
from nova.structs.instance import Instance
from nova.structs.network import Vif

LOG = logging.getLogger(__name__)


def refresh(core: Core, instance: Instance, without: str | None = None) -> None:
    """Read the server's ports again. without: a port that is gone, whatever the Networking API says still."""
    try:
        vifs = tuple(core.step_context.network.view(instance.uuid, instance.vifs))
    except errors.Unavailable as error:
        LOG.warning("the network of server %s is not read again: %s", instance.uuid, error)
        return
    vifs = tuple(vif for vif in vifs if vif.port_id != without)

    def work(connection: Connection) -> None:
        now = instances.get(connection, instance.uuid, for_update=True)
        if now.task_state is None and not now.is_deleted and _differ(now.vifs, vifs):
            instances.change(connection, instance.uuid, vifs=vifs)

    core.db.write(work)


def refresh_all(core: Core, servers: Iterable[str]) -> None:
    """The same for those that are there and at rest."""
    for server_id in servers:
        _refresh_at_rest(core, server_id)


def _refresh_at_rest(core: Core, server_id: str) -> None:
    with contextlib.suppress(errors.ServerNotFound):
        instance = core.db.read(lambda c: instances.get(c, server_id))
        if instance.task_state is None and not instance.is_deleted:
            refresh(core, instance)


def _differ(before: tuple[Vif, ...], now: tuple[Vif, ...]) -> bool:
    return sorted(before, key=lambda vif: vif.port_id) != sorted(now, key=lambda vif: vif.port_id)
