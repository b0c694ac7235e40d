"""Volumes of the Block Storage service. Source: EC2 API reference, "Amazon EBS"."""

from typing import Any

from nova import errors as domain
from nova.api.compute import volume_attachments
from nova.api.compute.versions import MAXIMUM
from nova.api.ec2 import errors
from nova.api.ec2.call import Call
from nova.api.ec2.declaration import Codes, Listing, action
from nova.api.ec2.listing import path
from nova.clients.volume import Volume
from nova.clock import parse_utc, utcnow
from nova.http.schema import checker
from nova.structs.instance import BlockDevice, Instance

Item = dict[str, Any]

_RULE = "os_compute_api:os-volumes:"
_ATTACHMENTS = "os_compute_api:os-volumes-attachments:"
_STATES = {
    "available": "available",
    "in-use": "in-use",
    "reserved": "in-use",
    "attaching": "in-use",
    "detaching": "in-use",
    "creating": "creating",
    "downloading": "creating",
    "restoring-backup": "creating",
    "deleting": "deleting",
}
# Where the token by which a client repeats a request is kept with the volume, and what was requested.
_TOKEN, _REQUEST = "ec2_client_token", "ec2_client_request"
_MOST_GB = 16384
_FULL: Codes = {domain.QuotaExceeded: "VolumeLimitExceeded"}
_check_attach = checker(volume_attachments.ATTACH, MAXIMUM, False)

# The server that has a volume, and as which device.
Holder = tuple[Instance, BlockDevice]


def holders(call: Call) -> dict[str, list[Holder]]:
    """The servers of the project that have volumes, by the volume's id: from their records."""
    found: dict[str, list[Holder]] = {}
    for server in call.servers():
        for device in server.block_devices:
            if device.volume_id:
                found.setdefault(device.volume_id, []).append((server, device))
    return found


@action(
    "DescribeVolumes",
    policy=f"{_RULE}detail",
    lists=Listing(
        "Volumes",
        "VolumeId",
        "VolumeIds",
        "vol",
        {
            "volume-id": path("VolumeId"),
            "status": path("State"),
            "size": path("Size"),
            "snapshot-id": path("SnapshotId"),
            "availability-zone": path("AvailabilityZone"),
            "volume-type": path("VolumeType"),
            "encrypted": path("Encrypted"),
            "multi-attach-enabled": path("MultiAttachEnabled"),
            "create-time": path("CreateTime"),
            "attachment.instance-id": path("Attachments", "InstanceId"),
            "attachment.device": path("Attachments", "Device"),
            "attachment.status": path("Attachments", "State"),
            "attachment.delete-on-termination": path("Attachments", "DeleteOnTermination"),
        },
    ),
)
def describe(call: Call) -> list[Item]:
    """The project's volumes, with the servers that have them."""
    return _items(call, call.services.volumes.find(call.context))


def _items(call: Call, volumes: list[Volume]) -> list[Item]:
    by_volume, tags = holders(call), call.tags()
    ids = call.ids.many("vol", (volume.id for volume in volumes))
    snapshots = call.ids.many("snap", (volume.snapshot_id for volume in volumes))
    servers = call.ids.many("i", (server.uuid for held in by_volume.values() for server, _ in held))
    return [
        {
            "VolumeId": ids[volume.id],
            "State": _STATES.get(volume.status, "error" if "error" in volume.status else _by_use(by_volume, volume)),
            "Size": volume.size_gb,
            "AvailabilityZone": volume.zone or "",
            "SnapshotId": snapshots[volume.snapshot_id] or "",
            "VolumeType": volume.volume_type,
            "CreateTime": parse_utc(volume.created_at) if volume.created_at else None,
            "Encrypted": volume.is_encrypted,
            "MultiAttachEnabled": volume.is_multiattach,
            "Tags": tags.get(str(ids[volume.id]), []),
            "Attachments": [
                _attachment(str(ids[volume.id]), str(servers[server.uuid]), server, device)
                for server, device in by_volume.get(volume.id, ())
            ],
        }
        for volume in volumes
    ]


def _by_use(by_volume: dict[str, list[Holder]], volume: Volume) -> str:
    """Of a volume in a state that EC2 has no name for, such as extending."""
    return "in-use" if volume.id in by_volume else "available"


def _attachment(volume_id: str, instance_id: str, server: Instance, device: BlockDevice, state: str = "") -> Item:
    return {
        "VolumeId": volume_id,
        "InstanceId": instance_id,
        "Device": device.device_name or "",
        "State": state or ("attached" if device.connection_info or device.attachment_id else "attaching"),
        "AttachTime": server.launched_at or server.created_at,
        "DeleteOnTermination": device.delete_on_termination,
    }


@action(
    "DescribeVolumeStatus",
    policy=f"{_RULE}detail",
    lists=Listing(
        "VolumeStatuses",
        "VolumeId",
        "VolumeIds",
        "vol",
        {"availability-zone": path("AvailabilityZone"), "volume-status.status": path("VolumeStatus", "Status")},
    ),
)
def describe_status(call: Call) -> list[Item]:
    """impaired where the Block Storage service calls a volume's state an error."""
    return [
        {
            "VolumeId": item["VolumeId"],
            "AvailabilityZone": item["AvailabilityZone"],
            "VolumeStatus": {"Status": "impaired" if item["State"] == "error" else "ok", "Details": []},
            "Actions": [],
            "Events": [],
        }
        for item in describe.handler(call)
    ]


