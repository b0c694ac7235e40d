"""One HTTP/1.1 connection: requests are read whole, by deadline, and answers written, one after another.

An application never waits for a client: it is called when the request's body is here, and its turn ends when its
answer is. Where the limits say that bodies are streamed, it is called when the header is here, and reads the body
itself (nova.http.streaming).
"""

import io
import logging
import socket
import ssl
import sys
import time
from contextlib import AbstractContextManager
from typing import Any
from urllib.parse import unquote

import httptools

from nova.http.limits import Limits
from nova.http.request_reader import Message, Reader, Refused
from nova.http.response import Response
from nova.http.streaming import BodyStream
from nova.http.wire import Wire
from nova.http.wsgi import CLIENT, INTERNAL, RAW, Environ, Fault, RawRequest, Wsgi

LOG = logging.getLogger(__name__)


class Connection:
    """Serves the requests of one connection."""

    def __init__(
        self, sock: socket.socket, source: tuple[Any, ...], server: tuple[str, int], limits: Limits, fault: Fault
    ) -> None:
        self.wire = Wire(sock)
        self._source = source
        self._server = server
        self._limits = limits
        self._fault = fault
        # Between two requests, or in an answer without end: it may be closed at any time.
        self.is_idle = True
        self.is_last = False
        self._is_streaming = False

    def wait(self, fd: int, timeout_s: float) -> bool:
        """As nova.http.wsgi.Client has it. Nothing is read behind such an answer: the connection ends with it."""
        self._is_streaming = self.is_idle = True
        return self.wire.waits(fd, timeout_s) and not self.is_last

    def serve(self, app: Wsgi, turn: AbstractContextManager[Any], tls: ssl.SSLContext | None) -> None:
        """Answer requests until the connection ends; the socket is left open. Raises OSError."""
        limits, reader = self._limits, Reader(self._limits)
        if tls is not None:
            self.wire.secure(tls, time.monotonic() + limits.header_s)
        try:
            for number in range(1, limits.requests_per_connection + 1):
                message = reader.read(self.wire, limits.header_s if number == 1 else limits.idle_s)
                if message is None:
                    return
                self.is_idle = False
                message.is_kept &= number < limits.requests_per_connection and not self.is_last
                stream = BodyStream(reader, self.wire, message, limits) if limits.streams_bodies else None
                if not self._answer(app, turn, message, stream):
                    return
                self.is_idle = True
        except Refused as refusal:
            self.is_idle = False
            message = Message()
            response = Response(self.wire, message, limits.answer_s)
            environ = {"REQUEST_METHOD": "GET", "PATH_INFO": "/"}
            response.send(self._fault(refusal.status, refusal.message)(environ, response.start))
            self.wire.linger()

    def _answer(
        self, app: Wsgi, turn: AbstractContextManager[Any], message: Message, stream: BodyStream | None
    ) -> bool:
        """Whether the connection is good for another request."""
        response = Response(self.wire, message, self._limits.answer_s)
        environ = self._environ(message)
        if stream is not None:
            environ["wsgi.input"] = stream
        try:
            with turn:
                chunks = app(environ, response.start)
            # What is left of a body that nobody wanted is not read for the next request's sake.
            response.is_kept &= message.is_whole
            response.send(chunks)
            if not message.is_whole:
                self.wire.linger()
        except OSError as error:
            LOG.debug("client %s went away: %s", self._source[0], error)
            return False
        except Exception:
            # An application guards itself; what comes here is a defect of the guard, or of an answer half sent.
            LOG.exception("%s %r failed", message.method, environ["PATH_INFO"])
            if response.is_begun:
                return False
            response.headers.clear()
            response.send(self._fault(500, INTERNAL)(environ, response.start))
        return response.is_kept and not self._is_streaming

    def _environ(self, message: Message) -> Environ:
        path, query = _split(message.target)
        environ: Environ = {
            "REQUEST_METHOD": message.method,
            "SCRIPT_NAME": "",
            "PATH_INFO": unquote(path.decode("latin-1"), "latin-1"),
            "QUERY_STRING": query.decode("latin-1"),
            "SERVER_NAME": self._server[0],
            "SERVER_PORT": str(self._server[1]),
            "SERVER_PROTOCOL": f"HTTP/{message.version}",
            "REMOTE_ADDR": self._source[0],
            "REMOTE_PORT": str(self._source[1]),
            "wsgi.version": (1, 0),
            "wsgi.url_scheme": "https" if isinstance(self.wire.socket, ssl.SSLSocket) else "http",
            "wsgi.input": io.BytesIO(message.body),
            RAW: RawRequest(path, message.headers),
            "wsgi.errors": sys.stderr,
            "wsgi.multithread": True,
            "wsgi.multiprocess": True,
            "wsgi.run_once": False,
            CLIENT: self,
        }
        for raw_name, raw_value in message.headers:
            name = raw_name.decode("latin-1").upper()
            # HTTP_X_USER_ID must be X-User-Id's alone.
            if "_" in name or name == "TRANSFER-ENCODING":
                continue
            key = f"HTTP_{name.replace('-', '_')}" if name != "CONTENT-TYPE" else "CONTENT_TYPE"
            value = raw_value.decode("latin-1").strip()
            environ[key] = f"{environ[key]},{value}" if key in environ else value
        has_length = environ.pop("HTTP_CONTENT_LENGTH", None) is not None
        if self._limits.streams_bodies:
            environ["CONTENT_LENGTH"] = "" if message.announced is None else str(message.announced)
        elif has_length or message.body:
            environ["CONTENT_LENGTH"] = str(len(message.body))
        return environ


def _split(target: bytes) -> tuple[bytes, bytes]:
    """Path and query of a request's target. Raises Refused."""
    if target.startswith(b"/"):
        path, _, query = target.partition(b"?")
        return path, query
    try:
        parts = httptools.parse_url(target)
    except httptools.HttpParserInvalidURLError:
        raise Refused(400, "This is no address of this service.") from None
    return parts.path or b"/", parts.query or b""
