"""nova-novncproxy and nova-spicehtml5proxy: carry guests' screens to browsers over websockets.

A proxy serves the viewer's page and, to whoever holds a good token, one guest's console. It knows no
guest itself: nova-consoleauth says where a token leads. One thread per connection, green or native.
"""

import io
import logging
import os
import socket
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass
from http.server import SimpleHTTPRequestHandler
from socketserver import BaseServer
from typing import Any, cast
from urllib.parse import unquote, urlsplit

from oslo_config import cfg
from websockify.websocketserver import WebSocketRequestHandlerMixIn

from nova import errors
from nova.clock import utcnow
from nova.console import guest_end, pages
from nova.console.open_consoles import OpenConsoles
from nova.console.raw import RawViewer
from nova.console.relay import INTERNAL, POLICY, Ending, Relay
from nova.console.websocket import Viewer
from nova.http.acceptor import Acceptor
from nova.http.access_log import AccessLog
from nova.http.limits import Limits
from nova.http.service import listen
from nova.http.wire import Wire
from nova.http.wsgi import plain_fault
from nova.rpc.consoleauth import ConsoleAuthCalls
from nova.structs.console import ConsoleAccess
from nova.structs.guest import ConsoleKind

LOG = logging.getLogger(__name__)

_TLS_HANDSHAKE = b"\x16"

EXPIRED = "This console address is unknown or has expired; ask for a new one."
NO_ANSWER = "The console service does not answer; try again in a moment."
_NO_GUEST = "The guest's console does not answer."


@dataclass(frozen=True)
class Screen:
    """One kind of console: its page's files, its address, and where its page really is."""

    name: str
    kind: ConsoleKind
    host: str
    port: int
    web: str | None
    redirect: Callable[[str, str], str | None]


class ConsoleProxy:
    """A service that shows consoles of one kind."""

    def __init__(self, conf: cfg.ConfigOpts, screen: Screen, consoleauth: ConsoleAuthCalls) -> None:
        self.screen = screen
        self.allowed_origins = list(conf.console.allowed_origins)
        self.is_stopping = False
        self._enforces_expiry = conf.consoleauth.enforce_session_timeout
        self._consoleauth = consoleauth
        self.open_consoles = OpenConsoles(consoleauth)
        self._tls = _tls_context(conf)
        self.guest_tls = guest_end.tls_context(conf)
        self._tls_only = conf.ssl_only
        self._socket: socket.socket | None = None
        self._acceptor: Acceptor | None = None
        # Every viewer is worked on at once.
        self.limits = Limits.of(conf, requests=1)
        self.access_log = AccessLog() if conf.wsgi.access_log else None

    def start(self) -> None:
        """Listens when this returns."""
        self.is_stopping = False
        self._socket = listen(self.screen.host, self.screen.port)
        self._acceptor = Acceptor(self._socket, self.limits, self._serve, plain_fault)
        self._acceptor.start()
        self.open_consoles.start()
        LOG.info("%s listens on %s port %s", self.screen.name, self.screen.host, self.port)

    def stop(self) -> None:
        """Take no more viewers, and tell those there are that it is over."""
        self.is_stopping = True
        self.open_consoles.stop()
        if self._acceptor is not None:
            self._acceptor.stop()
            self._acceptor.wait(5)

    @property
    def port(self) -> int:
        """The port it listens on, chosen by the system where the configuration says 0."""
        assert self._socket is not None
        return int(self._socket.getsockname()[1])

    def access(self, token: str | None) -> ConsoleAccess | None:
        """What the token opens here. Raises errors.Unavailable."""
        access = self._consoleauth.check(token) if token else None
        return access if access and access.kind == self.screen.kind else None

    def end_of(self, access: ConsoleAccess) -> float | None:
        """When a console must close, as a time of time.monotonic()."""
        if not self._enforces_expiry:
            return None
        return time.monotonic() + (access.expires_at - utcnow()).total_seconds()

    def _serve(self, connection: socket.socket, address: tuple[Any, ...]) -> None:
        connection.settimeout(self.limits.header_s)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        wire = Wire(connection)
        try:
            if self._secure(wire):
                self._answer(wire, address)
        finally:
            wire.socket.close()

    def _answer(self, wire: Wire, source: tuple[Any, ...]) -> None:
        """Serve one connection to its end."""
        _Handler(wire, source, self)

    def show(self, viewer: Viewer | RawViewer, access: ConsoleAccess, token: str, source: str) -> Ending:
        """Show the console that a token opens, until it ends."""
        address = access.address
        try:
            guest = guest_end.connect(address, self.guest_tls)
        except OSError as error:
            LOG.warning("console of server %s on %s port %s: %s", access.instance_id, address.host, address.port, error)
            return Ending(INTERNAL, _NO_GUEST)
        with guest:
            try:
                # The guest may have ended, and another have got its port, before the connection was made.
                if self.access(token) != access:
                    return Ending(POLICY, EXPIRED)
            except errors.Unavailable:
                return Ending(INTERNAL, NO_ANSWER)
            LOG.info("viewer %s opens a console of server %s", source, access.instance_id)
            _prepare(guest)
            viewer.begin()
            with self.open_consoles.opened(access) as console:
                relay = Relay(viewer, guest, self.end_of(access))
                return relay.run(lambda: self.is_stopping, lambda: console.is_over)

    def _secure(self, wire: Wire) -> bool:
        """Speak TLS when the viewer begins with a TLS handshake; whether the connection may be used."""
        if self._tls is None:
            return True
        if wire.socket.recv(1, socket.MSG_PEEK) == _TLS_HANDSHAKE:
            wire.secure(self._tls, time.monotonic() + self.limits.header_s)
            return True
        return not self._tls_only