@action(
    "CreateVolume",
    policy=f"{_RULE}create",
    takes=("AvailabilityZone", "Size", "SnapshotId", "VolumeType", "TagSpecifications", "ClientToken"),
    holds={"Encrypted": (False,), "MultiAttachEnabled": (False,)},
    codes=_FULL,
)
def create(call: Call) -> Item:
    """A volume, empty or of a snapshot. The token of a repeated request is found with the volume it made."""
    given, volumes = call.given, call.services.volumes
    tags = call.wanted_tags("volume")
    snapshot = None
    if "SnapshotId" in given:
        snapshot = volumes.snapshot(call.ids.target("snap", given["SnapshotId"]), call.context)
    size_gb = given.get("Size", snapshot and snapshot["size"])
    if size_gb is None:
        raise errors.missing_parameter("Size")
    if not 1 <= size_gb <= _MOST_GB:
        raise errors.bad_value("Size", size_gb, f"It is between 1 and {_MOST_GB} GiB.")
    metadata = _kept_token(call)
    volume = _made_before(call, metadata) or volumes.create(
        size_gb,
        call.context,
        name=tags.get("Name", ""),
        snapshot_id=snapshot and snapshot["id"],
        volume_type=given.get("VolumeType"),
        zone=given.get("AvailabilityZone"),
        metadata=metadata,
    )
    call.tag(call.ids.one("vol", volume.id), tags)
    return _items(call, [volume])[0]


def _kept_token(call: Call) -> dict[str, str]:
    token = call.given.get("ClientToken")
    if token is None:
        return {}
    if not (token.isascii() and token.isprintable() and 0 < len(token) <= 64):
        raise errors.bad_value("ClientToken", token)
    return {_TOKEN: token, _REQUEST: call.digest()}


def _made_before(call: Call, metadata: dict[str, str]) -> Volume | None:
    if not metadata:
        return None
    for volume in call.services.volumes.find(call.context):
        if volume.metadata.get(_TOKEN) == metadata[_TOKEN]:
            if volume.metadata.get(_REQUEST) != metadata[_REQUEST]:
                raise errors.BadRequest(domain.IdempotencyMismatch.text, "IdempotentParameterMismatch")
            found: Volume = volume
            return found
    return None


@action("DeleteVolume", policy=f"{_RULE}delete", takes=("VolumeId",), codes={domain.Invalid: "VolumeInUse"})
def delete(call: Call) -> None:
    """Delete a volume that no server has and that has no snapshots."""
    volume = call.services.volumes.get(call.ids.target("vol", call.given["VolumeId"]), call.context)
    call.services.volumes.delete(volume.id, call.context)


@action(
    "AttachVolume",
    policy=f"{_ATTACHMENTS}create",
    takes=("VolumeId", "InstanceId", "Device"),
    codes={domain.Invalid: "VolumeInUse"},
)
def attach(call: Call) -> Item:
    """Attach a volume; the answer does not wait for the guest to have it. The guest may see it by another name."""
    server = call.server(call.given["InstanceId"])
    volume_id = call.ids.target("vol", call.given["VolumeId"])
    call.services.volumes.get(volume_id, call.context)
    try:
        body = _check_attach({"volumeAttachment": {"volumeId": volume_id, "device": call.given["Device"]}})
    except domain.Invalid as error:
        raise errors.bad_value("Device", call.given["Device"]) from error
    volume_attachments.create.handler(call.on(server, body))
    device = BlockDevice(id="", source="volume", destination="volume", device_name=call.given["Device"])
    return _attachment(call.given["VolumeId"], call.given["InstanceId"], server, device, "attaching")


@action(
    "DetachVolume",
    policy=f"{_ATTACHMENTS}delete",
    takes=("VolumeId", "InstanceId", "Device"),
    holds={"Force": (False,)},
)
def detach(call: Call) -> Item:
    """Detach a volume from the server that has it."""
    volume_id = call.ids.target("vol", call.given["VolumeId"])
    call.services.volumes.get(volume_id, call.context)
    wanted = call.server(call.given["InstanceId"]).uuid if "InstanceId" in call.given else None
    held = [
        (server, device)
        for server, device in holders(call).get(volume_id, ())
        if wanted in (None, server.uuid) and call.given.get("Device") in (None, device.device_name)
    ]
    if len(held) != 1:
        raise errors.BadRequest(f"Volume '{call.given['VolumeId']}' is not attached so.", "IncorrectState")
    server, device = held[0]
    volume_attachments.remove.handler(call.on(server), volume_id)
    return _attachment(call.given["VolumeId"], call.ids.one("i", server.uuid), server, device, "detaching")


@action("ModifyVolume", policy=f"{_RULE}create", takes=("VolumeId", "Size"), codes=_FULL)
def modify(call: Call) -> Item:
    """Let a volume grow."""
    volume = call.services.volumes.get(call.ids.target("vol", call.given["VolumeId"]), call.context)
    size_gb = call.given.get("Size")
    if size_gb is None:
        raise errors.missing_parameter("Size")
    if not volume.size_gb < size_gb <= _MOST_GB:
        raise errors.bad_value("Size", size_gb, f"It is above {volume.size_gb} and at most {_MOST_GB} GiB.")
    call.services.volumes.extend(volume.id, size_gb, call.context)
    return {
        "VolumeModification": {
            "VolumeId": call.given["VolumeId"],
            "ModificationState": "modifying",
            "OriginalSize": volume.size_gb,
            "TargetSize": size_gb,
            "StartTime": utcnow(),
        }
    }
