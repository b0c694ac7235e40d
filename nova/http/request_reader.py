"""The bytes of a connection become requests: one header after another within its deadline and its bounds."""

import time
from collections import deque

import httptools

from nova.http.limits import Limits
from nova.http.wire import Wire
from nova.http.wsgi import BodyFailure

_HEADERS = 100


class Refused(Exception):
    """The request cannot be read on: its status and why."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


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
        if message.has_header:
            # A trailer, which must not pass for what proxies set and check in the header. Source: RFC 9110, 6.5.1.
            return
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
