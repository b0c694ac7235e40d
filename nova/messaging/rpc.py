"""Typed calls over the message bus.

An interface is a class whose methods are declared with types and no bodies. client() makes an
object with those methods that sends each over the bus; serve() hands what arrives to an object that
implements them. Arguments and results travel as one JSON text each, so that a thousand servers cost
the bus one string. Domain errors arrive as what they were raised as.
"""

import contextlib
import inspect
import logging
import time
import typing
import weakref
from collections.abc import Callable
from typing import Any

import msgspec
import oslo_messaging
from kombu.exceptions import KombuError
from oslo_concurrency import lockutils
from oslo_concurrency import opts as concurrency_options
from oslo_config import cfg
from oslo_messaging import opts as messaging_options
from oslo_messaging._metrics import client as messaging_metrics
from oslo_messaging._tracing import client as messaging_tracing

from nova import concurrency, errors, log_context, metrics

LOG = logging.getLogger(__name__)

VERSION = "1.0"

# How long a call waits for somebody to listen, and between two tries.
_PATIENCE_S = 10.0
_PAUSE_S = 0.25
# Tries to reach a broker that is away, after 1, 3 and 5 seconds more: what waits for ever is no answer either.
_SENDING_RETRIES = 3

# The library lets its own library's errors through where it makes a connection.
_FAILURES = (oslo_messaging.MessagingException, oslo_messaging.MessageUndeliverable, KombuError)
_reached: weakref.WeakSet[oslo_messaging.Transport] = weakref.WeakSet()

_PING = "ping itself"
_PING_INTERVAL_S = 30.0


class BusFailure(errors.Unavailable):
    """The other side did not answer in time, or the bus did not take the message."""


class Method(msgspec.Struct, frozen=True):
    """One method of an interface: how its arguments and its result are encoded."""

    name: str
    arguments: type
    result: Any
    is_cast: bool
    is_fanout: bool


def cast(function: Callable[..., Any]) -> Callable[..., Any]:
    """Marks a method of an interface: the caller does not wait, and may lose the message."""
    function.is_cast = True  # type: ignore[attr-defined]
    return function


def fanout(function: Callable[..., Any]) -> Callable[..., Any]:
    """Marks a method of an interface: every server of the topic gets the message; nobody answers."""
    function.is_fanout = True  # type: ignore[attr-defined]
    return cast(function)


def methods(interface: type) -> dict[str, Method]:
    """The methods an interface declares, its bases' included."""
    found = {}
    for name, function in inspect.getmembers(interface, inspect.isfunction):
        if name.startswith("_"):
            continue
        hints = typing.get_type_hints(function)
        result = hints.pop("return", type(None))
        fields = []
        for parameter in list(inspect.signature(function).parameters.values())[1:]:
            kind = hints[parameter.name]
            if parameter.default is parameter.empty:
                fields.append((parameter.name, kind))
            else:
                fields.append((parameter.name, kind, msgspec.field(default=parameter.default)))
        fields.sort(key=len)
        found[name] = Method(
            name,
            msgspec.defstruct(f"{name}_arguments", fields, kw_only=True),
            result,
            getattr(function, "is_cast", False),
            getattr(function, "is_fanout", False),
        )
    return found


def transport(conf: cfg.ConfigOpts) -> oslo_messaging.Transport:
    """The bus named by [DEFAULT] transport_url.

    RabbitMQ's queues are quorum queues with stable names unless the file says otherwise: they
    survive a broker, and a restart leaves none behind. Their exchange is this service's own: others that share
    the broker declare theirs, `openstack` by default, otherwise, and one exchange cannot be both.
    """
    for group, options in messaging_options.list_opts():
        conf.register_opts(options, group=group)
    # oslo.messaging itself registers these on oslo.config's global alone, and reads them from ours.
    conf.register_opts(messaging_metrics.oslo_messaging_metrics, group="oslo_messaging_metrics")
    conf.register_opts(messaging_tracing.oslo_messaging_tracing, group="oslo_messaging_tracing")
    # The names of reply queues are counted in a file under a lock, whose path is read from the global too. To set
    # that changes the option itself, which then could not be registered again in the same process.
    if "oslo_concurrency" not in conf:
        for group, options in concurrency_options.list_opts():
            conf.register_opts(options, group=group)
    lockutils.set_defaults(conf.oslo_concurrency.lock_path or f"{conf.state_path}/tmp")
    for option in ("rabbit_quorum_queue", "rabbit_transient_quorum_queue", "use_queue_manager"):
        conf.set_default(option, True, group="oslo_messaging_rabbit")
    conf.set_default("control_exchange", "nova")
    return oslo_messaging.get_rpc_transport(conf)


