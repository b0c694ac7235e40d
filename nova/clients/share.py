"""A thin client of the Shared File Systems API v2.

What is asked for a user while a request is accepted carries that user's token, so that the service
decides what the user may see; access is granted and taken later with this service's own credentials.
Every call may be made twice: access rules and locks are found again by what they are for.
"""

from typing import Any

import msgspec
import requests
from keystoneauth1.adapter import Adapter

from nova import errors
from nova.clients.http import Service, segment
from nova.structs.context import Context

# Locks came with 2.81, locks on access rules with 2.82.
_MICROVERSION = "2.82"

Json = dict[str, Any]


class ShareNotFound(errors.NotFound):
    text = "Share {share_id} could not be found."


class ShareAccessNotReady(errors.Unavailable):
    """It may be soon: worth another try."""

    text = "Access of {address} to share {share_id} is not active yet."


class ShareAccessFailed(errors.StepFailed):
    text = "Access of {address} to share {share_id} could not be granted: {reason}"


class ShareFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What of a share counts here."""

    id: str
    status: str
    protocol: str


class Shares:
    """The Shared File Systems service. Any method raises errors.Unavailable when it cannot be reached."""

    def __init__(self, adapter: Adapter) -> None:
        self._service = Service("The Shared File Systems service", adapter)

    def get(self, share_id: str, context: Context) -> ShareFacts:
        """Raises ShareNotFound, also for one the user may not see."""
        found = self._call("GET", f"/shares/{segment(share_id)}", context, share_id=share_id, key="share")
        return ShareFacts(id=found["id"], status=found["status"], protocol=(found.get("share_proto") or "").upper())

    def export_location(self, share_id: str, context: Context) -> str:
        """Where the share is mounted from: the preferred of its locations. Raises ShareNotFound for a share without one."""
        path = f"/shares/{segment(share_id)}/export_locations"
        found = self._call("GET", path, context, share_id=share_id, key="export_locations")
        usable = [one for one in found if not one.get("is_admin_only")]
        if not usable:
            raise ShareNotFound(f"Share {share_id} has no export location.")
        return str(max(usable, key=lambda one: bool(one.get("preferred")))["path"])

    def grant(self, share_id: str, address: str) -> None:
        """Let a host read and write the share; a rule that is there already is kept.

        The rule cannot be removed by the share's owner. Raises ShareNotFound, ShareAccessNotReady while
        the rule is being applied, ShareAccessFailed.
        """
        rule = self._rule(share_id, address)
        if rule is None:
            asked = {
                "access_type": "ip",
                "access_to": address,
                "access_level": "rw",
                "lock_visibility": True,
                "lock_deletion": True,
                "lock_reason": "Servers on this host have the share.",
            }
            rule = self._act(share_id, {"allow_access": asked}, key="access")
        if rule["state"] == "error":
            raise ShareAccessFailed(share_id=share_id, address=address, reason="the rule is in error")
        if rule["state"] != "active":
            raise ShareAccessNotReady(share_id=share_id, address=address)

    def deny(self, share_id: str, address: str) -> None:
        """Take a host's access away; a rule or a share that is not there is done."""
        try:
            rule = self._rule(share_id, address)
            if rule is not None:
                self._act(share_id, {"deny_access": {"access_id": rule["id"], "unrestrict": True}})
        except errors.NotFound:
            return

    def lock(self, share_id: str, reason: str) -> None:
        """Keep the share from being deleted; one lock for each reason. Raises ShareNotFound."""
        if not self._locks(share_id, reason):
            wanted = {
                "resource_id": share_id,
                "resource_type": "share",
                "resource_action": "delete",
                "lock_reason": reason,
            }
            self._call("POST", "/resource-locks", share_id=share_id, json={"resource_lock": wanted})

    def unlock(self, share_id: str, reason: str) -> None:
        """One that is not there is done."""
        for one in self._locks(share_id, reason):
            try:
                self._call("DELETE", f"/resource-locks/{one['id']}")
            except errors.NotFound:
                continue

    def _rule(self, share_id: str, address: str) -> Json | None:
        query = {"share_id": share_id, "access_type": "ip", "access_to": address}
        found = self._call("GET", "/share-access-rules", share_id=share_id, params=query, key="access_list")
        return next((one for one in found if one["access_to"] == address), None)

    def _locks(self, share_id: str, reason: str) -> list[Json]:
        query = {"resource_id": share_id, "lock_reason": reason, "all_projects": 1}
        return self._call("GET", "/resource-locks", params=query, key="resource_locks")

    def _act(self, share_id: str, body: Json, key: str | None = None) -> Any:
        return self._call("POST", f"/shares/{segment(share_id)}/action", share_id=share_id, json=body, key=key)

    def _call(
        self,
        method: str,
        path: str,
        context: Context | None = None,
        share_id: str | None = None,
        key: str | None = None,
        **kwargs: Any,
    ) -> Any:
        """What the answer holds under key."""
        headers = {
            "OpenStack-API-Version": f"shared-file-system {_MICROVERSION}",
            "X-OpenStack-Manila-API-Version": _MICROVERSION,
        }
        response = self._service.ask(method, path, context, headers=headers, **kwargs)
        if response.status_code >= 400:
            raise _refusal(response, share_id)
        return self._service.part(response, key) if key else None


def _refusal(response: requests.Response, share_id: str | None) -> errors.DomainError:
    status, text = response.status_code, response.text[:300]
    # What a user may not see is not there for that user.
    if status == 404 or (status == 403 and response.request.method == "GET"):
        return ShareNotFound(share_id=share_id) if share_id else errors.NotFound(text)
    if status == 403:
        return errors.Forbidden(text)
    return errors.Invalid(text)
