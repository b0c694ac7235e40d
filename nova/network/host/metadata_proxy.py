"""Guests' way to the metadata service: a proxy that knows a guest by its network and address.

169.254.169.254 is an address in every network's namespace. The sockets that listen there are made inside the namespaces;
one server of this daemon serves them all. The metadata API is told which server asks as Neutron's agent tells it: by
headers of our own, signed, and by nothing that the guest has sent.
"""

import hashlib
import hmac
import http.client
import logging
import selectors
import socket
import tempfile
import threading
from collections import Counter, deque
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import quote

from oslo_config import cfg

from nova import errors
from nova.http.limits import Limits
from nova.http.server import HttpServer
from nova.http.wsgi import Environ, StartResponse, plain_fault
from nova.network.host import namespaces
from nova.privileged import sockets
from nova.privileged.separation import call
from nova.privileged.sockets import METADATA, PORT
from nova.privileged.tools import CommandFailed
from nova.rpc.network import NetworkingCalls

LOG = logging.getLogger(__name__)

_LIMITS = Limits(
    requests=100,
    connections=2000,
    connections_per_source=50,
    header_s=10,
    body_s=10,
    answer_s=30,
    idle_s=15,
    requests_per_connection=100,
    # The one document that a guest may write has 1020 bytes.
    body_bytes=4096,
)
# Open at once from one network, whose owner may have any number of addresses, and from all networks of one project.
_PER_NETWORK, _PER_PROJECT = 200, 400
_METHODS = ("GET", "HEAD", "POST")
_LARGEST_ANSWER = 16 * 1024 * 1024
_ANSWERS_WITHIN_S = 30
_LOOKS_FOR_S = 1.0


class MetadataProxy:
    """The proxy of one nova-network."""

    def __init__(self, conf: cfg.ConfigOpts, conductor: NetworkingCalls) -> None:
        self._conf = conf
        self._app = _Forwarding(conf, conductor)
        self._shares = Shares()
        self._listeners: _Listeners | None = None
        self._server: _Server | None = None

    def converge(self, spaces: Mapping[str, str], owners: Mapping[str, str]) -> None:
        """Listen in these namespaces, by network id, and in no others. owners: whose the networks are that one has alone."""
        self._shares.owners = owners
        if self._listeners is None:
            if not spaces:
                return
            self._listeners = _Listeners()
            self._server = _Server(self._listeners, self._app, _LIMITS, self._shares)  # type: ignore[arg-type]
            self._server.start()
            if not (self._conf.neutron.service_metadata_proxy and self._conf.neutron.metadata_proxy_shared_secret):
                LOG.warning(
                    "guests get no metadata: [neutron] service_metadata_proxy and metadata_proxy_shared_secret must be "
                    "set, here and at nova-api-metadata"
                )
        self._listeners.converge(spaces)

    def stop(self) -> None:
        if self._server and self._listeners:
            self._server.stop()
            self._listeners.converge({})
            self._server = self._listeners = None


