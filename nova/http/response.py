"""Writes one answer: its header, and a body whose length is known or which goes in chunks."""

from collections.abc import Iterable
from email.utils import formatdate
from typing import Any

from nova.http.request_reader import Message
from nova.http.wire import Wire


class Response:
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
