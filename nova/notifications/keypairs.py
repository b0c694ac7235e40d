"""Key pairs. Before one is made there is neither a fingerprint nor, unless the user brings it, a key."""

from typing import Any

from nova.notifications.envelope import versioned
from nova.notifications.event import NotificationEvent
from nova.structs.instance import Instance


def keypair(event: NotificationEvent) -> dict[str, Any]:
    """The key pair as it is stored."""
    keypair = event.details.keypair
    assert keypair is not None
    return _of(keypair.user_id, keypair.name, keypair.type, keypair.fingerprint, keypair.public_key)


def to_be_made(event: NotificationEvent) -> dict[str, Any]:
    """A key pair before it is generated: there is no public key yet."""
    keypair = event.details.keypair
    assert keypair is not None
    return _of(keypair.user_id, keypair.name, keypair.type, None, None)


def to_be_imported(event: NotificationEvent) -> dict[str, Any]:
    """A key pair before it is imported: the public key is the user's."""
    keypair = event.details.keypair
    assert keypair is not None
    return _of(keypair.user_id, keypair.name, keypair.type, None, keypair.public_key)


def of_server(server: Instance) -> list[dict[str, Any]]:
    """The key pair a server was booted with."""
    pair = server.properties.keypair
    return [] if pair is None else [_of(server.user_id, pair.name, pair.type, pair.fingerprint, pair.public_key)]


def _of(user_id: str, name: str, kind: str, fingerprint: str | None, public_key: str | None) -> dict[str, Any]:
    return versioned(
        "KeypairPayload",
        "1.0",
        {"user_id": user_id, "name": name, "type": kind, "fingerprint": fingerprint, "public_key": public_key},
    )
