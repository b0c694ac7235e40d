"""nova-xvpvncproxy: carries guests' VNC screens to native clients.

A client sends GET /console?token=TOKEN. 400 answers a request without a token, 401 one whose token opens nothing here.
Otherwise the answer is 200 without a body, and behind its header the connection speaks RFB, raw, to its end.
"""

import logging
import time
from typing import Any
from urllib.parse import unquote

from oslo_config import cfg

from nova import errors
from nova.console import pages
from nova.console.proxy import EXPIRED, NO_ANSWER, ConsoleProxy, Screen
from nova.console.raw import RawViewer
from nova.http.request_reader import Reader, Refused
from nova.http.wire import Wire
from nova.http.wsgi import status_line
from nova.rpc.consoleauth import ConsoleAuthCalls
from nova.structs.guest import ConsoleKind

LOG = logging.getLogger(__name__)

_GREETING = b"HTTP/1.1 200 OK\r\n\r\n"


class XvpVncProxy(ConsoleProxy):
    """A console proxy for clients that are no browsers: no page, no websocket."""

    def _answer(self, wire: Wire, source: tuple[Any, ...]) -> None:
        began = time.monotonic()
        method, target, status = "", "/", 200
        try:
            message = Reader(self.limits).read(wire, self.limits.header_s)
            if message is None:
                return
            method, target = message.method, message.target.decode("latin-1")
            self._open(wire, method, target, source[0])
        except Refused as refusal:
            status = refusal.status
            text = f"{refusal.message}\n".encode()
            head = f"HTTP/1.1 {status_line(status)}\r\nContent-Type: text/plain\r\nContent-Length: {len(text)}"
            wire.send(f"{head}\r\nConnection: close\r\n\r\n".encode() + text, self.limits.header_s)
            wire.linger()
        finally:
            self._log(source[0], method, target, status, time.monotonic() - began)

    def _open(self, wire: Wire, method: str, target: str, source: str) -> None:
        """Show the console that a request asks for. Raises Refused."""
        if method != "GET":
            raise Refused(405, "A console is asked for with GET.")
        token = pages.token_of(target)
        if not token:
            raise Refused(400, "The address names no token.")
        try:
            access = self.access(token)
        except errors.Unavailable:
            raise Refused(503, NO_ANSWER) from None
        if access is None:
            raise Refused(401, EXPIRED)
        viewer = RawViewer(wire.socket, _GREETING)
        ending = self.show(viewer, access, token, source)
        if not viewer.is_begun:
            raise Refused(401 if ending.reason == EXPIRED else 503, ending.reason)
        if ending.reason:
            LOG.info("console of viewer %s is closed: %s", source, ending.reason)

    def _log(self, source: str, method: str, target: str, status: int, seconds: float) -> None:
        """A console's line comes when it has ended."""
        if self.access_log is not None and method:
            path, _, query = target.partition("?")
            environ = {"REMOTE_ADDR": source, "REQUEST_METHOD": method}
            self.access_log.write(environ, (unquote(path, "latin-1"), query), str(status), 0, seconds)


def xvp_vnc(conf: cfg.ConfigOpts, consoleauth: ConsoleAuthCalls) -> XvpVncProxy:
    """nova-xvpvncproxy."""
    screen = Screen(
        name="nova-xvpvncproxy",
        kind=ConsoleKind.XVPVNC,
        host=conf.vnc.xvpvncproxy_host,
        port=conf.vnc.xvpvncproxy_port,
        web=None,
        redirect=lambda web, target: None,
    )
    return XvpVncProxy(conf, screen, consoleauth)
