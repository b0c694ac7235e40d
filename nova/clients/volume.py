"""A thin client of the Block Storage API v3 and its attachments.

What is done for a user while a request is accepted carries that user's token; what workflows do
later is done with the service's own credentials. A service token goes along with both: the Block
Storage service lets nobody but services take a volume from a server. Every call may be made twice: attachments are
found again by the server and the volume they join.
"""

from typing import Any

import msgspec
import requests
from keystoneauth1 import exceptions as ksa
from keystoneauth1.adapter import Adapter

from nova import errors
from nova.clients.http import Service, segment
from nova.structs.context import Context

# Attachments came with 3.27, os-complete with 3.44, reimaging with 3.68.
_MICROVERSION = "3.44"
_REIMAGING = "3.68"
# A storage system may take its time to let a host in.
_EXPORTING_S = 180

Json = dict[str, Any]


class VolumeNotFound(errors.NotFound):
    text = "Volume {volume_id} could not be found."


class SnapshotNotFound(errors.NotFound):
    text = "Snapshot {snapshot_id} could not be found."


class VolumeNotReady(errors.Unavailable):
    """It may be soon: worth another try."""

    text = "Volume {volume_id} is {status}, not available yet."


class SnapshotNotReady(errors.Unavailable):
    """It may be soon: worth another try."""

    text = "Snapshot {snapshot_id} is {status}, not available yet."


class SnapshotFailed(errors.StepFailed):
    text = "Snapshot {snapshot_id} is {status}."


