"""Writes down which daemons fell silent or speak again, and lets nothing wait for a silent host."""

from functools import partial

from nova.conductor import announce
from nova.conductor.core import Core
from nova.db import hosts


def reconcile(core: Core) -> None:
    """Operations that wait for a silent or forced-down host are told that it is lost; those that wait for it to
    answer or to be forced down go on then; schedulers hear of changes."""
    down = set()
    back = set()
    changed = False
    for service in core.db.read(hosts.services):
        is_up = core.liveness.is_up(service.host, service.binary)
        if is_up != service.is_up:
            core.db.write(partial(hosts.change_service, uuid=service.uuid, is_up=is_up))
            changed = True
            if is_up and service.binary == "nova-compute":
                back.add(service.host)
        if service.binary == "nova-compute" and service.is_forced_down:
            down.add(service.host)
        elif service.binary == "nova-compute" and not is_up:
            core.engine.host_lost(service.host)
    for host in sorted(back | core.liveness.force_down(down)):
        core.engine.host_decided(host)
    for host in down:
        core.engine.host_lost(host)
    if changed:
        announce.hosts_changed(core.step_context)
