"""One HTTP/1.1 connection: requests are read whole, by deadline, and answers written, one after another.

An application never waits for a client: it is called when the request's body is here, and its turn ends when its
answer is. Where the limits say that bodies are streamed, it is called when the header is here, and reads the body
itself (nova.http.streaming).
"""

import io
import logging
import selectors
import socket
import ssl
import sys
import time
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from email.utils import formatdate
from typing import Any, TypeVar
from urllib.parse import unquote

import httptools

from nova.http.limits import Limits
from nova.http.streaming import BodyStream
from nova.http.wsgi import CLIENT, INTERNAL, RAW, BodyFailure, Environ, Fault, RawRequest, Wsgi

LOG = logging.getLogger(__name__)

T = TypeVar("T")

_CHUNK = 65536
_HEADERS = 100
# What a client that was refused may go on sending until it has read why.
_LINGER_S, _LINGER_BYTES = 2.0, 1024 * 1024


class Refused(Exception):
    """The request cannot be read on: its status and why."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


class Wire:
    """A connection's bytes. until is a time of time.monotonic(); TimeoutError comes then and not later."""

    def __init__(self, sock: socket.socket) -> None:
        self.socket = sock

    def secure(self, tls: ssl.SSLContext, until: float) -> None:
        """Shake hands as a TLS server. Raises OSError."""
        self.socket = tls.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)
        self._retry(self.socket.do_handshake, until)

    def receive(self, until: float, size: int = _CHUNK) -> bytes:
        if isinstance(self.socket, ssl.SSLSocket):
            return self._retry(lambda: self.socket.recv(size), until)
        self.socket.settimeout(_left(until))
        return self.socket.recv(size)

    def send(self, data: bytes, timeout_s: float) -> None:
        self.socket.settimeout(timeout_s)
        self.socket.sendall(data)

    def waits(self, fd: int, timeout_s: float) -> bool:
        """Whether the client is still there when fd can be read or the time is over; what it sends is dropped."""
        with selectors.DefaultSelector() as selector:
            selector.register(self.socket, selectors.EVENT_READ)
            selector.register(fd, selectors.EVENT_READ)
            ready = selector.select(max(timeout_s, 0))
        if all(key.fileobj is not self.socket for key, _ in ready):
            return True
        self.socket.setblocking(False)
        try:
            return bool(self.socket.recv(_CHUNK))
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return True
        except OSError:
            return False

    def linger(self) -> None:
        """Let a client read an answer that came before it had sent everything: closing at once would take it away."""
        until, left = time.monotonic() + _LINGER_S, _LINGER_BYTES
        self.socket.shutdown(socket.SHUT_WR)
        while left > 0 and (data := self.receive(until)):
            left -= len(data)

    def _retry(self, function: Callable[[], T], until: float) -> T:
        """A call of TLS, which may take many exchanges: each waits for what is left alone."""
        self.socket.setblocking(False)
        while True:
            try:
                return function()
            except ssl.SSLWantReadError:
                event = selectors.EVENT_READ
            except ssl.SSLWantWriteError:
                event = selectors.EVENT_WRITE
            with selectors.DefaultSelector() as selector:
                selector.register(self.socket, event)
                selector.select(_left(until))


def _left(until: float) -> float:
    left = until - time.monotonic()
    if left <= 0:
        raise TimeoutError("timed out")
    return left


class Message:
    """One request as it is parsed."""

    def __init__(self) -> None:
        self.target = b""
        self.headers: list[tuple[bytes, bytes]] = []
        self.body = bytearray()
        self.method = self.version = ""
        self.has_header = self.is_kept = False
        self.expects_continue = False
        # The length that its header gives for the body; None for a body in chunks, and for none.
        self.announced: int | None = None
        # is_given: to an application, which reads the rest of a streamed body.
        self.is_whole = self.is_given = False

    def take(self) -> bytearray:
        """The part of the body that is here; it is nobody else's from now on."""
        taken, self.body = self.body, bytearray()
        return taken


