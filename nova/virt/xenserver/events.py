"""Waits for the pool to say that a guest of this host has changed by itself."""

from typing import Any

from nova import errors
from nova.virt.xenserver import identity
from nova.virt.xenserver.session import Session

_ALL_AT_FIRST = ""


class Events:
    """For one caller at a time. host: whose guests count."""

    def __init__(self, session: Session, host: str) -> None:
        self._session = session
        self._host = host
        self._token = _ALL_AT_FIRST
        self._states: dict[str, str] = {}

    def wait_for_change(self, timeout_s: float) -> bool:
        """Whether a guest has another power state, has come or has gone since the last call. Raises errors.Unavailable."""
        try:
            answer = self._session.call("event.from", ["vm"], self._token, timeout_s)
        except errors.DomainError:
            # A new master knows no token of the old one, and what was missed is seen by looking at everything.
            self._token = _ALL_AT_FIRST
            raise
        self._token = answer["token"]
        changes = [self._is_change(event) for event in answer["events"]]
        return any(changes)

    def _is_change(self, event: dict[str, Any]) -> bool:
        record = event.get("snapshot")
        before = self._states.pop(event["ref"], None)
        if record is None or identity.own_vm(event["ref"], record, self._host) is None:
            return before is not None
        self._states[event["ref"]] = record["power_state"]
        return bool(record["power_state"] != before)
