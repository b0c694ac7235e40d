"""The one way to libvirt: its calls block in C, break off when libvirtd goes, and speak in error numbers.

Whatever is reached through a Connection runs beside the green threads, and raises this project's
errors: Unavailable when libvirtd is gone, GuestNotFound, GuestFailed with libvirt's code for the rest. What libvirt
says names files and sockets of the host: it is for administrators.
"""

import logging
import threading
from collections.abc import Callable
from typing import Any

import libvirt

from nova import concurrency, errors

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

_loop_started = threading.Lock()


class Proxy:
    """A libvirt object whose methods run in a native thread and raise this project's errors."""

    def __init__(self, target: Any) -> None:
        self._target = target

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method = getattr(self._target, name)

        def call(*args: Any, **kwargs: Any) -> Any:
            plain = [_unwrap(arg) for arg in args]
            try:
                return _wrap(concurrency.run_blocking(method, *plain, **kwargs))
            except libvirt.libvirtError as error:
                raise translate(error) from error

        return call


class Connection:
    """A connection to one libvirtd that reconnects after a failure."""

    def __init__(self, uri: str) -> None:
        self.uri = uri
        self._raw: libvirt.virConnect | None = None
        self._lock = threading.Lock()

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
            self._drop()

    def read(self, method: str, *args: Any) -> Any:
        """Call a method of virConnect that changes nothing; once more when the connection just turned out broken."""
        try:
            return getattr(Proxy(self._alive()), method)(*args)
        except errors.Unavailable:
            return getattr(Proxy(self._alive()), method)(*args)

    def change(self, method: str, *args: Any) -> Any:
        """Call a method of virConnect that must not run twice."""
        # Reading first finds a broken connection while nothing is at stake.
        self.read("getLibVersion")
        return getattr(Proxy(self._alive()), method)(*args)

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
            if self._raw is not None and not concurrency.run_blocking(self._raw.isAlive):
                LOG.warning("the connection to libvirt at %s broke; making a new one", self.uri)
                self._drop()
            if self._raw is None:
                self._raw = self._connect()
            return self._raw

    def _connect(self) -> Any:
        _run_event_loop()
        try:
            raw = concurrency.run_blocking(libvirt.open, self.uri)
            # Notices a libvirtd that is there and does not answer.
            concurrency.run_blocking(raw.setKeepAlive, _KEEPALIVE_INTERVAL_S, _KEEPALIVE_COUNT)
        except libvirt.libvirtError as error:
            raise _unavailable(f"libvirt at {self.uri}: {error}") from error
        return raw

    def _drop(self) -> None:
        raw, self._raw = self._raw, None
        if raw is not None:
            try:
                concurrency.run_blocking(raw.close)
            except libvirt.libvirtError:
                LOG.debug("closing a broken connection", exc_info=True)


def translate(error: libvirt.libvirtError) -> errors.DomainError:
    """The domain error that says the same as an error of libvirt."""
    code = error.get_error_code()
    if code == libvirt.VIR_ERR_NO_DOMAIN:
        return errors.GuestNotFound(guest=error.get_str1() or "")
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


def _wrap(value: Any) -> Any:
    if isinstance(value, _RETURNED_TYPES):
        return Proxy(value)
    if isinstance(value, list) and value and isinstance(value[0], _RETURNED_TYPES):
        return [Proxy(item) for item in value]
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
