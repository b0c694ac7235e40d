"""local:// - a message bus inside one process, as an oslo.messaging driver.

For nova-all and the tests. A message is handed to its queue at once (oslo.messaging's fake://
polls every 50 ms). Queues of one URL are shared by the whole process; another path in the URL
(local:///other) is another bus.
"""

import itertools
import queue
import threading
import time
from collections import defaultdict
from typing import Any

import oslo_messaging
from oslo_messaging._drivers import base


class _Incoming(base.RpcIncomingMessage):
    def __init__(
        self,
        context: Any,
        message: Any,
        reply_to: "queue.SimpleQueue[Any] | None" = None,
        timeout: float | None = None,
    ) -> None:
        super().__init__(context, message)
        self._reply_to = reply_to
        self._expires_at = None if timeout is None else time.monotonic() + timeout

    def has_expired(self) -> bool:
        """Whether its sender has given it up, and been told so: to do it now would be a surprise."""
        return self._expires_at is not None and time.monotonic() >= self._expires_at

    def reply(self, reply: Any = None, failure: Any = None) -> None:
        if self._reply_to is not None:
            self._reply_to.put((reply, failure[1] if failure else None))

    def acknowledge(self) -> None:
        """A queue in memory forgets a message when it hands it out."""

    def requeue(self) -> None:
        raise NotImplementedError("a message on a local bus is delivered once")

    def heartbeat(self) -> None:
        """A caller in the same process sees for itself that the callee lives."""


class _Listener(base.PollStyleListener):
    """One server's ears: its topic's shared queue and its own queue, drained into one."""

    def __init__(self, bus: "_Bus", names: list[str]) -> None:
        super().__init__()
        self._bus = bus
        self._names = names
        self._messages: queue.SimpleQueue[_Incoming | None] = queue.SimpleQueue()
        self._stopped = False
        for name in names:
            bus.subscribe(name, self._messages)

    @base.batch_poll_helper
    def poll(self, timeout: float | None = None) -> _Incoming | None:
        if self._stopped:
            return None
        try:
            message = self._messages.get(timeout=timeout)
        except queue.Empty:
            return None
        return None if message is None or message.has_expired() else message

    def stop(self) -> None:
        self._stopped = True
        for name in self._names:
            self._bus.unsubscribe(name, self._messages)
        self._messages.put(None)


class _Bus:
    """Who listens to which name. A name's listeners take turns; without one, messages wait."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._listeners: dict[str, list[queue.SimpleQueue[_Incoming | None]]] = defaultdict(list)
        self._waiting: dict[str, list[_Incoming]] = defaultdict(list)
        self._turn = itertools.count()
        # By name, and by call where only messages that ask for this one are to be lost.
        self._to_lose: dict[tuple[str, str | None], int] = defaultdict(int)

    def lose(self, name: str, count: int = 1, call: str | None = None) -> None:
        """Lose the next messages to a name, as a broker that dies does; their senders' time to wait is over at once.

        call: only those that ask for it.
        """
        with self._lock:
            self._to_lose[name, call] = count

    def lose_nothing(self) -> None:
        """Lose no more of what is still to come."""
        with self._lock:
            self._to_lose.clear()

    def subscribe(self, name: str, messages: "queue.SimpleQueue[_Incoming | None]") -> None:
        with self._lock:
            self._listeners[name].append(messages)
            for message in self._waiting.pop(name, ()):
                messages.put(message)

    def unsubscribe(self, name: str, messages: "queue.SimpleQueue[_Incoming | None]") -> None:
        with self._lock:
            if messages in self._listeners[name]:
                self._listeners[name].remove(messages)

    def deliver(self, name: str, message: _Incoming) -> bool:
        """Whether the message has reached its queue."""
        with self._lock:
            for lost in ((name, None), (name, message.message.get("args", {}).get("name"))):
                if self._to_lose[lost]:
                    self._to_lose[lost] -= 1
                    return False
            listeners = self._listeners[name]
            if listeners:
                listeners[next(self._turn) % len(listeners)].put(message)
            else:
                self._waiting[name].append(message)
            return True

    def deliver_to_all(self, name: str, make: Any) -> None:
        with self._lock:
            for listener in self._listeners[name]:
                listener.put(make())


_buses: dict[str, _Bus] = defaultdict(_Bus)
_buses_lock = threading.Lock()


def bus_of(url: str) -> _Bus:
    """The bus behind a transport URL."""
    with _buses_lock:
        return _buses[url]


class LocalDriver(base.BaseDriver):
    """The driver behind transport_url = local://"""

    def __init__(self, conf: Any, url: Any, default_exchange: Any = None, allowed_remote_exmods: Any = None) -> None:
        super().__init__(conf, url, default_exchange, allowed_remote_exmods)
        self._bus = bus_of(str(url))

    def send(
        self,
        target: Any,
        ctxt: Any,
        message: Any,
        wait_for_reply: bool | None = None,
        timeout: float | None = None,
        call_monitor_timeout: float | None = None,
        retry: int | None = None,
        transport_options: Any = None,
    ) -> Any:
        if target.fanout:
            self._bus.deliver_to_all(_fanout(target.topic), lambda: _Incoming(ctxt, message))
            return None
        name = f"{target.topic}.{target.server}" if target.server else target.topic
        answers: queue.SimpleQueue[Any] | None = queue.SimpleQueue() if wait_for_reply else None
        has_arrived = self._bus.deliver(name, _Incoming(ctxt, message, answers, timeout if wait_for_reply else None))
        if answers is None:
            return None
        try:
            reply, failure = answers.get(timeout=timeout if has_arrived else 0)
        except queue.Empty:
            raise oslo_messaging.MessagingTimeout(f"no answer from {name} within {timeout} s") from None
        if failure is not None:
            raise failure
        return reply

    def send_notification(self, target: Any, ctxt: Any, message: Any, version: Any, retry: Any = None) -> None:
        self._bus.deliver_to_all(target.topic, lambda: _Incoming(ctxt, message))

    def listen(self, target: Any, batch_size: int, batch_timeout: float | None) -> Any:
        names = [target.topic, f"{target.topic}.{target.server}", _fanout(target.topic)]
        return base.PollStyleListenerAdapter(_Listener(self._bus, names), batch_size, batch_timeout)

    def listen_for_notifications(
        self, targets_and_priorities: Any, pool: Any, batch_size: int, batch_timeout: float | None
    ) -> Any:
        names = [f"{target.topic}.{priority}" for target, priority in targets_and_priorities]
        return base.PollStyleListenerAdapter(_Listener(self._bus, names), batch_size, batch_timeout)

    def cleanup(self) -> None:
        """Nothing is held that the listeners do not give back themselves."""


def _fanout(topic: str) -> str:
    return f"{topic}_fanout"
