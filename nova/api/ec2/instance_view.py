"""Servers as EC2 shows them: all from their records, but for the ids of security groups, which one request gives."""

import datetime
from collections.abc import Iterable, Sequence
from typing import Any

from nova.api.ec2.call import Call, tag_list
from nova.structs.instance import BlockDevice, Instance, VmState
from nova.structs.network import Vif

Item = dict[str, Any]

CODES = {"pending": 0, "running": 16, "shutting-down": 32, "terminated": 48, "stopping": 64, "stopped": 80}
ROOT = "/dev/vda"
_STATES = {
    VmState.BUILDING: "pending",
    VmState.ACTIVE: "running",
    VmState.RESCUED: "running",
    VmState.RESIZED: "running",
    VmState.SOFT_DELETED: "terminated",
    VmState.DELETED: "terminated",
}
_TASKS = {
    "powering-off": "stopping",
    "powering-on": "pending",
    "deleting": "shutting-down",
    "soft-deleting": "shutting-down",
}


def state_name(server: Instance) -> str:
    """EC2's state. A server that could not be built is terminated, for its waiters; any other in ERROR is stopped."""
    if server.is_deleted:
        return "terminated"
    if server.task_state in _TASKS:
        return _TASKS[server.task_state]
    if server.vm_state == VmState.ERROR:
        return "stopped" if server.launched_at else "terminated"
    return _STATES.get(server.vm_state, "stopped")


def state(server: Instance) -> Item:
    return {"Code": CODES[state_name(server)], "Name": state_name(server)}


def items(call: Call, servers: Sequence[Instance]) -> list[Item]:
    """Servers as members of a reservation, which they name under _reservation, until group() takes them together."""
    vifs = [vif for server in servers for vif in server.vifs]
    known = _Known(
        call.ids.many("i", (server.uuid for server in servers)),
        call.ids.many("ami", _images(servers)),
        call.ids.many("vol", (device.volume_id for server in servers for device in server.block_devices)),
        call.ids.many("eni", (vif.port_id for vif in vifs)),
        call.ids.many("subnet", (ip.subnet_id for vif in vifs for ip in vif.fixed_ips)),
        _group_ids(call, vifs),
        call.ids.one("vpc", call.project_id) if vifs else "",
    )
    return [_item(call, server, known) for server in servers]


def group(shown: list[Item]) -> list[Item]:
    """The items of a page, by their reservations."""
    by_reservation: dict[str, list[Item]] = {}
    for item in shown:
        by_reservation.setdefault(item["_reservation"], []).append(item)
    return [reservation(members) for members in by_reservation.values()]


def reservation(members: list[Item]) -> Item:
    first = members[0]
    return {
        "ReservationId": first["_reservation"],
        "OwnerId": first["_owner"],
        "Groups": [],
        "Instances": [{key: value for key, value in member.items() if key[0] != "_"} for member in members],
    }


class _Known:
    """The ids of what servers have, looked up at once for all of them."""

    def __init__(self, *by_kind: Any) -> None:
        self.servers, self.images, self.volumes, self.ports, self.subnets, self.groups, self.vpc = by_kind


def _images(servers: Iterable[Instance]) -> Iterable[str | None]:
    for server in servers:
        yield server.image_id or (server.image.id if server.image else None)
        if server.image:
            yield from (server.image.properties.get(name) for name in ("kernel_id", "ramdisk_id"))


def _group_ids(call: Call, vifs: Sequence[Vif]) -> dict[str, str]:
    if not any(vif.security_groups for vif in vifs):
        return {}
    groups = call.services.network.security_groups.of_project(call.project_id)
    ids = call.ids.many("sg", (each["id"] for each in groups))
    return {each["name"]: ids[each["id"]] or "" for each in groups}


