"""The one way to libvirt: its calls block in C, break off when libvirtd goes, and speak in error numbers.

Whatever is reached through a Connection runs beside the green threads, is waited for no longer than it may take, and raises
this project's errors: Unavailable when libvirtd is gone or does not answer, GuestNotFound, GuestFailed with libvirt's
code for the rest. What libvirt says names files and sockets of the host: it is for administrators.
"""

import contextlib
import functools
import logging
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import libvirt
from oslo_config import cfg

from nova import concurrency, errors, metrics

LOG = logging.getLogger(__name__)

_KEEPALIVE_INTERVAL_S = 5
_KEEPALIVE_COUNT = 3
_RETURNED_TYPES = (
    libvirt.virDomain,
    libvirt.virConnect,
    libvirt.virStoragePool,
    libvirt.virStorageVol,
    libvirt.virStream,
)
_LOST_DOMAINS = (libvirt.VIR_FROM_RPC, libvirt.VIR_FROM_REMOTE)
_LOST_CODES = (libvirt.VIR_ERR_INTERNAL_ERROR, libvirt.VIR_ERR_SYSTEM_ERROR, libvirt.VIR_ERR_RPC)

# libvirt.open() knows no time-out, and keepalive begins after it.
_OPEN_S = 15.0
_CLOSE_S = 5.0
# Longer than libvirt itself waits for its turn at a guest (30 s) and for a QEMU to die (some 40 s).
_ANSWER_S = 90.0
# What moves a guest's memory to or from a disk, and what moves disks.
_MEMORY_S = 3600.0
_COPY_S = 6 * 3600.0
# What may take longer than _ANSWER_S. Jobs that libvirt only begins (backupBegin, blockCopy) are not among them.
_LONGER = {
    "create": _MEMORY_S,
    "managedSave": _MEMORY_S,
    "sparseRecvAll": _COPY_S,
    "finish": _COPY_S,
    # While libvirtd prepares a migration it answers when that is over; migration.py waits a second for it.
    "jobStats": None,
    # migration.py watches it and gives it up by a time of its own; keepalive ends it with its libvirtd.
    "migrateToURI3": None,
}

# libvirtd takes five requests of a client at a time (max_client_requests); the next waits until one is answered.
_PLACES = 4

_loop_started = threading.Lock()


@functools.cache
def _calls_to(uri: str) -> concurrency.BoundedCalls:
    """The calls to one libvirtd: what hangs in one says nothing of another."""
    return concurrency.BoundedCalls("libvirt")


class Proxy:
    """A libvirt object whose methods run in a native thread and raise this project's errors."""

    def __init__(self, target: Any, owner: "Connection") -> None:
        self._target = target
        self._owner = owner

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if not callable(getattr(self._target, name)):
            raise AttributeError(name)

        def call(*args: Any, **kwargs: Any) -> Any:
            plain = [_unwrap(arg) for arg in args]
            calls, label = _calls_to(self._owner.uri), self._label(name)
            timeout_s = _LONGER.get(name, _ANSWER_S)
            calls.check(label)
            began, outcome = time.perf_counter(), "error"
            try:
                with self._owner.place_for(self._target) as target:
                    answer = calls.run(timeout_s, label, getattr(target, name), *plain, **kwargs)
                outcome = "success"
                return _wrap(answer, self._owner)
            except libvirt.libvirtError as error:
                raise translate(error) from error
            finally:
                metrics.LIBVIRT.labels(name, outcome).observe(time.perf_counter() - began)

        return call

    def _label(self, name: str) -> str:
        of = f" of guest {self._target.UUIDString()}" if isinstance(self._target, libvirt.virDomain) else ""
        return f"{name}{of} at {self._owner.uri}"


