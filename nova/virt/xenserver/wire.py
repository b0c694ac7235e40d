"""How a call travels to the toolstack: once. XML-RPC's own transport sends again what had no answer, and a change
must not be made twice."""

import http.client
import select
import ssl
import xmlrpc.client
from typing import Any

import XenAPI


class Transport(xmlrpc.client.Transport):
    """One connection, kept open. timeout_s: how long the toolstack may say nothing. context: None for plain HTTP."""

    def __init__(self, timeout_s: float, context: ssl.SSLContext | None) -> None:
        super().__init__(use_builtin_types=True)
        self._extra_headers = []
        self._timeout_s = timeout_s
        self._context = context
        self._open: http.client.HTTPConnection | None = None

    def request(self, host: Any, handler: str, request_body: Any, verbose: bool = False) -> Any:
        return self.single_request(host, handler, request_body, verbose)

    def make_connection(self, host: Any) -> http.client.HTTPConnection:
        if self._open is None or _is_closed(self._open):
            self.close()
            if self._context is None:
                self._open = http.client.HTTPConnection(host, timeout=self._timeout_s)
            else:
                self._open = http.client.HTTPSConnection(host, timeout=self._timeout_s, context=self._context)
        return self._open

    def close(self) -> None:
        connection, self._open = self._open, None
        if connection is not None:
            connection.close()


class Line:
    """A line to one host of the pool, for one call at a time."""

    def __init__(self, url: str, timeout_s: float, context: ssl.SSLContext | None) -> None:
        self.url = url
        self._transport = Transport(timeout_s, context)
        self._proxy = XenAPI.Session(url, transport=self._transport)

    def send(self, name: str, *arguments: Any) -> Any:
        """One call's value. Raises XenAPI.Failure for its refusal; OSError, http.client.HTTPException or
        xmlrpc.client.Error when there is no answer that makes sense."""
        try:
            answer = getattr(self._proxy, name)(*arguments)
        except BaseException:
            # What is left of an answer that was not read must not pass for the next one.
            self._transport.close()
            raise
        if not isinstance(answer, dict) or "Status" not in answer:
            raise xmlrpc.client.ResponseError("the answer has no status")
        if answer["Status"] != "Success":
            raise XenAPI.Failure(answer.get("ErrorDescription") or ["INTERNAL_ERROR"])
        return answer.get("Value", "")

    def close(self) -> None:
        self._transport.close()


def _is_closed(connection: http.client.HTTPConnection) -> bool:
    """Whether the other end has closed the connection while nothing was asked."""
    return connection.sock is None or bool(select.select([connection.sock], [], [], 0)[0])
