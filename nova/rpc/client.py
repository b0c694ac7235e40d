"""Calls over the bus: an object with a contract's methods, each of which is a message.

Domain errors arrive as what they were raised as; what the bus cannot do is BusFailure.
"""

import contextlib
import logging
import time
import weakref
from collections.abc import Callable
from typing import Any

import msgspec
import oslo_messaging

from nova import errors, log_context, metrics, neighbours
from nova.rpc.bus import BUS, FAILURES, BusFailure, NotAnswered
from nova.rpc.declaration import PING, VERSION, Method, methods

LOG = logging.getLogger(__name__)

# How long a call waits for somebody to listen, and between two tries.
_PATIENCE_S = 10.0
_PAUSE_S = 0.25
# Tries to reach a broker that is away, after 1, 3 and 5 seconds more: what waits for ever is no answer either.
_SENDING_RETRIES = 3

_reached: weakref.WeakSet[oslo_messaging.Transport] = weakref.WeakSet()


def make_client(
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


def _stub(method: Method, bus: oslo_messaging.Transport, sender: Any, topic: str, service: str) -> Callable[..., Any]:
    names = method.arguments.__struct_fields__
    decode_result = msgspec.json.Decoder(method.result).decode
    encode = msgspec.json.Encoder().encode

    def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        arguments = dict(zip(names, args, strict=False)) | kwargs
        text = encode(arguments).decode()
        request = {"request_id": log_context.current()}
        began = time.perf_counter()
        try:
            if method.is_cast:
                sender.cast(request, "handle", name=method.name, arguments=text)
                return None
            _reach(bus, sender)
            answer = _call(sender, request, name=method.name, arguments=text)
        except FAILURES as error:
            metrics.ASKED.labels(service, method.name, "away").observe(time.perf_counter() - began)
            raise _failure(error, method, topic, service) from error
        neighbours.answered(BUS)
        neighbours.answered(f"The topic {topic}")
        outcome = "error" if "error" in answer else "ok"
        metrics.ASKED.labels(service, method.name, outcome).observe(time.perf_counter() - began)
        if outcome == "error":
            failure = answer["error"]
            raise errors.by_name(failure["type"])(failure["message"], **failure["details"])
        return decode_result(answer["result"])

    call.__name__ = method.name
    return call


def _failure(error: Exception, method: Method, topic: str, service: str) -> BusFailure:
    """What a caller is told. Who is not there is told to the log once; a call that took too long, each time."""
    said, reason = str(error) or type(error).__name__, reason_of(error)
    if isinstance(error, oslo_messaging.MessagingTimeout):
        LOG.warning("%s to %s: %s", method.name, topic, said)
        return NotAnswered(service=service, reason=reason)
    LOG.debug("%s to %s: %s", method.name, topic, said)
    away = BusFailure(service=service, reason=reason)
    away.is_logged = True
    tell_of_bus(error)
    if isinstance(error, oslo_messaging.MessageUndeliverable):
        neighbours.lost(f"The topic {topic}", "nobody listens there")
    return away


def tell_of_bus(error: Exception) -> None:
    """Let the log know when a message came to nothing because the bus itself is away."""
    if not isinstance(error, oslo_messaging.MessagingTimeout | oslo_messaging.MessageUndeliverable):
        neighbours.lost(BUS, str(error) or type(error).__name__)


def reason_of(error: Exception) -> str:
    """What users are told of a message that came to nothing."""
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
            sender.cast({}, "handle", name=PING, arguments="{}")
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
