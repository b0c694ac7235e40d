"""Receives steps for the hosts of this daemon, does them, and answers.

Steps of one server run in turn, in the order they came. An order is done once however often it
arrives; an answer that was lost is given again when the conductor still lists the order as
unfinished, which this daemon asks for when it starts and with every heartbeat.
"""

import functools
import logging
import threading
import time
from collections import OrderedDict, defaultdict, deque
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

import msgspec
from oslo_config import cfg

from nova import concurrency, errors, log_context
from nova.clients.placement import PlacementClient
from nova.clock import utcnow
from nova.compute import inventory
from nova.compute.compute_id import ComputeId
from nova.compute.health import Health
from nova.compute.host import Host
from nova.compute.image_cache import ImageCache
from nova.compute.reconcilers import held_disks
from nova.compute.reconcilers.guests import GuestWatch
from nova.compute.step_pool import StepPool
from nova.compute.steps import VERBS
from nova.readiness import Check
from nova.rpc.conductor import ConductorCalls
from nova.structs.guest import ConsoleAddress, ConsoleKind, NodeState
from nova.structs.host import HostReport, Node, NodeReport, SignOfLife
from nova.structs.image import Image
from nova.structs.migration import MigrationProgress
from nova.structs.operation import StepAnswer, StepOrder
from nova.virt.driver import Diagnostics, ForcedMigration, GuestEvents, HeldDisksOnHost, Volumes, abilities, able

LOG = logging.getLogger(__name__)

_REMEMBERED_ANSWERS = 1000
# Orders that are older, or from before this daemon or not long after its start, may have been done already.
_FRESH = timedelta(seconds=60)
# A daemon that stops waits no longer than for this.
_EVENTS_WAIT_S = 5.0
_BETWEEN_EVENTS_S = 0.5
# What holds a server's place while this daemon does something to its guest by itself.
_OWN_WORK = StepOrder(
    operation_id="",
    instance_id="",
    host="",
    number=0,
    verb="resume after a start",
    arguments=msgspec.Raw(b"null"),
    sent_at=datetime.min,
    answer_by=datetime.min,
)


