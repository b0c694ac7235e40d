"""A thin client of the Block Storage API v3 and its attachments.

Requests made for a user while a request is accepted carry that user's token; workflows later use the
service's own credentials. A service token goes along with both: the Block Storage service lets nobody
but services take a volume from a server. Every call may be made twice: attachments are found again by
the server and the volume they join.
"""

import contextlib
from typing import Any

import msgspec
import requests
from keystoneauth1 import exceptions as ksa
from keystoneauth1.adapter import Adapter

from nova import errors
from nova.clients.http import Refusals, Service, segment
from nova.structs.context import Context

# Attachments came with 3.27, os-complete with 3.44, reimaging with 3.68.
_MICROVERSION = "3.44"
_REIMAGING = "3.68"
# A storage system may need this long to export a volume to a host.
_EXPORTING_S = 180
# While a volume has one of these, its creation is under way.
_BEING_MADE = ("creating", "downloading", "restoring-backup")
# While a volume has one of these, nothing else can be done with it; it passes.
_CHANGING = ("attaching", "detaching", "extending", "retyping", "maintenance", "backing-up", "uploading")
_REFUSALS: Refusals = {
    403: errors.Forbidden,
    404: errors.NotFound,
    413: errors.QuotaExceeded,
    None: errors.Invalid,
}

Json = dict[str, Any]


class VolumeNotFound(errors.NotFound):
    text = "Volume {volume_id} could not be found."


class VolumeIsEncrypted(errors.Invalid):
    """Its content would be written in the clear: no host here opens an encrypted volume."""

    text = "Volume {volume_id} is encrypted, which this release does not support for servers."


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
    """The part of a volume's description that is used here. image: metadata of the image it was made from.
    project_id: whose it is; None where that is not told."""

    id: str
    status: str
    size_gb: int
    name: str = ""
    description: str | None = None
    project_id: str | None = None
    zone: str | None = None
    is_bootable: bool = False
    is_multiattach: bool = False
    is_encrypted: bool = False
    volume_type: str | None = None
    snapshot_id: str | None = None
    created_at: str | None = None
    metadata: dict[str, str] = {}
    image: dict[str, str] = {}
    attachments: tuple[dict[str, Any], ...] = ()