def _item(call: Call, server: Instance, known: _Known) -> Item:
    image = server.image
    properties = image.properties if image else {}
    image_id = server.image_id or (image.id if image else None)
    vif = server.vifs[0] if server.vifs else None
    private, public = _addresses(server)
    name = private if call.request.conf.ec2_private_dns_show_ip else server.hostname
    return {
        "_reservation": server.reservation_id,
        "_owner": server.project_id,
        "InstanceId": known.servers[server.uuid],
        "ImageId": known.images[image_id] or "ami-00000000",
        "State": state(server),
        "StateTransitionReason": "",
        "StateReason": _reason(server),
        "PrivateDnsName": name or "",
        "PublicDnsName": public or "",
        "KeyName": server.key_name,
        "AmiLaunchIndex": server.properties.launch_index,
        "InstanceType": server.flavor.name,
        "LaunchTime": server.launched_at or server.created_at,
        "Placement": {"AvailabilityZone": server.availability_zone or "", "GroupName": "", "Tenancy": "default"},
        "KernelId": _renamed(known.images.get(properties.get("kernel_id")), "aki"),
        "RamdiskId": _renamed(known.images.get(properties.get("ramdisk_id")), "ari"),
        "Monitoring": {"State": "disabled"},
        "SubnetId": known.subnets.get(vif.fixed_ips[0].subnet_id) if vif and vif.fixed_ips else None,
        "VpcId": known.vpc if vif else None,
        "PrivateIpAddress": private,
        "PublicIpAddress": public,
        "Architecture": properties.get("hw_architecture") or properties.get("architecture") or "x86_64",
        "BlockDeviceMappings": [_device(device, server, known) for device in volumes_of(server)],
        "RootDeviceName": root_name(server),
        "RootDeviceType": "instance-store" if server.image_id else "ebs",
        "VirtualizationType": "hvm",
        "SecurityGroups": _groups(server.vifs[:1], known),
        "NetworkInterfaces": [_interface(vif, index, server, known) for index, vif in enumerate(server.vifs)],
        "SourceDestCheck": True if vif else None,
        "EbsOptimized": False,
        "Tags": tag_list(server.metadata),
    }


def _renamed(image_id: str | None, kind: str) -> str | None:
    """Kernels and ramdisks are images, whose ids have prefixes of their own."""
    return None if image_id is None else image_id.replace("ami-", f"{kind}-", 1)


def _reason(server: Instance) -> Item | None:
    if server.fault is None or server.vm_state != VmState.ERROR:
        return None
    return {"Code": "Server.InternalError", "Message": server.fault.message}


def _addresses(server: Instance) -> tuple[str | None, str | None]:
    """The first fixed IPv4 address, and the first floating one."""
    fixed = [ip for vif in server.vifs for ip in vif.fixed_ips if ":" not in ip.address]
    floating = [address for ip in fixed for address in ip.floating_ips]
    return next((ip.address for ip in fixed), None), next(iter(floating), None)


def volumes_of(server: Instance) -> list[BlockDevice]:
    return [device for device in server.block_devices if device.destination == "volume" and device.volume_id]


def root_name(server: Instance) -> str:
    root = next((device.device_name for device in server.block_devices if device.boot_index == 0), None)
    return server.properties.root_device_name or root or ROOT


def _device(device: BlockDevice, server: Instance, known: _Known) -> Item:
    return {
        "DeviceName": device.device_name or "",
        "Ebs": {
            "VolumeId": known.volumes[device.volume_id],
            "Status": "attached" if device.attachment_id else "attaching",
            "DeleteOnTermination": device.delete_on_termination,
            "AttachTime": server.launched_at or server.created_at,
        },
    }


def _groups(vifs: Iterable[Vif], known: _Known) -> list[Item]:
    names = dict.fromkeys(name for vif in vifs for name in vif.security_groups)
    return [{"GroupName": name, "GroupId": known.groups.get(name)} for name in names]


def _interface(vif: Vif, index: int, server: Instance, known: _Known) -> Item:
    fixed = [ip for ip in vif.fixed_ips if ":" not in ip.address]
    return {
        "NetworkInterfaceId": known.ports[vif.port_id],
        "SubnetId": known.subnets.get(vif.fixed_ips[0].subnet_id) if vif.fixed_ips else None,
        "VpcId": known.vpc,
        "OwnerId": server.project_id,
        "Status": "in-use",
        "MacAddress": vif.mac,
        "SourceDestCheck": True,
        "Groups": _groups([vif], known),
        "PrivateIpAddress": fixed[0].address if fixed else None,
        "PrivateIpAddresses": [
            {"PrivateIpAddress": ip.address, "Primary": number == 0, "Association": _association(ip.floating_ips)}
            for number, ip in enumerate(fixed)
        ],
        "Ipv6Addresses": [{"Ipv6Address": ip.address} for ip in vif.fixed_ips if ":" in ip.address],
        "Attachment": {
            "DeviceIndex": index,
            "Status": "attached",
            "DeleteOnTermination": not vif.is_preexisting,
            "AttachTime": server.launched_at or server.created_at,
        },
    }


def _association(floating: Sequence[str]) -> Item | None:
    return {"PublicIp": floating[0]} if floating else None


# EC2 shows what is terminated for about an hour.
SHOWN_AFTER_END = datetime.timedelta(hours=1)
