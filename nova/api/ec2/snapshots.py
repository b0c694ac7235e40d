"""Snapshots of volumes. Source: EC2 API reference, "Amazon EBS"."""

from typing import Any

from nova import errors as domain
from nova.api.ec2.call import Call
from nova.api.ec2.declaration import Listing, action
from nova.api.ec2.listing import path
from nova.clock import parse_utc

Item = dict[str, Any]

_RULE = "os_compute_api:os-volumes:snapshots:"
_STATES = {"creating": "pending", "available": "completed", "backing-up": "completed", "deleting": "completed"}


@action(
    "DescribeSnapshots",
    policy=f"{_RULE}detail",
    takes=("OwnerIds",),
    holds={"RestorableByUserIds": ("self",)},
    lists=Listing(
        "Snapshots",
        "SnapshotId",
        "SnapshotIds",
        "snap",
        {
            "snapshot-id": path("SnapshotId"),
            "volume-id": path("VolumeId"),
            "volume-size": path("VolumeSize"),
            "status": path("State"),
            "description": path("Description"),
            "owner-id": path("OwnerId"),
            "progress": path("Progress"),
            "start-time": path("StartTime"),
        },
    ),
)
def describe(call: Call) -> list[Item]:
    """The project's snapshots; nobody else's are shown by the Block Storage service."""
    owners = {call.project_id if owner == "self" else owner for owner in call.given.get("OwnerIds", ())}
    if owners and call.project_id not in owners:
        return []
    return _items(call, call.services.volumes.snapshots(call.context))


def _items(call: Call, snapshots: list[Item]) -> list[Item]:
    ids = call.ids.many("snap", (snapshot["id"] for snapshot in snapshots))
    volumes = call.ids.many("vol", (snapshot["volume_id"] for snapshot in snapshots))
    tags = call.tags()
    return [
        {
            "SnapshotId": ids[snapshot["id"]],
            "VolumeId": volumes[snapshot["volume_id"]],
            "State": _STATES.get(snapshot["status"], "error"),
            "StartTime": parse_utc(snapshot["created_at"]) if snapshot.get("created_at") else None,
            "Progress": "100%" if snapshot["status"] == "available" else "",
            "OwnerId": call.project_id,
            "Description": snapshot.get("description") or "",
            "VolumeSize": snapshot.get("size"),
            "Encrypted": False,
            "Tags": tags.get(str(ids[snapshot["id"]]), []),
        }
        for snapshot in snapshots
    ]


@action(
    "CreateSnapshot",
    policy=f"{_RULE}create",
    takes=("VolumeId", "Description", "TagSpecifications"),
    codes={domain.QuotaExceeded: "SnapshotLimitExceeded"},
)
def create(call: Call) -> Item:
    """Snapshot a volume, one in use too."""
    volume_id = call.ids.target("vol", call.given["VolumeId"])
    call.services.volumes.get(volume_id, call.context)
    tags = call.wanted_tags("snapshot")
    description = call.given.get("Description")
    made = call.services.volumes.create_snapshot(volume_id, tags.get("Name", ""), call.context, description)
    call.tag(call.ids.one("snap", made["id"]), tags)
    return _items(call, [made])[0]


@action(
    "DeleteSnapshot", policy=f"{_RULE}delete", takes=("SnapshotId",), codes={domain.Invalid: "InvalidSnapshot.InUse"}
)
def delete(call: Call) -> None:
    """Delete a snapshot; one that is in use is refused (InvalidSnapshot.InUse)."""
    snapshot = call.services.volumes.snapshot(call.ids.target("snap", call.given["SnapshotId"]), call.context)
    call.services.volumes.delete_snapshot(snapshot["id"], call.context)
