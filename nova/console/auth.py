"""nova-consoleauth: issues console tokens and says what they open.

A token is random and never kept: the conductor stores its SHA-256 hash, so neither a restart nor a
look into the database gives a console away or takes one from its user.
"""

import datetime
import hashlib
import logging
import secrets

import oslo_messaging
from oslo_config import cfg

from nova import concurrency
from nova.clock import utcnow
from nova.readiness import Check
from nova.rpc.conductor import ConductorCalls
from nova.rpc.consoleauth import TOPIC, ConsoleAuthCalls
from nova.rpc.server import Server
from nova.structs.console import ConsoleAccess
from nova.structs.guest import ConsoleAddress, ConsoleKind

LOG = logging.getLogger(__name__)

_TOKEN_BYTES = 20
_PURGE_INTERVAL_S = 60


class ConsoleAuth:
    """ConsoleAuthCalls over what the conductor keeps."""

    def __init__(self, conf: cfg.ConfigOpts, conductor: ConductorCalls) -> None:
        self._host = conf.host
        self._ttl = datetime.timedelta(seconds=conf.consoleauth.token_ttl)
        self._conductor = conductor

    def authorize(self, instance_id: str, kind: ConsoleKind, address: ConsoleAddress) -> str:
        """The conductor keeps the token's hash before anybody is given the token."""
        token = secrets.token_hex(_TOKEN_BYTES)
        access = ConsoleAccess(instance_id=instance_id, kind=kind, address=address, expires_at=utcnow() + self._ttl)
        self._conductor.add_console_access(hash_of(token), access)
        LOG.info("a %s console of server %s may be opened until %s", kind, instance_id, access.expires_at)
        return token

    def check(self, token: str) -> ConsoleAccess | None:
        """None for a token that is unknown or expired."""
        access = self._conductor.console_access(hash_of(token))
        return access if access and access.expires_at > utcnow() else None

    def lasting(self, accesses: list[ConsoleAccess]) -> list[bool]:
        return self._conductor.lasting_consoles(accesses)

    def revoke(self, instance_id: str) -> None:
        self._conductor.delete_console_access(instance_id)

    def ping(self) -> str:
        return str(self._host)


class ConsoleAuthService:
    """The daemon: answers on the bus, and purges what has expired."""

    def __init__(self, conf: cfg.ConfigOpts, bus: oslo_messaging.Transport, conductor: ConductorCalls) -> None:
        self._conductor = conductor
        self._server = Server(bus, TOPIC, conf.host, ConsoleAuthCalls, ConsoleAuth(conf, conductor))
        self._purge: concurrency.Periodic | None = None

    def start(self) -> None:
        self._server.start()
        self._purge = concurrency.Periodic(
            _PURGE_INTERVAL_S, self._conductor.purge_console_access, "purge of console tokens"
        )

    def checks(self) -> list[Check]:
        return [self._server.check()]

    def stop(self) -> None:
        if self._purge:
            self._purge.stop()
        self._server.stop()


def hash_of(token: str) -> str:
    """What is kept of a token."""
    return hashlib.sha256(token.encode(errors="surrogateescape")).hexdigest()
