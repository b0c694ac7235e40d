"""What a client gets of a server: connections, bytes and seconds; and who is let in."""

import ipaddress
import threading
from collections import Counter
from dataclasses import dataclass

from oslo_config import cfg

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True)
class Limits:
    """The limits of one listening address in one process. A number of connections of 0 means no such limit.

    A deadline counts from the moment the server begins to wait, and bytes do not extend it: but for a streamed body,
    which may take body_s and as long as it needs at body_rate.
    """

    # Worked on at once; more wait for their turn.
    requests: int
    connections: int = 2000
    connections_per_source: int = 200
    # Balancers and proxies, behind which many clients share an address.
    trusted: tuple[Network, ...] = ()
    header_s: float = 30
    body_s: float = 120
    # An answer may take so long to be taken.
    answer_s: float = 900
    idle_s: float = 75
    requests_per_connection: int = 1000
    header_line_bytes: int = 16384
    body_bytes: int = 1024 * 1024
    # Whether the application reads bodies while they come. It has to bound them itself.
    streams_bodies: bool = False
    body_rate: int = 16384

    @classmethod
    def of(cls, conf: cfg.ConfigOpts, requests: int) -> "Limits":
        options = conf.wsgi
        return cls(
            requests=requests,
            connections=options.max_connections,
            connections_per_source=options.max_connections_per_source,
            trusted=tuple(options.trusted_proxies),
            header_s=options.client_header_timeout,
            body_s=options.client_body_timeout,
            answer_s=options.client_socket_timeout or 86400,
            idle_s=min(options.keep_alive_timeout, options.client_socket_timeout or 86400),
            requests_per_connection=options.keep_alive_requests if options.keep_alive else 1,
            header_line_bytes=options.max_header_line,
            body_bytes=conf.api.max_body_size,
        )


class Admission:
    """Counts the open connections, in all and by source."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._lock = threading.Lock()
        self.count = 0
        self._by_source: Counter[str] = Counter()

    def admit(self, source: str) -> str | None:
        """Count a connection from an address; why not, when it is one too many."""
        limits = self._limits
        with self._lock:
            if limits.connections and self.count >= limits.connections:
                return "Too many connections are open here. Try again later."
            if (
                limits.connections_per_source
                and self._by_source[source] >= limits.connections_per_source
                and not self._is_trusted(source)
            ):
                return "Too many connections are open from your address. Try again later."
            self.count += 1
            self._by_source[source] += 1
            return None

    def leave(self, source: str) -> None:
        with self._lock:
            self.count -= 1
            self._by_source[source] -= 1
            if not self._by_source[source]:
                del self._by_source[source]

    def _is_trusted(self, source: str) -> bool:
        address = ipaddress.ip_address(source.partition("%")[0])
        return any(address in network for network in self._limits.trusted)
