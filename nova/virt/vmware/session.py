"""The one way to the vCenter: one session per daemon, which is begun anew when it has expired.

Whatever goes through a Session raises this project's errors: Unavailable while the vCenter does not answer or does not let us
in, DiskFull, GuestNotFound, GuestFailed for the rest. What only asks is asked again after a failure of the network. What
changes something is sent once: whether it has happened is found out by the next attempt of its step.
"""

import contextlib
import http.client
import logging
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from oslo_config import cfg
from pyVim import connect
from pyVmomi import vim, vmodl

from nova import errors

LOG = logging.getLogger(__name__)

T = TypeVar("T")

# No call of ours waits in the vCenter: what takes long is a task.
_ANSWER_S = 60
_LONGEST_PAUSE_S = 10.0
_FIRST_LOOK_S = 0.02
_BROKEN = (OSError, http.client.HTTPException)
_NO_ROOM = (vim.fault.NoDiskSpace, vim.fault.InsufficientStorageSpace)
_GONE = (vmodl.fault.ManagedObjectNotFound,)


class Session:
    """A daemon's session with the vCenter that [vmware] names. host: this nova-compute's, for its errors."""

    def __init__(self, conf: cfg.ConfigOpts, host: str) -> None:
        self._options = conf.vmware
        self._host = host
        self._lock = threading.Lock()
        self._stub: Any = None
        self._content: Any = None
        self._logins = 0

    def read(self, ask: Callable[[Any], T]) -> T:
        """ask(content of the service instance), which changes nothing; again after a failure of the network."""
        pause_s = 0.1
        for attempt in range(self._options.api_retry_count + 1):
            try:
                return self._call(ask)
            except _BROKEN as error:
                if attempt == self._options.api_retry_count or isinstance(error, ssl.SSLCertVerificationError):
                    raise _unavailable(str(error)) from error
                LOG.warning("the vCenter at %s does not answer: %s", self._options.host_ip, error)
            time.sleep(pause_s)
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
        raise AssertionError

    def change(self, act: Callable[[Any], T]) -> T:
        """act(content of the service instance), which must not run twice. Raises errors.Unavailable when nobody knows
        whether it has."""
        try:
            return self._call(act)
        except _BROKEN as error:
            raise _unavailable(str(error)) from error

    def task(self, act: Callable[[Any], Any]) -> Any:
        """Begin a task, and wait for its end; its result."""
        task = self.change(act)
        pause_s = _FIRST_LOOK_S
        while True:
            info = self.read(lambda _: task.info)
            if info.state == vim.TaskInfo.State.success:
                return info.result
            if info.state == vim.TaskInfo.State.error:
                with self._translated():
                    raise info.error
            time.sleep(pause_s)
            pause_s = min(2 * pause_s, self._options.task_poll_interval)

    def properties(self, objects: list[Any], kind: type, names: list[str]) -> list[tuple[Any, dict[str, Any]]]:
        """Some properties of some managed objects, in one question."""
        specs = [vmodl.query.PropertyCollector.ObjectSpec(obj=one) for one in objects]
        return self.collect(specs, kind, names) if specs else []

    def collect(self, specs: list[Any], kind: type, names: list[str]) -> list[tuple[Any, dict[str, Any]]]:
        """The properties of whatever the object specs lead to."""
        wanted = vmodl.query.PropertyCollector.FilterSpec(
            objectSet=specs, propSet=[vmodl.query.PropertyCollector.PropertySpec(type=kind, pathSet=names)]
        )
        options = vmodl.query.PropertyCollector.RetrieveOptions(maxObjects=self._options.maximum_objects)

        def ask(content: Any) -> list[Any]:
            collector = content.propertyCollector
            answer = collector.RetrievePropertiesEx([wanted], options)
            found = list(answer.objects) if answer is not None else []
            while answer is not None and answer.token:
                answer = collector.ContinueRetrievePropertiesEx(answer.token)
                found += answer.objects
            return found

        return [(one.obj, {value.name: value.val for value in one.propSet}) for one in self.read(ask)]

    def machine(self, moid: str) -> Any:
        """The virtual machine that another service calls by its managed object's id; nobody has looked whether it is there."""
        self.read(lambda content: content)
        return vim.VirtualMachine(moid, self._stub)

    def cookie(self) -> str:
        """What makes an HTTP request one of this session."""
        # Asked for first, so that the session is one that has not expired.
        self.read(lambda content: content.sessionManager.currentSession.key)
        return str(self._stub.cookie)

    def tls(self) -> ssl.SSLContext:
        """How the vCenter proves who it is."""
        if self._options.insecure and not self._options.ca_file:
            context = ssl.create_default_context()
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            return context
        return ssl.create_default_context(cafile=self._options.ca_file)

    def http(self, host: str | None = None, port: int | None = None) -> http.client.HTTPSConnection:
        """A connection for the content of files; to one of its hosts, where the vCenter names that ("*" is itself)."""
        options = self._options
        if host in (None, "*"):
            host, port = options.host_ip, options.host_port
        return http.client.HTTPSConnection(str(host), port or 443, timeout=_ANSWER_S, context=self.tls())

    def _call(self, function: Callable[[Any], T]) -> T:
        with self._translated():
            logins = self._logins
            content = self._content or self._log_in(logins)
            try:
                return function(content)
            except vim.fault.NotAuthenticated:
                # Nothing has happened: the session has expired, or the vCenter has been restarted.
                return function(self._log_in(logins))

    def _log_in(self, logins: int) -> Any:
        """The service's content, in a session that is begun unless somebody has been faster. logins: as the caller saw them."""
        with self._lock:
            if self._content is None or self._logins == logins:
                stub = self._stub = self._stub or self._connect()
                # What was got in the session before goes on in this one.
                stub.cookie = ""
                content: Any = vim.ServiceInstance("ServiceInstance", stub).RetrieveContent()
                content.sessionManager.Login(self._options.host_username, self._options.host_password, None)
                self._content = content
                self._logins += 1
            return self._content

    def _connect(self) -> Any:
        options = self._options
        try:
            make: Any = connect.SmartStubAdapter
            return make(
                host=options.host_ip,
                port=options.host_port,
                poolSize=options.connection_pool_size,
                sslContext=self.tls(),
                httpConnectionTimeout=_ANSWER_S,
            )
        except _BROKEN:
            raise
        except Exception as error:
            # pyVmomi's own, of no class of its own, where nothing answers.
            raise _unavailable(str(error)) from error

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except (vim.fault.InvalidLogin, vim.fault.NoPermission) as error:
            detail = type(error).__name__
            raise errors.Unavailable(
                service="The hypervisor", reason="it refuses this host's credentials", detail=detail
            ) from error
        except _NO_ROOM as error:
            raise errors.DiskFull(host=self._host) from error
        except _GONE as error:
            raise errors.GuestNotFound(guest=str(error.obj)) from error
        except vmodl.MethodFault as error:
            raise failure(error) from error


def failure(error: Any) -> errors.GuestFailed:
    """What a fault says, to administrators."""
    words = [type(error).__name__, error.msg, *(message.message or "" for message in error.faultMessage or ())]
    words += [
        str(value) for key in ("file", "property", "invalidProperty", "name") if (value := getattr(error, key, None))
    ]
    return errors.GuestFailed(
        reason="The hypervisor failed", detail=": ".join(word for word in words if word), fault=type(error).__name__
    )


def has_fault(error: errors.DomainError, *kinds: str) -> bool:
    """Whether an error stands for a fault of one of these kinds."""
    return str(error.details.get("fault", "")).rpartition(".")[2] in kinds


def _unavailable(detail: str) -> errors.Unavailable:
    return errors.Unavailable(service="The hypervisor", reason="it does not answer", detail=detail)