class Volumes:
    """The Block Storage service. Any method raises errors.Unavailable when it cannot be reached."""

    def __init__(self, adapter: Adapter) -> None:
        self._service = Service("The Block Storage service", adapter, _REFUSALS)

    def get(self, volume_id: str, context: Context | None = None) -> Volume:
        """Raises VolumeNotFound."""
        path, missing = f"/volumes/{segment(volume_id)}", VolumeNotFound(volume_id=volume_id)
        return _volume(self._ask("GET", path, "volume", context=context, missing=missing))

    def find(self, context: Context, **query: str | int) -> list[Volume]:
        """The user's volumes; query is the Block Storage API's."""
        return [
            _volume(volume) for volume in self._ask("GET", "/volumes/detail", "volumes", context=context, params=query)
        ]

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
        """Ask for a volume; its status is creating until it is ready. Raises QuotaExceeded, Invalid."""
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
        return _volume(self._ask("POST", "/volumes", "volume", context=context, json={"volume": sent}))

    def delete(self, volume_id: str, context: Context | None = None) -> None:
        """Delete the volume, if it exists.

        Raises VolumeNotReady while it is being created, Invalid when something else needs it, such as a snapshot.
        """
        with contextlib.suppress(errors.NotFound):
            try:
                self._answer("DELETE", f"/volumes/{segment(volume_id)}", context=context)
            except errors.Invalid:
                _check_is_made(self.get(volume_id, context))
                # It may have been made since it was refused; what is refused now is needed.
                self._answer("DELETE", f"/volumes/{segment(volume_id)}", context=context)

    # Attachments: each joins a server and a volume.

    def attachments(self, instance_id: str, volume_id: str | None = None) -> list[Json]:
        """Of a server in any project, and of one volume if it is named, on whichever host."""
        query = {"all_tenants": 1, "instance_id": instance_id}
        if volume_id is not None:
            query["volume_id"] = volume_id
        return list(self._ask("GET", "/attachments/detail", "attachments", params=query))

    def servers_of(self, volume_id: str) -> list[str]:
        """The servers that have a volume."""
        query = {"all_tenants": 1, "volume_id": volume_id}
        attachments = self._ask("GET", "/attachments/detail", "attachments", params=query)
        return list(dict.fromkeys(str(each["instance"]) for each in attachments if each.get("instance")))

    def reserve(
        self, instance_id: str, volume_id: str, other_than: frozenset[str] = frozenset(), project_id: str | None = None
    ) -> str:
        """The attachment that keeps the volume for the server; an existing one is used.

        project_id: whose the volume must be, where the service says whose it is; None: it may be anybody's. Raises
        VolumeNotFound, VolumeNotReady while it is being created or something else is being done with it, Invalid when
        it is in use, VolumeIsEncrypted.
        """
        attachment_id = self._reserved(instance_id, volume_id, other_than)
        # Nobody gives away a volume that is reserved: whose it is now, it stays.
        if project_id is not None and self.get(volume_id).project_id not in (None, project_id):
            self.release(attachment_id)
            raise VolumeNotFound(volume_id=volume_id)
        return attachment_id

    def _reserved(self, instance_id: str, volume_id: str, other_than: frozenset[str]) -> str:
        for attachment in self.attachments(instance_id, volume_id):
            if attachment["id"] not in other_than:
                return str(attachment["id"])
        volume = self.get(volume_id)
        _check_is_made(volume)
        # A server that has it already, from an older release, keeps it.
        if not other_than:
            check_is_plain(volume)
        try:
            return str(self._attach(instance_id, volume_id)["id"])
        except errors.Invalid:
            if other_than or volume.is_multiattach:
                _check_is_idle(self.get(volume_id))
            raise

    def connect(self, attachment_id: str, connector: Json, device_name: str | None = None) -> Json:
        """Export the volume to a host; how the host reaches it: driver_volume_type, data, multiattach.

        device_name: the device that the Block Storage service shows for this attachment.
        """
        body = {"attachment": {"connector": connector | _named(device_name)}}
        path = f"/attachments/{attachment_id}"
        return self._reached_by(self._ask("PUT", path, "attachment", json=body, at_least_s=_EXPORTING_S))

    def connect_beside(
        self,
        instance_id: str,
        volume_id: str,
        beside: frozenset[str],
        connector: Json,
        device_name: str | None = None,
        project_id: str | None = None,
    ) -> tuple[str, Json]:
        """Export the volume to one more host of a server that moves: the new attachment, and what connect() gives.

        beside: the attachments that stay as they are; any other of this server is one nobody heard of.
        project_id: see reserve(). Raises VolumeNotFound, VolumeNotReady while something else is being done with the volume, Invalid.
        """
        there = [str(attachment["id"]) for attachment in self.attachments(instance_id, volume_id)]
        unknown = [each for each in there if each not in beside]
        if beside.isdisjoint(there):
            attachment_id = self.reserve(instance_id, volume_id, beside, project_id)
            for other in set(unknown) - {attachment_id}:
                self.release(other)
            return attachment_id, self.connect(attachment_id, connector, device_name)
        for other in unknown:
            self.release(other)
        try:
            # A reserved attachment cannot be opened while another is: only one that is opened as it is made.
            made = self._attach(instance_id, volume_id, connector=connector | _named(device_name))
        except errors.Invalid:
            _check_is_idle(self.get(volume_id))
            raise
        return str(made["id"]), self._reached_by(made)

    def _attach(self, instance_id: str, volume_id: str, **options: Json) -> Json:
        body = {"attachment": {"instance_uuid": instance_id, "volume_uuid": volume_id, **options}}
        missing, granted_s = VolumeNotFound(volume_id=volume_id), _EXPORTING_S if options else 0
        return dict(self._ask("POST", "/attachments", "attachment", missing=missing, json=body, at_least_s=granted_s))

    def _reached_by(self, attachment: Json) -> Json:
        """How a host reaches the volume of an attachment that is open to it."""
        # The API shows the type and what belongs to it side by side.
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
        """The server has the volume: its status becomes in-use."""
        self._answer("POST", f"/attachments/{attachment_id}/action", json={"os-complete": attachment_id})

    def release(self, attachment_id: str) -> None:
        """Delete the attachment, if it exists: the server has the volume no more."""
        with contextlib.suppress(errors.NotFound):
            self._answer("DELETE", f"/attachments/{attachment_id}")

    def begin_detaching(self, volume_id: str) -> None:
        """Show the volume as detaching. Raises VolumeNotReady while something else is being done with it."""
        try:
            self._act(volume_id, {"os-begin_detaching": {}})
        except errors.Invalid:
            volume = self.get(volume_id)
            # Shown so already: by an earlier request, or for another server that shares the volume.
            if volume.status != "detaching":
                _check_is_idle(volume)
                raise

    def roll_detaching(self, volume_id: str) -> None:
        """The undo of begin_detaching(): the volume is shown as in-use."""
        self._act(volume_id, {"os-roll_detaching": {}})

    def reimage(self, volume_id: str, image_id: str) -> None:
        """Write an image over a volume that is not in use."""
        body = {"os-reimage": {"image_id": image_id, "reimage_reserved": True}}
        self._act(volume_id, body, _REIMAGING)

    def extend(self, volume_id: str, size_gb: int, context: Context | None = None) -> None:
        """Let a volume grow, one in use too. Raises VolumeNotFound, Invalid for a size that is not more, QuotaExceeded."""
        self._act(volume_id, {"os-extend": {"new_size": size_gb}}, context=context)

    # Snapshots

    def snapshot(self, snapshot_id: str, context: Context | None = None) -> Json:
        """Raises SnapshotNotFound."""
        missing = SnapshotNotFound(snapshot_id=snapshot_id)
        return dict(
            self._ask("GET", f"/snapshots/{segment(snapshot_id)}", "snapshot", context=context, missing=missing)
        )

    def snapshots(self, context: Context) -> "list[Json]":
        """The snapshots this user sees."""
        return list(self._ask("GET", "/snapshots/detail", "snapshots", context=context))

    def create_snapshot(
        self,
        volume_id: str,
        name: str,
        context: Context | None = None,
        description: str | None = None,
        force: bool = True,
    ) -> Json:
        """Ask for a snapshot; its status is creating at first. force: of a volume in use too. Raises VolumeNotFound."""
        body = {"volume_id": volume_id, "name": name, "description": description, "force": force}
        missing = VolumeNotFound(volume_id=volume_id)
        return dict(
            self._ask("POST", "/snapshots", "snapshot", context=context, missing=missing, json={"snapshot": body})
        )

    def check_snapshot(self, snapshot_id: str) -> None:
        """Raises SnapshotNotFound, SnapshotNotReady while it is being created, SnapshotFailed."""
        status = self.snapshot(snapshot_id)["status"]
        if status in ("error", "deleting", "error_deleting"):
            raise SnapshotFailed(snapshot_id=snapshot_id, status=status)
        if status != "available":
            raise SnapshotNotReady(snapshot_id=snapshot_id, status=status)

    def delete_snapshot(self, snapshot_id: str, context: Context | None = None) -> None:
        """Delete the snapshot, if it exists."""
        with contextlib.suppress(errors.NotFound):
            self._answer("DELETE", f"/snapshots/{segment(snapshot_id)}", context=context)

    def update_snapshot_status(self, snapshot_id: str, status: str, progress: str = "90%") -> None:
        """Report the progress of a snapshot that a host makes of an attached volume."""
        body = {"os-update_snapshot_status": {"status": status, "progress": progress}}
        self._answer("POST", f"/snapshots/{segment(snapshot_id)}/action", json=body)

    def _act(
        self, volume_id: str, body: Json, microversion: str = _MICROVERSION, context: Context | None = None
    ) -> None:
        path, missing = f"/volumes/{segment(volume_id)}/action", VolumeNotFound(volume_id=volume_id)
        self._answer("POST", path, context, missing=missing, microversion=microversion, json=body)

    def _ask(self, method: str, path: str, key: str, **options: Any) -> Any:
        return self._service.part(self._answer(method, path, **options), key)

    def _answer(
        self,
        method: str,
        path: str,
        context: Context | None = None,
        microversion: str = _MICROVERSION,
        **options: Any,
    ) -> requests.Response:
        headers = {"OpenStack-API-Version": f"volume {microversion}"}
        try:
            headers["X-Service-Token"] = self._service.adapter.get_token() or ""
            if context is not None and context.auth_token:
                options |= self._endpoint_for(context)
        except ksa.ClientException as error:
            raise self._service.unreachable(error) from error
        return self._service.answer(method, path, context=context, headers=headers, **options)

    def _endpoint_for(self, context: Context) -> Json:
        """Where a catalog puts this service's project into the endpoint, a user's token needs the user's project there."""
        adapter = self._service.adapter
        endpoint, own = (adapter.get_endpoint() or "").rstrip("/"), adapter.get_project_id()
        if not own or not endpoint.endswith(f"/{own}"):
            return {}
        return {"endpoint_override": endpoint.removesuffix(own) + context.project_id}


