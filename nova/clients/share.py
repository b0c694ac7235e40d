"""A thin client of the Shared File Systems API v2.

Requests made for a user while a request is accepted carry that user's token, so that the service
decides what the user may see; access is granted and taken later with this service's own credentials.
Every call may be made twice: access rules and locks are found again by their purpose.
"""

import contextlib
from typing import Any

import msgspec
import requests
from keystoneauth1.adapter import Adapter

from nova import errors
from nova.clients.http import Refusals, Service, segment
from nova.structs.context import Context

# Locks came with 2.81, locks on access rules with 2.82.
_MICROVERSION = "2.82"
_HEADERS = {
    "OpenStack-API-Version": f"shared-file-system {_MICROVERSION}",
    "X-OpenStack-Manila-API-Version": _MICROVERSION,
}
_REFUSALS: Refusals = {
    # What a user may not see does not exist for that user.
    ("GET", 403): errors.NotFound,
    403: errors.Forbidden,
    404: errors.NotFound,
    None: errors.Invalid,
}

Json = dict[str, Any]


class ShareNotFound(errors.NotFound):
    text = "Share {share_id} could not be found."


class ShareAccessNotReady(errors.Unavailable):
    """It may be soon: worth another try."""

    text = "Access of {address} to share {share_id} is not active yet."
    text_for_users = "The host's access to share {share_id} is not active yet."


class ShareAccessFailed(errors.StepFailed):
    text = "Access of {address} to share {share_id} could not be granted: {reason}"
    text_for_users = "The host's access to share {share_id} could not be granted: {reason}"


class ShareFacts(msgspec.Struct, frozen=True, kw_only=True):
    """The part of a share's description that is used here."""

    id: str
    status: str
    protocol: str


class Shares:
    """The Shared File Systems service. Any method raises errors.Unavailable when it cannot be reached."""

    def __init__(self, adapter: Adapter) -> None:
        self._service = Service("The Shared File Systems service", adapter, _REFUSALS, _HEADERS)

    def get(self, share_id: str, context: Context) -> ShareFacts:
        """Raises ShareNotFound, also for one the user may not see."""
        share = self._ask("GET", f"/shares/{segment(share_id)}", share_id, key="share", context=context)
        return ShareFacts(id=share["id"], status=share["status"], protocol=(share.get("share_proto") or "").upper())

    def export_location(self, share_id: str, context: Context) -> str:
        """Where the share is mounted from: its preferred location. Raises ShareNotFound, also when it has none."""
        path = f"/shares/{segment(share_id)}/export_locations"
        locations = self._ask("GET", path, share_id, key="export_locations", context=context)
        usable = [location for location in locations if not location.get("is_admin_only")]
        if not usable:
            raise ShareNotFound(f"Share {share_id} has no export location.")
        return str(max(usable, key=lambda location: bool(location.get("preferred")))["path"])

    def grant(self, share_id: str, address: str) -> None:
        """Let a host read and write the share; an existing rule is kept.

        The rule cannot be removed by the share's owner. Raises ShareNotFound, ShareAccessNotReady while
        the rule is being applied, ShareAccessFailed.
        """
        rule = self._rule(share_id, address)
        if rule is None:
            wanted = {
                "access_type": "ip",
                "access_to": address,
                "access_level": "rw",
                "lock_visibility": True,
                "lock_deletion": True,
                "lock_reason": "Servers on this host have the share.",
            }
            rule = self._service.part(self._act(share_id, {"allow_access": wanted}), "access")
        if rule["state"] == "error":
            raise ShareAccessFailed(share_id=share_id, address=address, reason="the rule is in error")
        if rule["state"] != "active":
            raise ShareAccessNotReady(share_id=share_id, address=address)

    def deny(self, share_id: str, address: str) -> None:
        """Take a host's access away, if the share exists and the host has access."""
        with contextlib.suppress(errors.NotFound):
            rule = self._rule(share_id, address)
            if rule is not None:
                self._act(share_id, {"deny_access": {"access_id": rule["id"], "unrestrict": True}})

    def lock(self, share_id: str, reason: str) -> None:
        """Keep the share from being deleted; one lock for each reason. Raises ShareNotFound."""
        if not self._locks(share_id, reason):
            lock = {
                "resource_id": share_id,
                "resource_type": "share",
                "resource_action": "delete",
                "lock_reason": reason,
            }
            missing = ShareNotFound(share_id=share_id)
            self._service.answer("POST", "/resource-locks", missing, json={"resource_lock": lock})

    def unlock(self, share_id: str, reason: str) -> None:
        """Remove the lock of this reason, if there is one."""
        for lock in self._locks(share_id, reason):
            with contextlib.suppress(errors.NotFound):
                self._service.answer("DELETE", f"/resource-locks/{lock['id']}")

    def _rule(self, share_id: str, address: str) -> Json | None:
        query = {"share_id": share_id, "access_type": "ip", "access_to": address}
        rules = self._ask("GET", "/share-access-rules", share_id, key="access_list", params=query)
        return next((rule for rule in rules if rule["access_to"] == address), None)

    def _locks(self, share_id: str, reason: str) -> list[Json]:
        query = {"resource_id": share_id, "lock_reason": reason, "all_projects": 1}
        return list(self._service.ask("GET", "/resource-locks", key="resource_locks", params=query))

    def _act(self, share_id: str, body: Json) -> requests.Response:
        path, missing = f"/shares/{segment(share_id)}/action", ShareNotFound(share_id=share_id)
        return self._service.answer("POST", path, missing, json=body)

    def _ask(self, method: str, path: str, share_id: str, **options: Any) -> Any:
        return self._service.ask(method, path, missing=ShareNotFound(share_id=share_id), **options)
