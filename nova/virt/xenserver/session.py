"""The one session of a daemon with a pool: renewed when it is lost, and moved when the pool has another master."""

import contextlib
import http.client
import logging
import re
import ssl
import threading
import time
import urllib.parse
import xmlrpc.client
from collections.abc import Callable, Iterator
from typing import Any

import XenAPI
from oslo_config import cfg

from nova import concurrency, errors
from nova.virt.xenserver.wire import Line

LOG = logging.getLogger(__name__)

NULL = "OpaqueRef:NULL"
GONE = ("HANDLE_INVALID", "UUID_INVALID")
"""The codes for an object that is not there (any more)."""

_ORIGINATOR = "nova-compute"
_API_VERSION = "2.0"
_MOST_REDIRECTIONS = 4
_NO_ANSWER = (OSError, http.client.HTTPException, xmlrpc.client.Error)
# Nothing was done, and nothing can be done here now: it is for the operator, or for later.
_AWAY = {"HOST_STILL_BOOTING", "HOST_OFFLINE", "HOST_NOT_LIVE", "POOL_EMERGENCY", "HOST_IS_SLAVE"}
_BUSY = "OTHER_OPERATION_IN_PROGRESS"
_BUSY_S = 30.0
_NO_ROOM = {"SR_FULL", "SR_BACKEND_FAILURE_44"}
_REFUSED = {"HOST_NOT_ENOUGH_FREE_MEMORY", "HOST_DISABLED", "HOST_DISABLED_UNTIL_REBOOT", "NO_HOSTS_AVAILABLE"}
_REFUSED |= {"VM_REQUIRES_SR", "VM_REQUIRES_NETWORK", "HOST_IN_EMERGENCY_MODE", "VM_INCOMPATIBLE_WITH_THIS_HOST"}
_READS = re.compile(r"\w+\.get_\w+|event\.from|host\.compute_free_memory")
_VALUE = re.compile(r"<value>(.*)</value>", re.DOTALL)
_POLL_S = 0.2


