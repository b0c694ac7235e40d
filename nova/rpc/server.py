"""Hands what arrives for a daemon to its implementation of a contract, and sees that the daemon hears at all."""

import functools
import logging
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import msgspec
import oslo_messaging

from nova import concurrency, errors, log_context, metrics
from nova.rpc.bus import FAILURES, BusFailure, NotAnswered
from nova.rpc.declaration import PING, VERSION, Method, methods

LOG = logging.getLogger(__name__)

_PING_INTERVAL_S = 30.0


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
    ) -> None:
        # Workers of one daemon have queues of their own, with names that stay.
        name = f"{server}.{concurrency.worker_number}" if concurrency.worker_number else server
        self._bus = bus
        self._target = oslo_messaging.Target(topic=topic, server=name, version=VERSION)
        self._endpoint = _Endpoint(interface, implementation)
        self._threads = threads
        self._server: Any = None
        self._ping: concurrency.Periodic | None = None
        self._unheard = 0
        self.ping_timeout_s = _PING_INTERVAL_S / 2

    def start(self) -> None:
        self._listen()
        self._ping = concurrency.Periodic(_PING_INTERVAL_S, self._ping_self, f"ping of {self._target.topic}")

    def stop(self) -> None:
        if self._ping:
            self._ping.stop()
        self._server.stop()
        self._server.wait()

    def checks(self) -> dict[str, bool]:
        """Whether this server hears what is sent to it."""
        return {f"hears {self._target.topic}": self._unheard == 0}

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

    def _ping_self(self) -> None:
        """Send a message through the own queue; after two that nobody heard, listen anew."""
        sender = oslo_messaging.get_rpc_client(self._bus, self._target, timeout=self.ping_timeout_s)
        try:
            sender.call({}, "handle", name=PING, arguments="{}")
            self._unheard = 0
        except FAILURES as error:
            self._unheard += 1
            LOG.error("this daemon does not hear %s.%s: %s", self._target.topic, self._target.server, error)
        metrics.DEAF.labels(self._target.topic).set(self._unheard > 0)
        if self._unheard >= 2:
            LOG.error("listening to %s.%s anew", self._target.topic, self._target.server)
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