class _TimedRequests(io.RawIOBase):
    """What a viewer sends, until a time that bytes do not extend."""

    def __init__(self, wire: Wire, limits: Limits) -> None:
        super().__init__()
        self.until = 0.0
        self._wire = wire
        self._answer_s = limits.header_s

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        """Raises TimeoutError at self.until, however fast bytes come."""
        data = self._wire.receive(self.until, len(buffer))
        # Answers are written to the same socket.
        self._wire.socket.settimeout(self._answer_s)
        buffer[: len(data)] = data
        return len(data)


class _Handler(WebSocketRequestHandlerMixIn, SimpleHTTPRequestHandler):
    """One connection: pages, until one of its requests becomes a console."""

    protocol_version = "HTTP/1.1"
    sys_version = ""
    SocketClass = Viewer

    def __init__(self, wire: Wire, address: tuple[Any, ...], proxy: ConsoleProxy) -> None:
        self._proxy = proxy
        self._requests = _TimedRequests(wire, proxy.limits)
        self.server_version = proxy.screen.name
        super().__init__(wire.socket, address, cast(BaseServer, proxy), directory=proxy.screen.web or os.devnull)

    def setup(self) -> None:
        super().setup()
        self.rfile = io.BufferedReader(self._requests)

    def handle_one_request(self) -> None:
        self._status, self._length, began = 0, 0, time.monotonic()
        self._requests.until = began + self._proxy.limits.header_s
        super().handle_one_request()
        if self._status:
            self._log_access(time.monotonic() - began)

    def parse_request(self) -> bool:
        """A target that nobody can read is 400, as a request line is."""
        if not super().parse_request():
            return False
        try:
            urlsplit(self.path)
        except ValueError:
            self.path, self.close_connection = "/", True
            self.send_error(400)
            return False
        return True

    def send_response(self, code: int, message: str | None = None) -> None:
        self._status = int(code)
        super().send_response(code, message)

    def send_header(self, keyword: str, value: str) -> None:
        if keyword.lower() == "content-length":
            self._length = int(value)
        super().send_header(keyword, value)

    def do_GET(self) -> None:
        self._answer(super().do_GET)

    def do_HEAD(self) -> None:
        self._answer(super().do_HEAD)

    def handle_upgrade(self) -> None:
        """A page of an origin that is not allowed gets 403, whatever token it has. Other clients name no origin."""
        origin = self.headers.get("Origin")
        if not pages.origin_is_allowed(origin, self.headers.get("Host"), self._proxy.allowed_origins):
            LOG.warning("a page of %r may not open consoles here; see [console] allowed_origins", origin)
            self.close_connection = True
            self._refuse(403, "Not from this page", "A page of another site may not open consoles here.")
            return
        super().handle_upgrade()

    def handle_websocket(self) -> None:
        """Carries the console until either side ends it, in this connection's thread."""
        self._status = 101
        viewer: Viewer = self.request
        ending = self._show(viewer)
        if ending.reason:
            LOG.info("console of viewer %s is closed: %s", self.client_address[0], ending.reason)
        # Who has no good token gets no byte behind the handshake; the page has said why.
        if ending.reason != EXPIRED:
            viewer.finish(*ending)

    def list_directory(self, path: Any) -> None:
        """No listing: what the directory of pages holds is nobody's business."""
        self.send_error(404)

    def log_message(self, format: str, *args: Any) -> None:
        # The request line holds the token; the log must not.
        path = urlsplit(getattr(self, "path", "")).path
        LOG.debug("%s %r %r", self.client_address[0], getattr(self, "command", None), path)

    def _log_access(self, seconds: float) -> None:
        """A console's line comes when it has ended."""
        if self._proxy.access_log is None:
            return
        parts = urlsplit(getattr(self, "path", "") or "/")
        environ = {"REMOTE_ADDR": self.client_address[0], "REQUEST_METHOD": self.command or "-"}
        target = (unquote(parts.path, "latin-1"), parts.query)
        self._proxy.access_log.write(environ, target, str(self._status), self._length, seconds)

    def _answer(self, answer: Callable[[], None]) -> None:
        """Answer a request for a file; the console's page only to a token that is still good."""
        screen = self._proxy.screen
        if screen.web is None:
            self.send_error(404)
            return
        if urlsplit(self.path).path.endswith(".html") and (token := pages.token_of(self.path)):
            try:
                access = self._proxy.access(token)
            except errors.Unavailable:
                self._refuse(503, "No console now", NO_ANSWER)
                return
            if access is None:
                self._refuse(403, "No such console", EXPIRED)
                return
        location = screen.redirect(screen.web, self.path)
        if location is None:
            answer()
            return
        self.send_response(302)
        self.send_header("Location", location)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _refuse(self, status: int, title: str, text: str) -> None:
        body = pages.refusal(title, text)
        self.send_response(status)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _show(self, viewer: Viewer) -> Ending:
        """Show the console the token opens, until it ends."""
        token = pages.token_of(self.path, self.headers.get("Cookie"))
        try:
            access = self._proxy.access(token)
        except errors.Unavailable:
            return Ending(INTERNAL, NO_ANSWER)
        if access is None or token is None:
            return Ending(POLICY, EXPIRED)
        return self._proxy.show(viewer, access, token, self.client_address[0])