class Reader:
    """Makes requests of bytes. The methods on_* are httptools' callbacks."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._parser = httptools.HttpRequestParser(self)
        self._message = Message()
        self._head_bytes = 0
        self._complete: deque[Message] = deque()

    def read(self, wire: Wire, idle_s: float) -> Message | None:
        """The next request; None when the client has gone, or sent nothing for idle_s. Raises Refused, OSError."""
        # Clients may send the next request before they have read an answer.
        has_begun = self._head_bytes > 0
        until = time.monotonic() + (self._limits.header_s if has_begun else idle_s)
        while not self._complete:
            if self._limits.streams_bodies and self._message.has_header and not self._message.is_given:
                self._message.is_given = True
                return self._message
            try:
                data = wire.receive(until)
            except TimeoutError:
                if not has_begun:
                    return None
                part = "body" if self._message.has_header else "header"
                raise Refused(408, f"The request's {part} did not come in time.") from None
            if not data:
                return None
            if not has_begun:
                has_begun, until = True, min(until, time.monotonic() + self._limits.header_s)
            had_header = self._message.has_header
            self._feed(data)
            if self._message.has_header and not had_header:
                until = time.monotonic() + self._limits.body_s
                if self._message.expects_continue and not self._complete and not self._limits.streams_bodies:
                    wire.send(b"HTTP/1.1 100 Continue\r\n\r\n", self._limits.header_s)
        message = self._complete.popleft()
        message.is_given = True
        return message

    def read_on(self, wire: Wire, message: Message, received: int, until: float, size: int) -> bytes | bytearray:
        """More of a streamed body, of which so much was received; nothing for a chunk's edge. Raises BodyFailure."""
        # Of a body whose length is known there is nothing to parse, and bytes behind it stay where they are.
        left = None if message.announced is None else message.announced - received
        try:
            if message.expects_continue:
                message.expects_continue = False
                wire.send(b"HTTP/1.1 100 Continue\r\n\r\n", self._limits.header_s)
            data = wire.receive(until, size if left is None else min(size, left))
        except TimeoutError:
            raise BodyFailure(408, "The request's body did not come in time.") from None
        except OSError as error:
            raise BodyFailure(400, f"The connection broke: {error}") from error
        if not data:
            raise BodyFailure(400, "The client ended the request before its body was whole.")
        if left is not None:
            if len(data) == left:
                self._begin_anew(message)
            return data
        try:
            self._feed(data)
        except Refused as refusal:
            raise BodyFailure(refusal.status, refusal.message) from None
        if message.is_whole and message in self._complete:
            self._complete.remove(message)
        return message.take()

    def _begin_anew(self, message: Message) -> None:
        """The parser has not seen the end of this message's body: another reads what comes next."""
        message.is_whole = True
        self._parser = httptools.HttpRequestParser(self)
        self._message = Message()
        self._head_bytes = 0

    def _feed(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            # Nothing is offered to change to: the request counts as it is.
            pass
        except httptools.HttpParserError as error:
            raise Refused(400, f"This is no HTTP request: {error}") from None
        message, limits = self._message, self._limits
        if not message.has_header:
            self._head_bytes += len(data)
            if self._head_bytes > limits.header_line_bytes * 4:
                raise Refused(431, "The request's header is too large.")
        self._check_size(message)
        for complete in self._complete:
            self._check_size(complete)

    def _check_size(self, message: Message) -> None:
        limits = self._limits
        if len(message.target) > limits.header_line_bytes:
            raise Refused(414, "The request's URL is too long.")
        if len(message.headers) > _HEADERS:
            raise Refused(431, "The request has too many headers.")
        if any(len(name) + len(value) > limits.header_line_bytes for name, value in message.headers):
            raise Refused(431, "A line of the request's header is too long.")
        if max(len(message.body), message.announced or 0) > limits.body_bytes:
            raise Refused(413, f"A body may have {limits.body_bytes} bytes at most.")

    def on_message_begin(self) -> None:
        self._message = Message()
        self._head_bytes = 1

    def on_url(self, url: bytes) -> None:
        self._message.target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        message = self._message
        message.headers.append((name, value))
        match name.lower():
            case b"expect":
                message.expects_continue = value.lower() == b"100-continue"
            case b"content-length" if value.isdigit():
                message.announced = int(value)

    def on_headers_complete(self) -> None:
        message = self._message
        message.method = self._parser.get_method().decode("latin-1")
        message.version = self._parser.get_http_version()
        message.is_kept = self._parser.should_keep_alive() and not self._parser.should_upgrade()
        message.has_header = True

    def on_body(self, data: bytes) -> None:
        if len(self._message.body) <= self._limits.body_bytes:
            self._message.body += data

    def on_message_complete(self) -> None:
        self._message.is_whole = True
        self._complete.append(self._message)
        self._head_bytes = 0


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
            response = _Response(self.wire, message, limits.answer_s)
            environ = {"REQUEST_METHOD": "GET", "PATH_INFO": "/"}
            response.send(self._fault(refusal.status, refusal.message)(environ, response.start))
            self.wire.linger()

    def _answer(
        self, app: Wsgi, turn: AbstractContextManager[Any], message: Message, stream: BodyStream | None
    ) -> bool:
        """Whether the connection is good for another request."""
        response = _Response(self.wire, message, self._limits.answer_s)
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


class _Response:
    """Writes one answer."""

    def __init__(self, wire: Wire, message: Message, timeout_s: float) -> None:
        self._wire = wire
        self._timeout_s = timeout_s
        self._is_head = message.method == "HEAD"
        self._is_old = message.version == "1.0"
        self._is_chunked = False
        self.is_kept = message.is_kept
        self.is_begun = False
        self.status = ""
        self.headers: list[tuple[str, str]] = []

    def start(self, status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> None:
        """WSGI's start_response, without its old write()."""
        if exc_info and self.is_begun:
            raise exc_info[1]
        self.status, self.headers = status, headers

    def send(self, chunks: Iterable[bytes]) -> None:
        try:
            if isinstance(chunks, list | tuple):
                body = b"".join(chunks)
                self._send(self._head(len(body)) + (b"" if self._has_no_body else body))
                return
            for chunk in chunks:
                if chunk:
                    self._send_part(chunk)
            if not self.is_begun:
                self._send(self._head(None))
            if self._is_chunked:
                self._send(b"0\r\n\r\n")
        finally:
            if (close := getattr(chunks, "close", None)) is not None:
                close()

    def _send_part(self, chunk: bytes) -> None:
        head = b"" if self.is_begun else self._head(None)
        if self._has_no_body:
            chunk = b""
        elif self._is_chunked:
            chunk = b"%x\r\n%b\r\n" % (len(chunk), chunk)
        if head or chunk:
            self._send(head + chunk)

    def _send(self, data: bytes) -> None:
        self.is_begun = True
        self._wire.send(data, self._timeout_s)

    @property
    def _has_no_body(self) -> bool:
        return self._is_head or self.status[:3] in ("204", "304")

    def _head(self, length: int | None) -> bytes:
        """The answer's header; length is the body's where it is known."""
        names = {name.lower(): value for name, value in self.headers}
        lines = [f"HTTP/1.1 {self.status}", *(f"{name}: {value}" for name, value in self.headers)]
        if "content-length" not in names and self.status[:3] not in ("204", "304"):
            if length is not None:
                lines.append(f"Content-Length: {length}")
            elif self._is_head:
                pass
            elif self._is_old:
                self.is_kept = False
            else:
                self._is_chunked = True
                lines.append("Transfer-Encoding: chunked")
        if names.get("connection", "").lower() == "close":
            self.is_kept = False
        elif not self.is_kept:
            lines.append("Connection: close")
        elif self._is_old:
            lines.append("Connection: keep-alive")
        if "date" not in names:
            lines.append(f"Date: {formatdate(usegmt=True)}")
        head = "\r\n".join(lines)
        if head.count("\n") != len(lines) - 1:
            raise ValueError("a header of the answer holds a line break")
        return f"{head}\r\n\r\n".encode("latin-1")