class Volume(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What of a volume counts here. image: what the image it was made from said of itself."""

    id: str
    status: str
    size_gb: int
    name: str = ""
    description: str | None = None
    zone: str | None = None
    is_bootable: bool = False
    is_multiattach: bool = False
    volume_type: str | None = None
    snapshot_id: str | None = None
    created_at: str | None = None
    metadata: dict[str, str] = {}
    image: dict[str, str] = {}
    attachments: tuple[dict[str, Any], ...] = ()


class Volumes:
    """The Block Storage service. Any method raises errors.Unavailable when it cannot be reached."""

    def __init__(self, adapter: Adapter) -> None:
        self._service = Service("The Block Storage service", adapter)

    def get(self, volume_id: str, context: Context | None = None) -> Volume:
        """Raises VolumeNotFound."""
        return _volume(self._call("GET", f"/volumes/{segment(volume_id)}", context, volume_id=volume_id, key="volume"))

    def find(self, context: Context, **query: str | int) -> list[Volume]:
        found = self._call("GET", "/volumes/detail", context, params=query, key="volumes")
        return [_volume(one) for one in found]

    def create(
        self,
        size_gb: int,
        context: Context | None = None,
        name: str = "",
        description: str | None = None,
        image_id: str | None = None,
        snapshot_id: str | None = None,
        volume_type: str | None = None,
        zone: str | None = None,
        metadata: dict[str, str] | None = None,
    ) -> Volume:
        """Ask for a volume; it is made while its status is creating. Raises QuotaExceeded, Invalid."""
        body = {
            "size": size_gb,
            "name": name,
            "description": description,
            "imageRef": image_id,
            "snapshot_id": snapshot_id,
            "volume_type": volume_type,
            "availability_zone": zone,
            "metadata": metadata or {},
        }
        sent = {key: value for key, value in body.items() if value is not None}
        return _volume(self._call("POST", "/volumes", context, json={"volume": sent}, key="volume"))

    def delete(self, volume_id: str, context: Context | None = None) -> None:
        """One that is not there is done.

        Raises VolumeNotReady while it is being made, Invalid when something else needs it, such as a snapshot.
        """
        try:
            self._call("DELETE", f"/volumes/{segment(volume_id)}", context, volume_id=volume_id)
        except VolumeNotFound:
            return
        except errors.Invalid as error:
            self._check_made(self.get(volume_id, context))
            raise error

    # Attachments: the joint of a server and a volume.

    def attachments(self, instance_id: str, volume_id: str | None = None) -> list[Json]:
        query = {"all_tenants": 1, "instance_id": instance_id}
        if volume_id is not None:
            query["volume_id"] = volume_id
        return self._call("GET", "/attachments/detail", params=query, key="attachments")

    def servers_of(self, volume_id: str) -> list[str]:
        """The servers that have a volume."""
        query = {"all_tenants": 1, "volume_id": volume_id}
        found = self._call("GET", "/attachments/detail", params=query, key="attachments")
        return list(dict.fromkeys(str(one["instance"]) for one in found if one.get("instance")))

    def reserve(self, instance_id: str, volume_id: str, other_than: frozenset[str] = frozenset()) -> str:
        """The attachment that keeps the volume for the server; one that is there already is taken.

        Raises VolumeNotFound, VolumeNotReady while it is being made, Invalid when it is in use.
        """
        for one in self.attachments(instance_id, volume_id):
            if one["id"] not in other_than:
                return str(one["id"])
        volume = self.get(volume_id)
        self._check_made(volume)
        body = {"attachment": {"instance_uuid": instance_id, "volume_uuid": volume_id}}
        return str(self._call("POST", "/attachments", json=body, volume_id=volume_id, key="attachment")["id"])

    def _check_made(self, volume: Volume) -> None:
        if volume.status in ("creating", "downloading", "restoring-backup"):
            raise VolumeNotReady(volume_id=volume.id, status=volume.status)

    def connect(self, attachment_id: str, connector: Json, device_name: str | None = None) -> Json:
        """Open the volume to a host; how the host reaches it: driver_volume_type, data, multiattach.

        device_name: what the Block Storage service says of where the volume is.
        """
        named = {"mountpoint": device_name} if device_name else {}
        body = {"attachment": {"connector": connector | named}}
        path = f"/attachments/{attachment_id}"
        attachment = self._call("PUT", path, json=body, key="attachment", at_least_s=_EXPORTING_S)
        # The API tells the kind and what belongs to it side by side.
        data = dict(attachment["connection_info"])
        kind = data.pop("driver_volume_type", None)
        if kind is None:
            raise self._service.unavailable("it does not say how to reach a volume")
        return {
            "driver_volume_type": kind,
            "data": data,
            "multiattach": self.get(attachment["volume_id"]).is_multiattach,
        }

    def complete(self, attachment_id: str) -> None:
        """The server has it: the volume is in use."""
        self._call("POST", f"/attachments/{attachment_id}/action", json={"os-complete": attachment_id})

    def release(self, attachment_id: str) -> None:
        """Take the volume from the server; an attachment that is not there is done."""
        try:
            self._call("DELETE", f"/attachments/{attachment_id}")
        except errors.NotFound:
            return

    def begin_detaching(self, volume_id: str) -> None:
        self._act(volume_id, {"os-begin_detaching": {}})

    def roll_detaching(self, volume_id: str) -> None:
        self._act(volume_id, {"os-roll_detaching": {}})

    def reimage(self, volume_id: str, image_id: str) -> None:
        """Write an image over a volume that nobody uses now."""
        body = {"os-reimage": {"image_id": image_id, "reimage_reserved": True}}
        self._act(volume_id, body, _REIMAGING)

    # Snapshots

    def snapshot(self, snapshot_id: str, context: Context | None = None) -> Json:
        """Raises SnapshotNotFound."""
        try:
            return self._call("GET", f"/snapshots/{segment(snapshot_id)}", context, key="snapshot")
        except errors.NotFound as error:
            raise SnapshotNotFound(snapshot_id=snapshot_id) from error

    def snapshots(self, context: Context) -> "list[Json]":
        return self._call("GET", "/snapshots/detail", context, key="snapshots")

    def create_snapshot(
        self,
        volume_id: str,
        name: str,
        context: Context | None = None,
        description: str | None = None,
        force: bool = True,
    ) -> Json:
        body = {"volume_id": volume_id, "name": name, "description": description, "force": force}
        return self._call("POST", "/snapshots", context, json={"snapshot": body}, volume_id=volume_id, key="snapshot")

    def check_snapshot(self, snapshot_id: str) -> None:
        """Raises SnapshotNotFound, SnapshotNotReady while it is being made, SnapshotFailed."""
        status = self.snapshot(snapshot_id)["status"]
        if status in ("error", "deleting", "error_deleting"):
            raise SnapshotFailed(snapshot_id=snapshot_id, status=status)
        if status != "available":
            raise SnapshotNotReady(snapshot_id=snapshot_id, status=status)

    def delete_snapshot(self, snapshot_id: str, context: Context | None = None) -> None:
        """One that is not there is done."""
        try:
            self._call("DELETE", f"/snapshots/{segment(snapshot_id)}", context)
        except errors.NotFound:
            return

    def update_snapshot_status(self, snapshot_id: str, status: str, progress: str = "90%") -> None:
        """Tell how far a snapshot is that a host makes of an attached volume."""
        body = {"os-update_snapshot_status": {"status": status, "progress": progress}}
        self._call("POST", f"/snapshots/{segment(snapshot_id)}/action", json=body)

    def _act(self, volume_id: str, body: Json, microversion: str = _MICROVERSION) -> None:
        self._call(
            "POST", f"/volumes/{segment(volume_id)}/action", json=body, volume_id=volume_id, microversion=microversion
        )

    def _call(
        self,
        method: str,
        path: str,
        context: Context | None = None,
        volume_id: str | None = None,
        microversion: str = _MICROVERSION,
        key: str | None = None,
        **kwargs: Any,
    ) -> Any:
        """What the answer holds under key."""
        headers = {"OpenStack-API-Version": f"volume {microversion}"}
        try:
            headers["X-Service-Token"] = self._service.adapter.get_token() or ""
            if context is not None and context.auth_token:
                kwargs |= self._address_for(context)
        except ksa.ClientException as error:
            raise self._service.silent(error) from error
        response = self._service.ask(method, path, context, headers=headers, **kwargs)
        if response.status_code >= 400:
            raise _refusal(response, volume_id)
        return self._service.part(response, key) if key else None

    def _address_for(self, context: Context) -> Json:
        """A catalog may write the project into the endpoint: a user's token wants the user's, not this service's own."""
        adapter = self._service.adapter
        endpoint, own = (adapter.get_endpoint() or "").rstrip("/"), adapter.get_project_id()
        if not own or not endpoint.endswith(f"/{own}"):
            return {}
        return {"endpoint_override": endpoint.removesuffix(own) + context.project_id}


def _refusal(response: requests.Response, volume_id: str | None) -> errors.DomainError:
    status = response.status_code
    text = _message(response)
    if status == 404:
        return VolumeNotFound(volume_id=volume_id) if volume_id else errors.NotFound(text)
    if status == 403:
        return errors.Forbidden(text)
    if status == 413:
        return errors.QuotaExceeded(text)
    return errors.Invalid(text)


def _message(response: requests.Response) -> str:
    try:
        inner = next(iter(response.json().values()))
        return str(inner["message"])
    except (ValueError, KeyError, TypeError, StopIteration, AttributeError):
        return response.text[:300]


def _volume(document: Json) -> Volume:
    return Volume(
        id=document["id"],
        status=document.get("status") or "",
        size_gb=document.get("size") or 0,
        name=document.get("name") or "",
        description=document.get("description"),
        zone=document.get("availability_zone"),
        is_bootable=str(document.get("bootable")).lower() == "true",
        is_multiattach=bool(document.get("multiattach")),
        volume_type=document.get("volume_type"),
        snapshot_id=document.get("snapshot_id"),
        created_at=document.get("created_at"),
        metadata=document.get("metadata") or {},
        image={key: str(value) for key, value in (document.get("volume_image_metadata") or {}).items()},
        attachments=tuple(document.get("attachments") or ()),
    )