def _prepare(guest: socket.socket) -> None:
    """A host that went down without a word is noticed in half a minute."""
    if guest.family == socket.AF_UNIX:
        return
    guest.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    guest.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for option, value in ((socket.TCP_KEEPIDLE, 10), (socket.TCP_KEEPINTVL, 5), (socket.TCP_KEEPCNT, 4)):
        guest.setsockopt(socket.IPPROTO_TCP, option, value)
    guest.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 30_000)


def novnc(conf: cfg.ConfigOpts, consoleauth: ConsoleAuthCalls) -> ConsoleProxy:
    """nova-novncproxy."""
    screen = Screen(
        name="nova-novncproxy",
        kind=ConsoleKind.NOVNC,
        host=conf.vnc.novncproxy_host,
        port=conf.vnc.novncproxy_port,
        web=conf.console.novnc_web,
        redirect=pages.novnc_redirect,
    )
    return ConsoleProxy(conf, screen, consoleauth)


def spice_html5(conf: cfg.ConfigOpts, consoleauth: ConsoleAuthCalls) -> ConsoleProxy:
    """nova-spicehtml5proxy."""
    screen = Screen(
        name="nova-spicehtml5proxy",
        kind=ConsoleKind.SPICE_HTML5,
        host=str(conf.spice.html5proxy_host),
        port=conf.spice.html5proxy_port,
        web=conf.console.spice_web,
        redirect=pages.spice_redirect,
    )
    return ConsoleProxy(conf, screen, consoleauth)


def serial(conf: cfg.ConfigOpts, consoleauth: ConsoleAuthCalls) -> ConsoleProxy:
    """nova-serialproxy: websockets alone, for a client of the user's own."""
    screen = Screen(
        name="nova-serialproxy",
        kind=ConsoleKind.SERIAL,
        host=conf.serial_console.serialproxy_host,
        port=conf.serial_console.serialproxy_port,
        web=None,
        redirect=lambda web, target: None,
    )
    return ConsoleProxy(conf, screen, consoleauth)


def _tls_context(conf: cfg.ConfigOpts) -> ssl.SSLContext | None:
    """TLS with the certificate of [DEFAULT] cert; without that file there is none."""
    if not os.path.exists(conf.cert):
        if conf.ssl_only:
            raise FileNotFoundError(f"[DEFAULT] ssl_only is set, but [DEFAULT] cert, {conf.cert}, is not there")
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    minimum = conf.console.ssl_minimum_version
    if minimum != "default":
        context.minimum_version = ssl.TLSVersion[minimum.replace("tlsv", "TLSv")]
    if conf.console.ssl_ciphers:
        context.set_ciphers(conf.console.ssl_ciphers)
    context.load_cert_chain(conf.cert, conf.key or conf.cert)
    return context
