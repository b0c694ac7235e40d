"""Marks the disks of guests that live here, and removes disks that are left over from moves.

A host that was away while its servers were evacuated holds their old disks; so does one on which a move was given
up. They go when the conductor knows that the server is whole without them.
"""

import logging
from collections.abc import Collection

from nova import errors
from nova.compute.host import Host
from nova.rpc.conductor import ConductorCalls
from nova.structs.instance import PowerState
from nova.virt.driver import HeldDisksOnHost

LOG = logging.getLogger(__name__)


def reconcile(host: Host, conductor: ConductorCalls, busy: Collection[str]) -> None:
    """Leave alone the disks of servers that this host is busy with."""
    mark(host, conductor)
    remove_left_overs(host, conductor, busy)


def mark(host: Host, conductor: ConductorCalls) -> None:
    """Say of disks that an older release made, or brought, whose they are, while the record tells."""
    if not isinstance(host.driver, HeldDisksOnHost):
        return
    own = {held.server: held.mark for held in host.driver.held_disks() if held.place == "own"}
    foreign = {uuid for uuid, mark in own.items() if mark is None or mark.made_by.host != host.name}
    if not foreign:
        return
    running = {guest.uuid for guest in host.driver.guests() if guest.power_state is PowerState.RUNNING}
    for instance in conductor.instances_on(host.name):
        # One that moves may be gone from here: its move ends first.
        is_settled = instance.uuid in foreign and instance.task_state is None and instance.generation
        # Where a server runs by its record and by its host, it runs on its disks, whoever made them.
        if is_settled and (own[instance.uuid] is None or instance.uuid in running):
            host.driver.mark_disks(instance.uuid, instance.disks_id)


def remove_left_overs(host: Host, conductor: ConductorCalls, busy: Collection[str]) -> None:
    """Remove what the conductor says is left over; report what belongs to no server that it knows."""
    if not isinstance(host.driver, HeldDisksOnHost):
        return
    held = {disks.name: disks for disks in host.driver.held_disks() if disks.server not in busy}
    if not held:
        return
    try:
        verdict = conductor.left_over_disks(host.name, list(held.values()))
    except errors.DomainError as error:
        # A conductor that is away, or of an older release: nothing goes.
        LOG.info("the disks on host %s are looked at later: %s", host.name, error)
        return
    for name in verdict.unknown:
        LOG.warning("the disks in %s on host %s belong to no server there is a record of: they stay", name, host.name)
    for name in verdict.left_over:
        LOG.warning("removing the disks in %s on host %s, left over: %s", name, host.name, held[name].mark)
        try:
            host.driver.remove_held_disks(held[name])
        except errors.DomainError as error:
            LOG.warning("the disks in %s stay for now: %s", name, error)