class Session:
    """Calls of the management API. Raises errors.Unavailable, HostRefused, DiskFull, and GuestFailed
    with the toolstack's code.

    At most [xenserver] connection_concurrent calls are under way; each has a line of its own.
    """

    def __init__(self, conf: cfg.ConfigOpts, host: str) -> None:
        options = conf.xenserver
        self._options = options
        self._host = host
        self.url: str = (options.connection_url or "").rstrip("/")
        # And one to wait for events.
        self._places = threading.BoundedSemaphore(options.connection_concurrent + 1)
        self._lock = threading.Lock()
        self._logging_in = threading.Lock()
        self._idle: list[Line] = []
        self._handle: str | None = None
        # Where the master was last found: the configured host is asked again when that one is away.
        self._master_url = self.url

    @property
    def handle(self) -> str:
        """The session's reference, for what travels outside of calls. Raises errors.Unavailable."""
        return self._handle or self._log_in(None)

    @property
    def master_url(self) -> str:
        return self._master_url

    def context(self) -> ssl.SSLContext | None:
        """How the toolstack proves itself; None where the URL is plain HTTP."""
        if not self.url.startswith("https:"):
            return None
        context = ssl.create_default_context(cafile=self._options.ca_file)
        if self._options.insecure:
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        return context

    def call(self, name: str, *arguments: Any) -> Any:
        """A call's value. What only reads is sent again when it has no answer; a change may or may not have been
        made then, which errors.Unavailable tells."""
        try:
            return self._call_when_free(name, arguments)
        except errors.Unavailable as error:
            has_broken = isinstance(error.__cause__, _NO_ANSWER) and not isinstance(error.__cause__, TimeoutError)
            if not has_broken or not _READS.fullmatch(name):
                raise
            LOG.info("%s is asked again: %s", name, error)
        return self._call_when_free(name, arguments)

    def run(
        self, name: str, *arguments: Any, timeout_s: float = 3600.0, watch: Callable[[float], bool] = lambda share: True
    ) -> Any:
        """A call that takes its time, as a task of the pool that is looked at until it ends.

        watch is told which share of it is done, again and again; when it says False the task is asked to end.
        """
        deadline = time.monotonic() + timeout_s
        patience = time.monotonic() + _BUSY_S
        while True:
            record = self._wait_for(name, self.call(f"Async.{name}", *arguments), deadline, timeout_s, watch)
            if record["status"] == "success":
                value = _VALUE.fullmatch(record["result"])
                return value.group(1) if value else ""
            details = _failure(record)
            if details[0] != _BUSY or time.monotonic() > patience:
                raise self.translate(name, details)
            time.sleep(_POLL_S)

    @contextlib.contextmanager
    def task(self, name: str, timeout_s: float = 3600.0) -> Iterator[str]:
        """A task for what travels outside of calls. The block's end waits until the task has ended, too.

        Raises what the task failed with.
        """
        task = str(self.call("task.create", name, ""))
        try:
            yield task
        except BaseException:
            for verb in ("cancel", "destroy"):
                with contextlib.suppress(errors.DomainError):
                    self.call(f"task.{verb}", task)
            raise
        record = self._wait_for(name, task, time.monotonic() + timeout_s, timeout_s, lambda share: True)
        if record["status"] != "success":
            raise self.translate(name, _failure(record))

    def _wait_for(
        self, name: str, task: str, deadline: float, timeout_s: float, watch: Callable[[float], bool]
    ) -> dict[str, Any]:
        """The record of a task that has ended."""
        record: dict[str, Any]
        while True:
            try:
                record = self.call("task.get_record", task)
            except errors.Unavailable as error:
                if time.monotonic() > deadline:
                    raise
                LOG.info("task %s is looked at later: %s", task, error)
                time.sleep(1)
                continue
            if record["status"] not in ("pending", "cancelling"):
                break
            if not watch(float(record["progress"])) and record["status"] == "pending":
                with contextlib.suppress(errors.DomainError):
                    self.call("task.cancel", task)
            if time.monotonic() > deadline:
                with contextlib.suppress(errors.DomainError):
                    self.call("task.cancel", task)
                raise errors.GuestFailed(reason=f"The hypervisor did not end in {timeout_s:.0f} s", detail=name)
            time.sleep(_POLL_S)
        with contextlib.suppress(errors.DomainError):
            self.call("task.destroy", task)
        return record

    def close(self) -> None:
        """End the session; no error when the pool does not answer."""
        with self._lock:
            handle, self._handle = self._handle, None
            lines, self._idle = self._idle, []
        for number, line in enumerate(lines):
            with contextlib.suppress(XenAPI.Failure, *_NO_ANSWER):
                if handle is not None and number == 0:
                    line.send("session.logout", handle)
            line.close()

    def translate(self, name: str, details: list[str]) -> errors.DomainError:
        """The error of ours that says the same as a refusal of the toolstack."""
        code, detail = details[0], f"{name}: {' '.join(map(str, details))}"[:1000]
        if code in _NO_ROOM:
            return errors.DiskFull(host=self._host)
        if code in _REFUSED:
            return errors.HostRefused(host=self._host, reason="the hypervisor cannot take the guest", detail=detail)
        if code in _AWAY or code == _BUSY:
            return _unavailable("it is not ready", detail)
        return errors.GuestFailed(reason="The hypervisor failed", detail=detail, code=code)

    def _call_when_free(self, name: str, arguments: tuple[Any, ...]) -> Any:
        """A guest does one thing at a time: what a killed nova-compute has begun ends first."""
        deadline = time.monotonic() + _BUSY_S
        while True:
            try:
                return self._call_in_session(name, arguments)
            except XenAPI.Failure as failure:
                if failure.details[0] != _BUSY or time.monotonic() > deadline:
                    raise self.translate(name, failure.details) from failure
                time.sleep(_POLL_S)

    def _call_in_session(self, name: str, arguments: tuple[Any, ...]) -> Any:
        for _ in range(_MOST_REDIRECTIONS):
            handle = self._handle or self._log_in(None)
            try:
                with self._line() as line:
                    return line.send(name, handle, *arguments)
            except XenAPI.Failure as failure:
                # Both were said before anything was done.
                if failure.details[0] == "HOST_IS_SLAVE":
                    self._follow(failure.details[1])
                elif failure.details[0] != "SESSION_INVALID":
                    raise
                self._log_in(handle)
            except _NO_ANSWER as error:
                # The master may be another host by the next time.
                self._forget_master()
                raise _unavailable("it does not answer", f"{name}: {error!r}") from error
        raise _unavailable("its session does not last", name)

    def _log_in(self, lost: str | None) -> str:
        """A session in place of the one that was lost. One attempt at a time serves all who wait."""
        with self._logging_in:
            if self._handle is not None and self._handle != lost:
                return self._handle
            self._handle = None
            for _ in range(_MOST_REDIRECTIONS):
                try:
                    self._handle = self._try_to_log_in()
                    return self._handle
                except XenAPI.Failure as failure:
                    if failure.details[0] != "HOST_IS_SLAVE":
                        raise _unavailable("it refuses nova-compute", " ".join(failure.details)) from failure
                    self._follow(failure.details[1])
                except _NO_ANSWER as error:
                    self._forget_master()
                    raise _unavailable("it does not answer", repr(error)) from error
            raise _unavailable("its hosts do not agree which is the master", self.url)

    def _try_to_log_in(self) -> str:
        options = self._options
        if not self.url:
            raise _unavailable("it is not configured", "[xenserver] connection_url is not set")
        line = Line(self._master_url, options.login_timeout, self.context())
        try:
            words = (options.connection_username, options.connection_password or "", _API_VERSION, _ORIGINATOR)
            return str(line.send("session.login_with_password", *words))
        finally:
            line.close()

    def _follow(self, address: str) -> None:
        """The master is at another address, with the scheme and port that the configured host has."""
        parts = urllib.parse.urlsplit(self.url)
        netloc = f"[{address}]" if ":" in address else address
        netloc += f":{parts.port}" if parts.port else ""
        self._master_url = f"{parts.scheme}://{netloc}"
        LOG.info("the pool's master is %s", self._master_url)

    def _forget_master(self) -> None:
        if self._master_url != self.url:
            LOG.warning("the pool's master, %s, does not answer: asking %s", self._master_url, self.url)
            self._master_url, self._handle = self.url, None

    @contextlib.contextmanager
    def _line(self) -> Iterator[Line]:
        if not concurrency.wait_for(lambda: self._places.acquire(blocking=False), self._options.request_timeout):
            raise _unavailable("it is busy", "all of [xenserver] connection_concurrent calls wait for answers")
        try:
            with self._lock:
                line = self._idle.pop() if self._idle else None
            if line is None or line.url != self._master_url:
                line = Line(self._master_url, self._options.request_timeout, self.context())
            try:
                yield line
            except XenAPI.Failure:
                self._keep(line)
                raise
            self._keep(line)
        finally:
            self._places.release()

    def _keep(self, line: Line) -> None:
        with self._lock:
            self._idle.append(line)


def _failure(record: dict[str, Any]) -> list[str]:
    """What a task failed with: a code and its parameters."""
    return record["error_info"] or ["INTERNAL_ERROR", record["status"]]


def code_of(error: errors.DomainError) -> str:
    """The toolstack's own code in an error; empty where it gave none."""
    return str(error.details.get("code", ""))


@contextlib.contextmanager
def unless(*codes: str) -> Iterator[None]:
    """What the toolstack refuses with one of these codes is as good as done."""
    try:
        yield
    except errors.GuestFailed as error:
        if code_of(error) not in codes:
            raise


def _unavailable(reason: str, detail: str) -> errors.Unavailable:
    return errors.Unavailable(service="The hypervisor", reason=reason, detail=detail)
