"""What nova-consoleauth answers: who may see which console, for how long."""

from typing import cast

import oslo_messaging

from nova.rpc.bus import timeout_part
from nova.rpc.client import make_client
from nova.structs.console import ConsoleAccess
from nova.structs.guest import ConsoleAddress, ConsoleKind

TOPIC = "consoleauth"
# Of the time a user waits for a console: the conductor has asked the guest's host before.
_PART = 0.25


class ConsoleAuthCalls:
    """Tokens. A token opens its console as often as wanted until it expires or is revoked.

    Whatever ends its guest (stop, move, rebuild, delete) revokes it.
    """

    def authorize(self, instance_id: str, kind: ConsoleKind, address: ConsoleAddress) -> str:
        """A new token for a console; nobody keeps the token itself."""

    def check(self, token: str) -> ConsoleAccess | None:
        """What the token opens now; None when it is unknown, expired or revoked, or its guest does not run."""

    def lasting(self, accesses: list[ConsoleAccess]) -> list[bool]:
        """Of each console that was opened so, whether it may stay open: its server neither stopped, moved nor went."""

    def revoke(self, instance_id: str) -> None:
        """Forget all tokens of a server that goes away or moves."""

    def ping(self) -> str:
        """The daemon's host; proof that a message came through its queue."""


def consoleauth_client(bus: oslo_messaging.Transport) -> ConsoleAuthCalls:
    """The nova-consoleauth daemons that listen on the bus."""
    return cast(ConsoleAuthCalls, make_client(bus, TOPIC, ConsoleAuthCalls, timeout_s=timeout_part(bus, _PART)))