class _Listeners:
    """The listening sockets of all networks, which accept as one: a source is ADDRESS%NETWORK and a port."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        self._lock = threading.Lock()
        self._sockets: dict[str, tuple[int, socket.socket]] = {}
        self._ready: deque[Any] = deque()
        self._timeout_s: float | None = None
        self._is_closed = False

    def converge(self, spaces: Mapping[str, str]) -> None:
        """What fails does not prevent the rest."""
        for network_id, (inode, _) in list(self._sockets.items()):
            if network_id not in spaces or namespaces.inode(spaces[network_id]) != inode:
                self._forget(network_id)
        for network_id in spaces.keys() - self._sockets.keys():
            try:
                sock = _listen(spaces[network_id])
            except (CommandFailed, OSError) as error:
                LOG.error("no metadata for guests of network %s: %s", network_id, error)
                continue
            with self._lock:
                self._sockets[network_id] = (namespaces.inode(spaces[network_id]), sock)
                self._selector.register(sock, selectors.EVENT_READ, network_id)

    def _forget(self, network_id: str) -> None:
        with self._lock:
            _, sock = self._sockets.pop(network_id)
            self._selector.unregister(sock)
            sock.close()

    # What of a socket a server uses.

    def getsockname(self) -> tuple[str, int]:
        return METADATA, PORT

    def settimeout(self, seconds: float | None) -> None:
        self._timeout_s = seconds

    def accept(self) -> tuple[socket.socket, tuple[str, int]]:
        while not self._is_closed:
            while self._ready:
                key = self._ready.popleft()
                try:
                    connection, (address, port) = key.fileobj.accept()
                except (BlockingIOError, OSError):
                    # Its client, or its network, went away meanwhile.
                    continue
                connection.setblocking(True)
                return connection, (f"{address}%{key.data}", port)
            # A socket that comes now is seen by the next look.
            events = self._selector.select(min(self._timeout_s or _LOOKS_FOR_S, _LOOKS_FOR_S))
            self._ready.extend(key for key, _ in events)
            if not events and self._timeout_s is not None:
                raise TimeoutError
        raise OSError("closed")

    def shutdown(self, how: int) -> None:
        self._is_closed = True

    def close(self) -> None:
        self._is_closed = True


def _listen(space: str) -> socket.socket:
    """A socket that listens for guests in a namespace. It comes through one of this process, from who may make it."""
    with (
        tempfile.TemporaryDirectory(prefix="nova-") as directory,
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as inbox,
    ):
        inbox.bind(f"{directory}/inbox")
        inbox.setblocking(False)
        call(sockets.listen, space, f"{directory}/inbox")
        _, [descriptor], _, _ = socket.recv_fds(inbox, 16, 1)
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM, fileno=descriptor)
    sock.setblocking(False)
    return sock


class _Server(HttpServer):
    """One that no network and no project can have for itself."""

    def __init__(self, sock: socket.socket, app: Any, limits: Limits, shares: "Shares") -> None:
        super().__init__(sock, app, limits, fault=plain_fault)
        self._shares = shares

    def _serve(self, sock: socket.socket, source: tuple[Any, ...]) -> None:
        counted = self._shares.take(source[0].partition("%")[2])
        if not counted:
            return
        try:
            super()._serve(sock, source)
        finally:
            self._shares.give_back(counted)


class Shares:
    """Counts the open connections of each network, and of each project that has networks of its own.

    A network that projects share is counted by itself: none of them shall keep the others out of all such networks.
    """

    def __init__(self) -> None:
        self.owners: Mapping[str, str] = {}
        self._lock = threading.Lock()
        self._open: Counter[tuple[str, str]] = Counter()

    def take(self, network_id: str) -> list[tuple[str, str]]:
        """Count a connection; what it was counted for, nothing when it is one too many."""
        mosts = {("network", network_id): _PER_NETWORK}
        if owner := self.owners.get(network_id):
            mosts["project", owner] = _PER_PROJECT
        with self._lock:
            if any(self._open[counted] >= most for counted, most in mosts.items()):
                return []
            self._open.update(mosts.keys())
        return list(mosts)

    def give_back(self, counted: list[tuple[str, str]]) -> None:
        with self._lock:
            self._open.subtract(counted)
            # Networks and projects come and go; those without connections are forgotten.
            for each in counted:
                if not self._open[each]:
                    del self._open[each]


class _Forwarding:
    """Says who asks, and passes on what is asked and what is answered."""

    def __init__(self, conf: cfg.ConfigOpts, conductor: NetworkingCalls) -> None:
        self._conf = conf
        self._store = conductor

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        address, _, network_id = environ["REMOTE_ADDR"].partition("%")
        if environ["REQUEST_METHOD"] not in _METHODS:
            return plain_fault(405, "The method is not allowed for this document.")(environ, start_response)
        try:
            guest = self._guest(network_id, address)
            if guest is None:
                return plain_fault(404, "No server is known by this request.")(environ, start_response)
            return self._pass_on(environ, start_response, address, *guest)
        except (errors.DomainError, OSError, http.client.HTTPException) as error:
            LOG.warning("%s on network %s gets no metadata: %s", address, network_id, error)
        return plain_fault(503, "The metadata of this server cannot be read now; try again.")(environ, start_response)

    def _guest(self, network_id: str, address: str) -> tuple[str, str] | None:
        """(server, project) of the one port with this address on this network, if it is a server's."""
        ports: list[Any] = self._store.networking("port", {"network_id": [network_id], "ip_address": [address]})
        guests = {(port.device_id, port.project_id) for port in ports if port.device_owner.startswith("compute:")}
        return guests.pop() if len(guests) == 1 else None

    def _pass_on(
        self, environ: Environ, start_response: StartResponse, address: str, server_id: str, project_id: str
    ) -> Iterable[bytes]:
        secret = self._conf.neutron.metadata_proxy_shared_secret
        headers = {
            "X-Forwarded-For": address,
            "X-Instance-ID": server_id,
            "X-Tenant-ID": project_id,
            "X-Instance-ID-Signature": hmac.new(secret.encode(), server_id.encode(), hashlib.sha256).hexdigest(),
        }
        if environ.get("CONTENT_TYPE"):
            headers["Content-Type"] = environ["CONTENT_TYPE"]
        path = quote(environ["PATH_INFO"].encode("latin-1"), safe="/:@!$&'()*+,;=~")
        query = environ.get("QUERY_STRING", "")
        target = f"{path}?{quote(query.encode('latin-1'), safe='/:@!$&()*+,;=~?%')}" if query else path
        connection = http.client.HTTPConnection(
            self._conf.metadata_host, self._conf.metadata_port, timeout=_ANSWERS_WITHIN_S
        )
        try:
            body = environ["wsgi.input"].read(_LIMITS.body_bytes)
            connection.request(environ["REQUEST_METHOD"], target, body=body or None, headers=headers)
            answer = connection.getresponse()
            content = answer.read(_LARGEST_ANSWER + 1)
        finally:
            connection.close()
        if len(content) > _LARGEST_ANSWER:
            raise errors.TooLarge()
        kept = [(name, value) for name, value in answer.getheaders() if name.lower() in ("content-type", "allow")]
        start_response(f"{answer.status} {answer.reason}", kept)
        return [content]
