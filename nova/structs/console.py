"""Consoles: what a user is given to open one, and what a token opens."""

import datetime

import msgspec

from nova.structs.guest import ConsoleAddress, ConsoleKind


class RemoteConsole(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A console as the Compute API shows it; the url holds the token."""

    protocol: str
    type: str
    url: str


class ConsoleAccess(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What one token opens, and until when (UTC).

    compute_host: the host that said the address, when it was asked for just now.
    """

    instance_id: str
    kind: ConsoleKind
    address: ConsoleAddress
    expires_at: datetime.datetime
    compute_host: str | None = None