class Agent:
    """nova-compute for one or, with the fake driver, many hosts. name: the queue it listens on."""

    def __init__(
        self,
        conf: cfg.ConfigOpts,
        name: str,
        hosts: Mapping[str, Host],
        conductor: ConductorCalls,
        placement: PlacementClient,
        compute_id: ComputeId | None = None,
    ) -> None:
        self._conf = conf
        self._name = name
        self._hosts = hosts
        self._conductor = conductor
        self._placement = placement
        self._pool = StepPool(max(conf.max_concurrent_builds, 1) * 4 + len(hosts).bit_length())
        self._health = Health(hosts, self._pool)
        self._lock = threading.Lock()
        self._started_at = utcnow()
        self._queues: dict[str, deque[StepOrder]] = defaultdict(deque)
        # When each order came that is done or waits now.
        self._known: dict[tuple[str, int], float] = {}
        self._answers: OrderedDict[tuple[str, int], StepAnswer] = OrderedDict()
        self._unregistered = set(hosts)
        self._told_unannounced: dict[str, str] = {}
        self._compute_id = compute_id
        # Until the conductor agrees that this machine is its host, nothing is done here.
        self._is_proved = compute_id is None
        self.refusal: str | None = None
        self._watches = {name: GuestWatch(host, conductor) for name, host in hosts.items()}
        self._periodics: list[concurrency.Periodic] = []
        self._heard_at = time.monotonic()
        # The servers whose steps were under way when this host was heard of again.
        self._under_way: set[str] = set()

    def start(self) -> None:
        """Connect the drivers and announce the hosts; what cannot be done now is tried again."""
        report_s = self._conf.update_resources_interval or 60
        self._periodics = [
            concurrency.Periodic(self._conf.report_interval, self._live, "heartbeat", at_once=True),
        ]
        if report_s > 0:
            self._periodics.append(concurrency.Periodic(report_s, self.report, "report of inventory"))
        for host in self._hosts.values():
            if isinstance(host.driver, GuestEvents):
                listen = functools.partial(self._listen, host)
                self._periodics.append(concurrency.Periodic(_BETWEEN_EVENTS_S, listen, "wait for guests' events"))
        for interval_s, function, name in (
            (self._conf.sync_power_state_interval, self._forget_states, "comparison of power states"),
            (self._conf.running_deleted_instance_poll_interval, self._reap, "search for guests without a server"),
        ):
            if interval_s > 0:
                self._periodics.append(concurrency.Periodic(interval_s, function, name))

    def stop(self) -> None:
        """Finish the steps under way; the others are done after the next start."""
        for periodic in self._periodics:
            periodic.stop()
        self._pool.close()

    @property
    def is_registered(self) -> bool:
        """Whether the conductor and Placement know every host of this daemon."""
        return not self._unregistered

    def checks(self) -> list[Check]:
        """Whether steps can be done, and whether the conductor and Placement know of every host."""
        return [
            Check("hypervisor", "The hypervisor", self._health.check),
            Check("registered", "The registration of this host", self._check_registration),
        ]

    def _check_registration(self) -> None:
        if self._unregistered:
            some = ", ".join(sorted(self._unregistered)[:3])
            reason = f"the conductor and Placement do not know {len(self._unregistered)} of its hosts yet: {some}"
            raise errors.Unavailable(service="nova-compute", reason=reason)

    def held(self) -> list[str]:
        """The steps that are done or wait now, in the words of the log."""
        with self._lock:
            queues = {server: [order.verb for order in queue] for server, queue in self._queues.items() if queue}
        return [f"{', '.join(verbs)} of server {server}" for server, verbs in sorted(queues.items())]

    # What the conductor calls.

    def run_step(self, order: StepOrder) -> None:
        """An order that comes again is done once. Before the host has registered it is dropped, and asked for then."""
        if not self._is_proved:
            # It is asked for when this host has registered.
            return
        if self._is_fresh(order) or self._is_unfinished(order):
            self._take(order)

    def _is_fresh(self, order: StepOrder) -> bool:
        return order.sent_at > self._started_at + _FRESH and utcnow() < order.sent_at + _FRESH

    def _is_unfinished(self, order: StepOrder) -> bool:
        """Whether an order still waits for its answer. A late one may have been done before a restart of this
        daemon; doing it again would undo later steps."""
        try:
            waiting = self._conductor.unfinished_steps([order.host])
        except errors.DomainError as error:
            LOG.info("%s of server %s is asked for with the next heartbeat: %s", order.verb, order.instance_id, error)
            return False
        return any(
            (unfinished.operation_id, unfinished.number) == (order.operation_id, order.number) for unfinished in waiting
        )

    def _take(self, order: StepOrder) -> None:
        key = (order.operation_id, order.number)
        with self._lock:
            known = self._answers.get(key)
            if known is None:
                if key in self._known:
                    return
                self._known[key] = time.monotonic()
                queue = self._queues[order.instance_id]
                queue.append(order)
                if len(queue) > 1:
                    return
        if known is not None:
            self._conductor.step_answered(known)
            return
        self._pool.submit(order.instance_id, functools.partial(self._work_off, order.instance_id))

    def power_state(self, instance_id: str) -> int:
        return int(self._host_of(instance_id).driver.guest(instance_id).power_state)

    def console_output(self, instance_id: str, limit_bytes: int) -> str:
        """Bytes that are no UTF-8 become replacement characters."""
        driver = self._host_of(instance_id).driver
        return driver.console_output(instance_id, limit_bytes).decode(errors="replace")

    def console_address(self, instance_id: str, kind: ConsoleKind) -> ConsoleAddress:
        return self._host_of(instance_id).driver.console_address(instance_id, kind)

    def ports_changed(self, instance_id: str) -> None:
        for host in self._hosts.values():
            if host.plugging is not None:
                host.plugging.told(instance_id)

    def connector(self, host: str) -> dict[str, Any]:
        return able(self._hosts[host].driver, Volumes, "have volumes").connector()

    def guests(self, host: str) -> dict[str, int]:
        return {guest.uuid: int(guest.power_state) for guest in self._hosts[host].driver.guests()}

    def migration_progress(self, instance_id: str) -> MigrationProgress:
        percents = (host.jobs.percent(instance_id) for host in self._hosts.values())
        return MigrationProgress(percent=next((percent for percent in percents if percent is not None), None))

    def abort_migration(self, instance_id: str) -> bool:
        return any(host.jobs.abort(instance_id) for host in self._hosts.values())

    def force_migration(self, instance_id: str) -> None:
        driver = self._host_of(instance_id).driver
        able(driver, ForcedMigration, "be brought to the end of its migration").force_complete(instance_id)

    def diagnostics(self, instance_id: str) -> dict[str, Any]:
        driver = self._host_of(instance_id).driver
        if not isinstance(driver, Diagnostics):
            raise errors.NotImplementedHere(action="give diagnostics")
        return driver.diagnostics(instance_id)

    def cache_images(self, images: list[Image]) -> None:
        """Returns before they are fetched; a failure is only logged."""
        # One cache serves all hosts of this daemon.
        cache = next(iter(self._hosts.values())).images
        for image in images:
            self._pool.submit(f"image {image.id}", functools.partial(self._cache, cache, image))

    def ping(self) -> str:
        return self._name

    # What this daemon does by itself.

    def report(self) -> None:
        """Report the hosts to the conductor and Placement; a host that fails is reported later."""
        for host in self._hosts.values():
            if host.name in self._unregistered:
                # Every sign of life tries that.
                continue
            try:
                nodes = host.driver.nodes()
            except errors.Unavailable as error:
                # The host is announced, and its heartbeats say what it lacks.
                LOG.warning("host %s is not reported now: %s", host.name, error)
                continue
            try:
                self._report(host, nodes)
            except (errors.Unavailable, errors.HostIdentityMismatch) as error:
                self._tell_unannounced(host.name, error)
                self._unregistered.add(host.name)

    def _live(self) -> None:
        if self.refusal is not None:
            return
        if self._unregistered:
            for name in sorted(self._unregistered):
                self._announce(self._hosts[name])
        ready = tuple(name for name in self._hosts if name not in self._unregistered)
        if ready:
            self._tell(ready)
            for order in self._conductor.unfinished_steps(list(ready)):
                self._take(order)
            self._health.look_at_steps(self._verb_of)
            if self._health.look_at_hosts(ready):
                self._tell(ready)
            for name in ready:
                if name not in self._health.troubles:
                    self._watches[name].run_left(self._alone)
                    self._watches[name].look()
            self._clean_after_silence()

    def _clean_after_silence(self) -> None:
        """Remove what other hosts have been given meanwhile: a host that is not heard for long is taken for dead.

        Once at once, and once more when the steps that were under way then are over.
        """
        now = time.monotonic()
        was_silent = now - self._heard_at > self._conf.service_down_time / 2
        self._heard_at = now
        is_over = bool(self._under_way) and self._under_way.isdisjoint(self._queues)
        if was_silent:
            LOG.warning("nobody has heard of this host for some time: looking for what is not its own any more")
            self._under_way = set(self._queues)
        elif is_over:
            self._under_way = set()
        if was_silent or is_over:
            self._reap()

    def _listen(self, host: Host) -> None:
        """Look at the guests as soon as one has changed."""
        if host.name in self._unregistered or host.name in self._health.troubles:
            return
        assert isinstance(host.driver, GuestEvents)
        if host.driver.wait_for_change(_EVENTS_WAIT_S):
            self._periodics[0].wake()

    def _tell(self, ready: tuple[str, ...]) -> None:
        self._conductor.alive(SignOfLife(binary="nova-compute", hosts=ready, troubles=self._health.troubles))

    def _verb_of(self, instance_id: str) -> str:
        with self._lock:
            queue = self._queues.get(instance_id)
            return queue[0].verb if queue else "a step"

    def _forget_states(self) -> None:
        for watch in self._watches.values():
            watch.forget()

    def _reap(self) -> None:
        for name in self._hosts.keys() - self._unregistered:
            self._clean(self._hosts[name])

    def _clean(self, host: Host) -> None:
        """Remove guests and disks that are left over; report servers without a guest."""
        self._watches[host.name].reap(busy=set(self._queues))
        held_disks.reconcile(host, self._conductor, busy=set(self._queues))
        self._watches[host.name].miss(busy=set(self._queues))

    def _announce(self, host: Host) -> None:
        try:
            host.driver.start()
            self._report(host, host.driver.nodes())
            if self._conf.resume_guests_state_on_host_boot:
                self._watches[host.name].resume(self._alone)
            self._unregistered.discard(host.name)
            if self._told_unannounced.pop(host.name, None):
                LOG.info("host %s is announced", host.name)
            self._clean(host)
        except (errors.Unavailable, errors.HostIdentityMismatch) as error:
            self._tell_unannounced(host.name, error)

    def _tell_unannounced(self, name: str, error: errors.DomainError) -> None:
        """Say why, once for each reason."""
        if self._told_unannounced.get(name) != error.message:
            self._told_unannounced[name] = error.message
            LOG.warning("host %s is not announced yet: %s", name, error)

    def _report(self, host: Host, states: tuple[NodeState, ...]) -> None:
        reports = tuple(inventory.report(self._conf, state, abilities(host.driver)) for state in states)
        nodes = self._register(host, reports)
        by_name = {report.state.hypervisor_hostname: report for report in reports}
        for node in nodes:
            report = by_name[node.hypervisor_hostname]
            self._placement.set_inventory(node.uuid, node.hypervisor_hostname, report.inventory, report.state.traits)

    def _register(self, host: Host, reports: tuple[NodeReport, ...]) -> list[Node]:
        compute_id = self._compute_id.uuid if self._compute_id is not None else None
        report = HostReport(host=host.name, nodes=reports, listener=self._name, compute_id=compute_id)
        try:
            nodes = self._conductor.register_host(report)
        except errors.HostIdentityMismatch as error:
            # The daemon ends with it; see nova.daemon.
            self.refusal, self._is_proved = error.message, False
            raise
        self._prove(host, nodes)
        return nodes

    def _prove(self, host: Host, nodes: list[Node]) -> None:
        """This machine is its host: keep that; a host that was given another name says so of its disks."""
        if self._compute_id is None or len(nodes) != 1:
            return
        if self._compute_id.uuid not in (None, nodes[0].uuid):
            # A conductor of an older release does not look.
            self.refusal, self._is_proved = f"it is {self._compute_id.uuid}, and the host is {nodes[0].uuid}", False
            raise errors.HostIdentityMismatch(reason=self.refusal)
        former = self._compute_id.last_host
        if former not in (None, host.name) and isinstance(host.driver, HeldDisksOnHost):
            host.driver.rename_host(str(former), host.name)
        self._compute_id.keep(nodes[0].uuid, host.name)
        self._is_proved = True

    def _host_of(self, instance_id: str) -> Host:
        """The host that has a guest; with one host there is nothing to look for."""
        if len(self._hosts) == 1:
            return next(iter(self._hosts.values()))
        for host in self._hosts.values():
            try:
                host.driver.guest(instance_id)
            except errors.GuestNotFound:
                continue
            return host
        raise errors.GuestNotFound(guest=instance_id)

    def _cache(self, cache: ImageCache, image: Image) -> None:
        try:
            cache.fetch(image)
        except errors.DomainError as error:
            LOG.warning("image %s is not cached: %s", image.id, error)

    def _work_off(self, instance_id: str) -> None:
        """Do a server's orders one after the other."""
        while True:
            with self._lock:
                queue = self._queues[instance_id]
                if not queue:
                    del self._queues[instance_id]
                    return
                order = queue[0]
            answer = self._do(order) if self._is_wanted(order) else None
            with self._lock:
                queue.popleft()
                key = (order.operation_id, order.number)
                del self._known[key]
                if answer is not None:
                    self._answers[key] = answer
                while len(self._answers) > _REMEMBERED_ANSWERS:
                    self._answers.popitem(last=False)
            if answer is not None:
                self._give(answer)

    def _is_wanted(self, order: StepOrder) -> bool:
        """Whether an order that is about to be done still waits for its answer.

        One that waited here for long may have been given up, and what it was for undone on another host.
        """
        waited_s = time.monotonic() - self._known[order.operation_id, order.number]
        if waited_s <= _FRESH.total_seconds() and utcnow() <= order.answer_by:
            return True
        if self._is_unfinished(order):
            return True
        LOG.warning(
            "%s of server %s, which waited for %.0f s, is not done: nobody waits for it, or nobody can be asked",
            order.verb, order.instance_id, waited_s,
        )  # fmt: skip
        return False

    def _alone(self, instance_id: str, function: Callable[[], None]) -> None:
        """Call function unless a step of this server is under way; those that come meanwhile are done afterwards."""
        with self._lock:
            if instance_id in self._queues:
                return
            self._queues[instance_id].append(_OWN_WORK)
        try:
            function()
        finally:
            with self._lock:
                queue = self._queues[instance_id]
                queue.popleft()
                if not queue:
                    del self._queues[instance_id]
            if queue:
                self._pool.submit(instance_id, functools.partial(self._work_off, instance_id))

    def _do(self, order: StepOrder) -> StepAnswer:
        """Do one step. Every error becomes its answer."""
        log_context.follow(order.request_id, server_id=order.instance_id)
        answer = functools.partial(StepAnswer, operation_id=order.operation_id, number=order.number, host=order.host)
        try:
            verb = VERBS[order.verb]
            arguments = msgspec.json.decode(order.arguments, type=verb.arguments)
            result = verb.do(self._hosts[order.host], arguments)
        except errors.DomainError as error:
            LOG.info("%s of server %s: %s", order.verb, order.instance_id, error)
            details = msgspec.to_builtins(error.details, str_keys=True)
            return answer(error=type(error).__name__, message=error.message, details=details)
        except Exception as error:
            LOG.exception("%s of server %s", order.verb, order.instance_id)
            said = f"host {order.host}: {type(error).__name__}: {error}"
            failed = errors.GuestFailed(reason=f"'{order.verb}' failed on the server's host", detail=said)
            return answer(error="GuestFailed", message=failed.message, details=failed.details)
        return answer(result=msgspec.Raw(msgspec.json.encode(result)))

    def _give(self, answer: StepAnswer) -> None:
        try:
            self._conductor.step_answered(answer)
        except errors.Unavailable as error:
            LOG.warning("the answer of operation %s waits for the bus: %s", answer.operation_id, error)