def client(
    bus: oslo_messaging.Transport,
    topic: str,
    interface: type,
    server: str | None = None,
    timeout_s: float | None = None,
    service: str | None = None,
) -> Any:
    """An object with interface's methods; each is a message to topic (to one server of it, if named).

    A call takes at most timeout_s; [DEFAULT] rpc_response_timeout when unset. service: how those are called who
    answer, where the topic does not tell.
    """
    target = oslo_messaging.Target(topic=topic, server=server, version=VERSION)
    # A broker drops what no queue wants, and the caller would wait in vain: let it say so instead.
    routed = oslo_messaging.TransportOptions(at_least_once=True)
    options = {"timeout": timeout_s, "retry": _SENDING_RETRIES}
    sender = oslo_messaging.get_rpc_client(bus, target, transport_options=routed, **options)
    fanout_sender = oslo_messaging.get_rpc_client(bus, target, **options).prepare(fanout=True)
    namespace = {
        name: _stub(method, bus, fanout_sender if method.is_fanout else sender, topic, service or f"nova-{topic}")
        for name, method in methods(interface).items()
    }
    return type(f"{interface.__name__}Client", (), namespace)()


def part_of_patience(bus: oslo_messaging.Transport, part: float) -> float:
    """Seconds for a call whose caller is waited for itself: a part of [DEFAULT] rpc_response_timeout.

    Whoever waits longer than its own caller speaks to nobody.
    """
    return float(bus.conf.rpc_response_timeout) * part


def _stub(method: Method, bus: oslo_messaging.Transport, sender: Any, topic: str, service: str) -> Callable[..., Any]:
    names = [field.name for field in msgspec.structs.fields(method.arguments)]
    decode_result = msgspec.json.Decoder(method.result).decode
    encode = msgspec.json.Encoder().encode

    def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        arguments = dict(zip(names, args, strict=False)) | kwargs
        text = encode(arguments).decode()
        request = {"request_id": log_context.current()}
        try:
            if method.is_cast:
                sender.cast(request, "handle", name=method.name, arguments=text)
                return None
            _reach(bus, sender)
            answer = _call(sender, request, name=method.name, arguments=text)
        except _FAILURES as error:
            LOG.warning("%s to %s: %s", method.name, topic, str(error) or type(error).__name__)
            raise BusFailure(service=service, reason=_reason(error)) from error
        if "error" in answer:
            failure = answer["error"]
            raise errors.by_name(failure["type"])(failure["message"], **failure["details"])
        return decode_result(answer["result"])

    call.__name__ = method.name
    return call


def _reason(error: Exception) -> str:
    match error:
        case oslo_messaging.MessagingTimeout():
            return "it did not answer in time"
        case oslo_messaging.MessageUndeliverable():
            return "it is not there"
        case _:
            return "the message bus cannot be reached"


def _reach(bus: oslo_messaging.Transport, sender: Any) -> None:
    """See whether there is a broker, before the first call: what has no end is the library's wait for the
    connection on which answers come, and it is made once."""
    if bus not in _reached:
        with contextlib.suppress(oslo_messaging.MessageUndeliverable):
            sender.cast({}, "handle", name=_PING, arguments="{}")
        _reached.add(bus)


def _call(sender: Any, request: dict[str, Any], **message: Any) -> Any:
    """Send a call; one that nobody listens for yet is sent again for a while: daemons start in any order."""
    give_up = time.monotonic() + _PATIENCE_S
    while True:
        try:
            return sender.call(request, "handle", **message)
        except oslo_messaging.MessageUndeliverable:
            if time.monotonic() >= give_up:
                raise
            time.sleep(_PAUSE_S)


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
        self._server.start(override_pool_size=self._threads)

    def _ping_self(self) -> None:
        """Send a message through the own queue; after two that nobody heard, listen anew."""
        sender = oslo_messaging.get_rpc_client(self._bus, self._target, timeout=self.ping_timeout_s)
        try:
            sender.call({}, "handle", name=_PING, arguments="{}")
            self._unheard = 0
        except _FAILURES as error:
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
        self._calls = {
            name: (getattr(implementation, name), msgspec.json.Decoder(method.arguments).decode, method)
            for name, method in methods(interface).items()
        }

    def handle(self, context: dict[str, Any], name: str, arguments: str) -> dict[str, Any] | None:
        if name == _PING:
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
    return {"error": {"type": type(error).__name__, "message": error.message, "details": details}}