def check_is_plain(volume: Volume) -> None:
    """Raises VolumeIsEncrypted."""
    if volume.is_encrypted:
        raise VolumeIsEncrypted(volume_id=volume.id)


def _named(device_name: str | None) -> Json:
    return {"mountpoint": device_name} if device_name else {}


def _check_is_idle(volume: Volume) -> None:
    if volume.status in _CHANGING:
        raise VolumeNotReady(volume_id=volume.id, status=volume.status)


def _check_is_made(volume: Volume) -> None:
    if volume.status in _BEING_MADE:
        raise VolumeNotReady(volume_id=volume.id, status=volume.status)


def _volume(document: Json) -> Volume:
    return Volume(
        id=document["id"],
        status=document.get("status") or "",
        size_gb=document.get("size") or 0,
        name=document.get("name") or "",
        description=document.get("description"),
        project_id=document.get("os-vol-tenant-attr:tenant_id"),
        zone=document.get("availability_zone"),
        is_bootable=str(document.get("bootable")).lower() == "true",
        is_multiattach=bool(document.get("multiattach")),
        is_encrypted=bool(document.get("encrypted")),
        volume_type=document.get("volume_type"),
        snapshot_id=document.get("snapshot_id"),
        created_at=document.get("created_at"),
        metadata=document.get("metadata") or {},
        image={key: str(value) for key, value in (document.get("volume_image_metadata") or {}).items()},
        attachments=tuple(document.get("attachments") or ()),
    )
