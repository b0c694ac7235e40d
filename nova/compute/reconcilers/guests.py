"""Watches a host's guests: reports changes of their power state to the conductor, and servers without a guest; removes
guests without a server.

A guest that shut itself down is a stopped server some seconds later. A guest whose server was
deleted or moved while this host was away is nobody's, and goes.
"""

import functools
import logging
from collections.abc import Callable, Collection
from datetime import timedelta

from nova import errors
from nova.compute.host import Host
from nova.compute.steps import power, volume
from nova.rpc.conductor import ConductorCalls
from nova.structs.guest import GuestState
from nova.structs.instance import Instance, PowerState
from nova.structs.steps import GuestArguments
from nova.virt.driver import GuestMemory

LOG = logging.getLogger(__name__)


class GuestWatch:
    """The guests of one host, and the power states that were last reported."""

    def __init__(self, host: Host, conductor: ConductorCalls) -> None:
        self._host = host
        self._conductor = conductor
        self._reported: dict[str, int] = {}

    def look(self) -> None:
        """Report the power states that changed since they were last reported."""
        states = {guest.uuid: int(guest.power_state) for guest in self._host.driver.guests()}
        changed = {uuid: state for uuid, state in states.items() if self._reported.get(uuid) != state}
        if changed:
            self._conductor.report_power_states(self._host.name, changed)
        self._reported = states

    def forget(self) -> None:
        """Report everything next time, in case a report was lost."""
        self._reported = {}

    def resume(self, alone: Callable[[str, Callable[[], None]], None]) -> None:
        """Start the guests that were running when the host went down, and of which no operation decides that.

        One that cannot start stays off: the others, and the host, do not wait for it. alone: see run_left.
        """
        running = {
            instance.uuid: instance
            for instance in self._conductor.instances_on(self._host.name)
            if instance.vm_state == "active" and instance.task_state is None
        }
        for guest in self._host.driver.guests():
            if guest.uuid in running and guest.power_state is PowerState.SHUTDOWN:
                LOG.info("starting guest %s, which ran when the host went down", guest.uuid)
                try:
                    alone(guest.uuid, functools.partial(self._power_on, running[guest.uuid]))
                except errors.DomainError as error:
                    LOG.warning("guest %s, which ran when the host went down, stays off: %s", guest.uuid, error)

    def _power_on(self, instance: Instance) -> None:
        """Its volumes come first: a host that waits for its storage gives no sign of life, and its servers may be
        evacuated. Then the record is asked again whether this one is still to run here."""
        volume.renew(self._host, instance)
        now = {server.uuid: server for server in self._conductor.instances_on(self._host.name)}.get(instance.uuid)
        if now is None or now.vm_state != "active" or now.task_state is not None:
            LOG.warning("guest %s, which ran when the host went down, is not to run here any more", instance.uuid)
            return
        power.power_on(self._host, GuestArguments(instance=now))

    def run_left(self, alone: Callable[[str, Callable[[], None]], None]) -> None:
        """Let guests run that were started paused by a step that never ended.

        alone calls a function while no step of a server is under way, if that is so now: a user who pauses the server
        comes before or after.
        """
        for uuid in sorted(self._host.starting.left):
            try:
                alone(uuid, functools.partial(self._run_left, uuid))
            except errors.DomainError as error:
                LOG.warning("guest %s, which was started paused, stays so for now: %s", uuid, error)

    def _run_left(self, uuid: str) -> None:
        instances = {instance.uuid: instance for instance in self._conductor.instances_on(self._host.name)}
        instance = instances.get(uuid)
        if instance is not None and instance.task_state is not None:
            # Its operation does it, or undoes it.
            return
        guest = next((guest for guest in self._host.driver.guests() if guest.uuid == uuid), None)
        is_to_run = instance is not None and instance.vm_state == "active"
        if is_to_run and guest is not None and guest.power_state is PowerState.PAUSED and not guest.is_halted:
            LOG.warning("guest %s was started paused, and its step never ended: it is resumed", uuid)
            self._host.driver.set_power(uuid, PowerState.RUNNING)
        self._host.starting.forget(uuid)

    def reap(self, busy: Collection[str]) -> None:
        """Apply [DEFAULT] running_deleted_instance_action to guests without a server here, except busy ones."""
        action = self._host.conf.running_deleted_instance_action
        guests = {guest.uuid: guest for guest in self._host.driver.guests() if guest.uuid not in busy}
        if action == "noop" or not guests:
            return
        for uuid, has_moved in self._conductor.unwanted_guests(self._host.name, sorted(guests)).items():
            LOG.warning("guest %s on host %s belongs to no server here: %s", uuid, self._host.name, action)
            try:
                self._act(action, guests[uuid], has_moved)
            except errors.DomainError as error:
                LOG.warning("guest %s stays for now: %s", uuid, error)

    def miss(self, busy: Collection[str]) -> None:
        """Report the servers that are here by their records, and have no guest, except busy ones."""
        if isinstance(self._host.driver, GuestMemory) and not self._host.driver.keeps_guests():
            return
        here = {one.uuid for one in self._conductor.instances_on(self._host.name) if one.task_state is None}
        missing = here - {guest.uuid for guest in self._host.driver.guests()} - set(busy)
        if not missing:
            return
        try:
            self._conductor.report_missing_guests(self._host.name, sorted(missing))
        except errors.DomainError as error:
            # A conductor that is away, or of an older release.
            LOG.info("servers without a guest on host %s are reported later: %s", self._host.name, error)

    def _act(self, action: str, guest: GuestState, has_moved: bool) -> None:
        if action == "shutdown":
            self._host.driver.set_power(guest.uuid, PowerState.SHUTDOWN, timedelta())
        elif action == "reap":
            # The disks of a server that moved have a rule of their own: see held_disks.
            self._host.driver.destroy(guest.uuid, keep_disks=has_moved)