class Connection:
    """The way to one libvirtd: a connection that is made anew after a failure, and when all its places are taken."""

    def __init__(self, uri: str) -> None:
        self.uri = uri
        self._raw: libvirt.virConnect | None = None
        self._lock = threading.Lock()
        self._opening = concurrency.SharedCall(self._connect)
        # How many requests of each connection wait for an answer. One that was given up waits on.
        self._busy: weakref.WeakKeyDictionary[libvirt.virConnect, int] = weakref.WeakKeyDictionary()

    def open(self, patience_s: float = 0.0) -> None:
        """Connect, waiting at most patience_s for libvirtd to come up. Raises errors.Unavailable."""
        lost: list[errors.Unavailable] = []

        def try_once() -> bool:
            try:
                self._alive()
            except errors.Unavailable as error:
                lost[:] = [error]
                return False
            return True

        if not concurrency.wait_for(try_once, patience_s, interval_s=0.2):
            raise lost[0]

    def close(self) -> None:
        """Disconnect; the next call connects again."""
        with self._lock:
            raw, self._raw = self._raw, None
        if raw is not None:
            try:
                _calls_to(self.uri).run(_CLOSE_S, f"close {id(raw)}", raw.close)
            except (libvirt.libvirtError, errors.Unavailable):
                LOG.debug("closing a broken connection", exc_info=True)

    @contextlib.contextmanager
    def place_for(self, target: Any) -> Iterator[Any]:
        """A place for a request, and target as it is to be asked there: guests that hang must hold up no other."""
        raw = target if isinstance(target, libvirt.virConnect) else target.connect()
        while not self._take_place(raw):
            if isinstance(target, libvirt.virConnect):
                raw = target = self._alive()
            elif isinstance(target, libvirt.virDomain):
                target = self.domain(target.UUIDString())._target
                raw = target.connect()
            else:
                # It has no other connection to go to.
                self._count(raw, 1)
                break
        try:
            yield target
        except errors.Unavailable:
            # The request still has its place.
            raise
        except BaseException:
            self._count(raw, -1)
            raise
        else:
            self._count(raw, -1)

    def read(self, method: str, *args: Any) -> Any:
        """Call a method of virConnect that changes nothing; once more when the connection just turned out broken."""
        try:
            return getattr(Proxy(self._alive(), self), method)(*args)
        except errors.Unavailable as error:
            if isinstance(error.__cause__, TimeoutError):
                raise
            return getattr(Proxy(self._alive(), self), method)(*args)

    def change(self, method: str, *args: Any) -> Any:
        """Call a method of virConnect that must not run twice."""
        # Reading first finds a broken connection while nothing is at stake.
        self.read("getLibVersion")
        return getattr(Proxy(self._alive(), self), method)(*args)

    def domain(self, uuid: str) -> Proxy:
        """The guest's domain. Raises errors.GuestNotFound, errors.Unavailable."""
        try:
            domain: Proxy = self.read("lookupByUUIDString", uuid)
            return domain
        except errors.GuestNotFound as error:
            raise errors.GuestNotFound(guest=uuid) from error

    def find(self, uuid: str) -> Proxy | None:
        """The guest's domain; None when libvirt has none."""
        try:
            return self.domain(uuid)
        except errors.GuestNotFound:
            return None

    def _alive(self) -> Any:
        with self._lock:
            raw = self._raw
        # Asks no libvirtd: it says whether this end has seen the other one go.
        if raw is not None and not concurrency.run_blocking(raw.isAlive):
            LOG.warning("the connection to libvirt at %s broke; making a new one", self.uri)
            with self._lock:
                raw = self._raw = None if self._raw is raw else self._raw
        if raw is not None and self._is_full(raw):
            with self._lock:
                # It closes by itself after the last call in it: to close it under a call is more than libvirt bears.
                raw = self._raw = None if self._raw is raw else self._raw
        return raw if raw is not None else self._open_within(_OPEN_S)

    def _is_full(self, raw: libvirt.virConnect) -> bool:
        with self._lock:
            return self._busy.get(raw, 0) >= _PLACES

    def _take_place(self, raw: libvirt.virConnect) -> bool:
        with self._lock:
            is_free = self._busy.get(raw, 0) < _PLACES
            if is_free:
                self._busy[raw] = self._busy.get(raw, 0) + 1
            return is_free

    def _count(self, raw: libvirt.virConnect, change: int) -> None:
        with self._lock:
            self._busy[raw] = self._busy.get(raw, 0) + change

    def _open_within(self, patience_s: float) -> Any:
        """One attempt at a time: a libvirtd that accepts connections and answers nothing gets no second one."""
        service = f"libvirt at {self.uri}"
        _calls_to(self.uri).check()
        _run_event_loop()
        try:
            self._opening.run(patience_s)
        except libvirt.libvirtError as error:
            raise _unavailable(f"{service}: {error}") from error
        except TimeoutError as error:
            raise _unavailable(f"{service} accepts no connection {error}") from error
        with self._lock:
            if self._raw is None:
                raise _unavailable(f"the connection to {service} broke again")
            return self._raw

    def _connect(self) -> None:
        """In a native thread: only libvirt is called here, and what it gave is kept whoever still waits for it."""
        if self._raw is not None:
            return
        raw = libvirt.open(self.uri)
        # Notices a libvirtd that is there and does not answer.
        raw.setKeepAlive(_KEEPALIVE_INTERVAL_S, _KEEPALIVE_COUNT)
        self._raw = raw


def uri_of_host(conf: cfg.ConfigOpts, name: str) -> str:
    """Another host's libvirtd, by its name or address."""
    template: str = conf.libvirt.live_migration_uri or f"qemu+{conf.libvirt.live_migration_scheme or 'tcp'}://%s/system"
    return template % name if "%s" in template else template


def translate(error: libvirt.libvirtError) -> errors.DomainError:
    """The domain error that says the same as an error of libvirt."""
    code = error.get_error_code()
    if code == libvirt.VIR_ERR_NO_DOMAIN:
        return errors.GuestNotFound(guest=error.get_str2() or "")
    lost = error.get_error_domain() in _LOST_DOMAINS and code in _LOST_CODES
    if lost or code in (libvirt.VIR_ERR_NO_CONNECT, libvirt.VIR_ERR_INVALID_CONN):
        return _unavailable(f"libvirt: {error}")
    return errors.GuestFailed(reason="The hypervisor failed", detail=str(error), code=code)


def _unavailable(detail: str) -> errors.Unavailable:
    return errors.Unavailable(service="The hypervisor", reason="it does not answer", detail=detail)


def _unwrap(value: Any) -> Any:
    if isinstance(value, list):
        return [_unwrap(item) for item in value]
    return value._target if isinstance(value, Proxy) else value


def _wrap(value: Any, owner: Connection) -> Any:
    if isinstance(value, _RETURNED_TYPES):
        return Proxy(value, owner)
    if isinstance(value, list) and value and isinstance(value[0], _RETURNED_TYPES):
        return [Proxy(item, owner) for item in value]
    return value


def _run_event_loop() -> None:
    """libvirt's own event loop serves keepalive; one per process, no callback of ours ever runs in it."""
    if not _loop_started.acquire(blocking=False):
        return
    libvirt.registerErrorHandler(lambda _context, _error: None, None)
    libvirt.virEventRegisterDefaultImpl()
    concurrency.spawn_native(_loop, name="libvirt-events")


def _loop() -> None:
    while True:
        libvirt.virEventRunDefaultImpl()
