"""Requests that no client library would send, signed all the same."""

import datetime
import hashlib
import hmac
import http.client
import socket
from urllib.parse import quote, unquote_to_bytes

EMPTY = hashlib.sha256(b"").hexdigest()
SCOPE = "RegionOne/s3/aws4_request"


class Signer:
    """Signs as a user. at: the time that a request says it was made."""

    def __init__(self, user, daemon, at=None):
        self._user = user
        self._daemon = daemon
        self._at = at

    def request(self, method, path, body=b"", payload=None, headers=(), query="", length=None, host=None):
        """The bytes of a request; path is quoted already, and length is what it says of its body."""
        head, _ = self.head(method, path, payload or hashlib.sha256(body).hexdigest(), headers, query)
        length = len(body) if length is None else length
        return head + f"Content-Length: {length}\r\n\r\n".encode() + body

    def head(self, method, path, payload, headers=(), query=""):
        """Its first lines, and the signature in them."""
        now = self._at or datetime.datetime.now(datetime.UTC)
        time = now.strftime("%Y%m%dT%H%M%SZ")
        signed = {
            "host": f"localhost:{self._daemon.port}",
            "x-amz-content-sha256": payload,
            "x-amz-date": time,
            **dict(headers),
        }
        names = sorted(signed)
        canonical = [
            method,
            quote(unquote_to_bytes(path), safe="/-_.~"),
            query,
            *(f"{name}:{signed[name]}" for name in names),
            "",
        ]
        canonical += [";".join(names), payload]
        digest = hashlib.sha256("\n".join(canonical).encode()).hexdigest()
        scope = f"{time[:8]}/{SCOPE}"
        self.time, self.scope = time, scope
        signature = self.sign("\n".join(("AWS4-HMAC-SHA256", time, scope, digest)))
        authorization = (
            f"AWS4-HMAC-SHA256 Credential={self._user.access}/{scope}, "
            f"SignedHeaders={';'.join(names)}, Signature={signature}"
        )
        target = f"{path}?{query}" if query else path
        lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in signed.items())]
        return "\r\n".join([*lines, f"Authorization: {authorization}", ""]).encode(), signature

    def sign(self, text):
        key = f"AWS4{self._user.secret}".encode()
        for part in self.scope.split("/"):
            key = hmac.digest(key, part.encode(), "sha256")
        return hmac.digest(key, text.encode(), "sha256").hex()


def connect(daemon):
    return socket.create_connection(("127.0.0.1", daemon.port), timeout=120)


def answer(connection):
    """Status and body of the next answer."""
    response = http.client.HTTPResponse(connection)
    response.begin()
    return response.status, response.read().decode()


def ask(daemon, request):
    with connect(daemon) as connection:
        connection.sendall(request)
        return answer(connection)
