"""Hands what arrives for a daemon to its implementation of a contract, and sees that the daemon hears at all."""

import functools
import logging
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import msgspec
import oslo_messaging

from nova import concurrency, errors, log_context, metrics, neighbours
from nova.readiness import LOOK_S, Check
from nova.rpc.bus import BUS, FAILURES, BusFailure, NotAnswered
from nova.rpc.client import tell_of_bus
from nova.rpc.declaration import PING, VERSION, Method, methods

LOG = logging.getLogger(__name__)

_PING_INTERVAL_S = 30.0
# Where somebody may ask whether this daemon hears, the answer is of now.
_WATCHED_INTERVAL_S = 2.5
# One ping that nobody heard may have been slow; after as long as this the queue is listened to anew.
_SILENCE_S, _GIVEN_UP_S = 6.0, 45.0


class Server:
    """Hands the messages of a topic to an implementation of its interface, in threads of its own."""

    def __init__(
        self,
        bus: oslo_messaging.Transport,
        topic: str,
        server: str,
        interface: type,
        implementation: Any,
        threads: int = 64,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        # Workers of one daemon have queues of their own, with names that stay.
        name = f"{server}.{concurrency.worker_number}" if concurrency.worker_number else server
        self._bus = bus
        self._target = oslo_messaging.Target(topic=topic, server=name, version=VERSION)
        self._endpoint = _Endpoint(interface, implementation)
        self._threads = threads
        self._server: Any = None
        self._ping: concurrency.Periodic | None = None
        self.queue = f"The queue {topic}.{name}"
        self._is_watched = bool(bus.conf.health_port)
        self._interval_s = _WATCHED_INTERVAL_S if self._is_watched else _PING_INTERVAL_S
        self._heard_at: float | None = None
        self._listens_since = 0.0
        self._clock = clock

    def start(self) -> None:
        self._listen()
        self._ping = concurrency.Periodic(
            self._interval_s, self._ping_self, f"ping of {self._target.topic}", at_once=self._is_watched
        )

    def stop(self) -> None:
        if self._ping:
            self._ping.stop()
        if self._server is not None:
            self._server.stop()
            self._server.wait()

    def check(self) -> Check:
        """Whether this server hears what is sent to it."""
        name = f"bus-{self._target.topic.partition('.')[0]}"
        return Check(name, self.queue, self._look, interval_s=1.0, behind=BUS)

    def heard(self) -> str:
        """When something last came through the own queue, in words."""
        return "not heard yet" if self._heard_at is None else f"heard {self._clock() - self._heard_at:.0f} s ago"

    def report(self) -> dict[str, object]:
        """For the state report."""
        return {self.queue: self.heard()}

    def _look(self) -> None:
        if self._heard_at is None:
            silent = BusFailure(service=BUS, reason="nothing has come through this daemon's own queue yet")
            # A broker that is away is told of by whoever connects to it; a daemon that starts hears soon.
            silent.is_logged = True
            raise silent
        silent_s = self._clock() - self._heard_at
        if silent_s > _SILENCE_S:
            raise BusFailure(service=BUS, reason=f"nothing came through this daemon's own queue for {silent_s:.0f} s")

    def _listen(self) -> None:
        self._server = oslo_messaging.get_rpc_server(
            self._bus,
            self._target,
            [self._endpoint],
            executor=concurrency.executor_name(),
            access_policy=oslo_messaging.DefaultRPCAccessPolicy,
        )
        # The library's own pool begins a thread for each call up to its size; every one of them wakes once a second as
        # long as the daemon lives, and keeps whoever stops it for that second.
        self._server._executor_cls = functools.partial(ThreadPoolExecutor, thread_name_prefix=self._target.topic)
        self._server.start(override_pool_size=self._threads)
        self._listens_since = self._clock()

    def _ping_self(self) -> None:
        """Send a message through the own queue; when none was heard for long, listen anew."""
        timeout_s = LOOK_S if self._is_watched else self._interval_s / 2
        sender = oslo_messaging.get_rpc_client(self._bus, self._target, timeout=timeout_s, retry=1)
        try:
            sender.call({}, "handle", name=PING, arguments="{}")
        except FAILURES as error:
            tell_of_bus(error)
            neighbours.lost(self.queue, str(error) or type(error).__name__, behind=BUS)
            metrics.DEAF.labels(self._target.topic).set(1)
            self._listen_anew()
        else:
            self._heard_at = self._clock()
            neighbours.answered(self.queue)
            neighbours.answered(BUS)
            metrics.DEAF.labels(self._target.topic).set(0)

    def _listen_anew(self) -> None:
        now = self._clock()
        if now - max(self._heard_at or 0.0, self._listens_since) >= _GIVEN_UP_S:
            LOG.warning("listening to %s anew", self.queue)
            self._server.stop()
            self._listen()


class _Endpoint:
    target = oslo_messaging.Target(version=VERSION)

    def __init__(self, interface: type, implementation: Any) -> None:
        self._encode = msgspec.json.Encoder().encode
        self._calls: dict[str, tuple[Callable[..., Any], Callable[[str], Any], Method]] = {
            name: (getattr(implementation, name), msgspec.json.Decoder(method.arguments).decode, method)
            for name, method in methods(interface).items()
        }

    def handle(self, context: dict[str, Any], name: str, arguments: str) -> dict[str, Any] | None:
        if name == PING:
            return {"result": "null"}
        log_context.follow(context.get("request_id"))
        began = time.perf_counter()
        answer = self._handle(name, arguments)
        outcome = "error" if answer is not None and "error" in answer else "ok"
        metrics.CALLS.labels(name, outcome).observe(time.perf_counter() - began)
        return answer

    def _handle(self, name: str, arguments: str) -> dict[str, Any] | None:
        try:
            function, decode, declared = self._calls[name]
        except KeyError:
            LOG.error("a peer asks for %s, which this release does not have", name)
            return _failure(errors.DomainError(f"This release does not have {name}."))
        try:
            struct = decode(arguments)
            result = function(**{field: getattr(struct, field) for field in struct.__struct_fields__})
        except errors.DomainError as error:
            if declared.is_cast:
                LOG.warning("%s: %s", name, error)
            return _failure(error)
        except Exception:
            LOG.exception("%s failed", name)
            return _failure(errors.DomainError())
        if declared.is_cast:
            return None
        return {"result": self._encode(result).decode()}


def _failure(error: errors.DomainError) -> dict[str, Any]:
    details = msgspec.to_builtins(error.details, str_keys=True)
    # Somebody else did not answer us: what our caller asked for is not done, and it may take back what it made for it.
    kind = BusFailure if isinstance(error, NotAnswered) else type(error)
    return {"error": {"type": kind.__name__, "message": error.message, "details": details}}
