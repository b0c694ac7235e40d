"""Instances: their life, their state, and what they say. Source: EC2 API reference, "Amazon EC2 instances"."""

import base64
from typing import Any

from nova import errors as domain
from nova.api.compute import actions, servers
from nova.api.ec2 import instance_view, launch
from nova.api.ec2.call import Call
from nova.api.ec2.declaration import Listing, action
from nova.api.ec2.instance_view import SHOWN_AFTER_END, state, state_name
from nova.api.ec2.listing import path
from nova.clock import utcnow
from nova.structs.instance import Instance

Item = dict[str, Any]

_RULE = "os_compute_api:servers:"
_DETAIL = f"{_RULE}detail"
_CONSOLE_BYTES = 65536
_INTERFACE = "network-interface."

_FILTERS = {
    "instance-id": path("InstanceId"),
    "instance-state-name": path("State", "Name"),
    "instance-state-code": path("State", "Code"),
    "instance-type": path("InstanceType"),
    "image-id": path("ImageId"),
    "key-name": path("KeyName"),
    "availability-zone": path("Placement", "AvailabilityZone"),
    "reservation-id": path("_reservation"),
    "owner-id": path("_owner"),
    "private-ip-address": path("PrivateIpAddress"),
    "ip-address": path("PublicIpAddress"),
    "private-dns-name": path("PrivateDnsName"),
    "dns-name": path("PublicDnsName"),
    "subnet-id": path("SubnetId"),
    "vpc-id": path("VpcId"),
    "architecture": path("Architecture"),
    "root-device-type": path("RootDeviceType"),
    "root-device-name": path("RootDeviceName"),
    "launch-index": path("AmiLaunchIndex"),
    "kernel-id": path("KernelId"),
    "ramdisk-id": path("RamdiskId"),
    "virtualization-type": path("VirtualizationType"),
    "tenancy": path("Placement", "Tenancy"),
    "instance.group-id": path("SecurityGroups", "GroupId"),
    "instance.group-name": path("SecurityGroups", "GroupName"),
    "group-id": path("SecurityGroups", "GroupId"),
    "group-name": path("SecurityGroups", "GroupName"),
    "block-device-mapping.volume-id": path("BlockDeviceMappings", "Ebs", "VolumeId"),
    "block-device-mapping.device-name": path("BlockDeviceMappings", "DeviceName"),
    f"{_INTERFACE}network-interface-id": path("NetworkInterfaces", "NetworkInterfaceId"),
    f"{_INTERFACE}subnet-id": path("NetworkInterfaces", "SubnetId"),
    f"{_INTERFACE}vpc-id": path("NetworkInterfaces", "VpcId"),
    f"{_INTERFACE}mac-address": path("NetworkInterfaces", "MacAddress"),
    f"{_INTERFACE}addresses.private-ip-address": path("NetworkInterfaces", "PrivateIpAddresses", "PrivateIpAddress"),
}


@action(
    "RunInstances",
    policy=f"{_RULE}create",
    takes=(
        *("ImageId", "InstanceType", "KeyName", "MinCount", "MaxCount", "ClientToken", "UserData", "TagSpecifications"),
        *("SecurityGroupIds", "SecurityGroups", "SubnetId", "PrivateIpAddress", "Placement.AvailabilityZone"),
        *("BlockDeviceMappings.DeviceName", "BlockDeviceMappings.VirtualName", "BlockDeviceMappings.NoDevice"),
        *(
            f"BlockDeviceMappings.Ebs.{name}"
            for name in ("DeleteOnTermination", "SnapshotId", "VolumeSize", "VolumeType")
        ),
        *("NetworkInterfaces.DeviceIndex", "NetworkInterfaces.SubnetId", "NetworkInterfaces.NetworkInterfaceId"),
        *("NetworkInterfaces.PrivateIpAddress", "NetworkInterfaces.Groups", "NetworkInterfaces.DeleteOnTermination"),
    ),
    holds={
        "InstanceInitiatedShutdownBehavior": ("stop",),
        "DisableApiTermination": (False,),
        "DisableApiStop": (False,),
        "EbsOptimized": (False,),
        "Monitoring.Enabled": (False,),
        "Placement.Tenancy": ("default",),
        "BlockDeviceMappings.Ebs.Encrypted": (False,),
        "NetworkInterfaces.AssociatePublicIpAddress": (False,),
    },
    codes={domain.QuotaExceeded: "InstanceLimitExceeded", domain.IdempotencyMismatch: "IdempotentParameterMismatch"},
)
def run(call: Call) -> Item:
    """As many servers as fit the quota. The same request with the same ClientToken is accepted once."""
    made = call.conductor.create_servers(call.context, launch.build_request(call))
    return instance_view.reservation(instance_view.items(call, made))


def _shown(call: Call) -> list[Instance]:
    """The servers named or all, with those that ended lately."""
    wanted = call.given.get("InstanceIds")
    since = utcnow() - SHOWN_AFTER_END
    if wanted:
        found = call.servers(wanted, is_deleted=None)
        return [server for server in found if server.deleted_at is None or server.deleted_at >= since]
    return [*call.servers(), *call.servers(is_deleted=True, changes_since=since)]


@action(
    "DescribeInstances",
    policy=_DETAIL,
    lists=Listing("Reservations", "InstanceId", "InstanceIds", "i", _FILTERS, instance_view.group),
)
def describe(call: Call) -> list[Item]:
    """Servers by their reservations; those that were terminated are shown for an hour."""
    return instance_view.items(call, _shown(call))


@action(
    "DescribeInstanceStatus",
    policy=_DETAIL,
    takes=("IncludeAllInstances",),
    lists=Listing(
        "InstanceStatuses",
        "InstanceId",
        "InstanceIds",
        filters={
            "availability-zone": path("AvailabilityZone"),
            "instance-state-name": path("InstanceState", "Name"),
            "instance-state-code": path("InstanceState", "Code"),
            "instance-status.status": path("InstanceStatus", "Status"),
            "instance-status.reachability": path("InstanceStatus", "Details", "Status"),
            "system-status.status": path("SystemStatus", "Status"),
            "system-status.reachability": path("SystemStatus", "Details", "Status"),
        },
        wrap=list,
    ),
)
def describe_status(call: Call) -> list[Item]:
    """Whether servers run, as their hosts say. Without IncludeAllInstances only those that do."""
    wanted = set(call.given.pop("InstanceIds", ()))
    found = call.servers(wanted) if wanted else call.servers()
    ids = call.ids.many("i", (server.uuid for server in found))
    return [
        _status(server, ids[server.uuid])
        for server in found
        if call.given.get("IncludeAllInstances") or state_name(server) == "running"
    ]


def _status(server: Instance, ec2_id: str | None) -> Item:
    runs = state_name(server) == "running"
    summary = {
        "Status": "ok" if runs else "not-applicable",
        "Details": [{"Name": "reachability", "Status": "passed"}] if runs else [],
    }
    return {
        "InstanceId": ec2_id,
        "AvailabilityZone": server.availability_zone or "",
        "InstanceState": state(server),
        "InstanceStatus": summary,
        "SystemStatus": summary,
    }


@action("StartInstances", policy=f"{_RULE}start", takes=("InstanceIds",))
def start(call: Call) -> Item:
    """Servers that run already stay as they are."""
    return _change(call, "StartingInstances", actions.start.handler, at_rest="running")


@action(
    "StopInstances", policy=f"{_RULE}stop", takes=("InstanceIds",), holds={"Force": (False,), "Hibernate": (False,)}
)
def stop(call: Call) -> Item:
    """Servers that are stopped already stay as they are."""
    return _change(call, "StoppingInstances", actions.stop.handler, at_rest="stopped")


@action("TerminateInstances", policy=f"{_RULE}delete", takes=("InstanceIds",), holds={"Force": (False,)})
def terminate(call: Call) -> Item:
    """Servers that ended within the hour stay as they are."""
    return _change(call, "TerminatingInstances", servers.remove.handler, at_rest="terminated", is_deleted=None)


@action("RebootInstances", policy=f"{_RULE}reboot", takes=("InstanceIds",))
def reboot(call: Call) -> None:
    """Ask the guests to restart; a guest that does not is reset."""
    for server in call.servers(call.given["InstanceIds"]):
        call.operate(server, "reboot", kind="SOFT")


def _change(call: Call, key: str, handler: Any, at_rest: str, **query: Any) -> Item:
    """All servers are known to be there before anything is done to one of them."""
    found = call.servers(call.given["InstanceIds"], **query)
    ids = call.ids.many("i", (server.uuid for server in found))
    changes = []
    for server in found:
        before = state(server)
        # A server that could not be built is still there to be deleted.
        if before["Name"] != at_rest or (at_rest == "terminated" and not server.is_deleted):
            handler(call.on(server))
        changed = call.servers([ids[server.uuid] or ""], is_deleted=None)
        # In Amazon's order: old clients take the first name for the state that the server has now.
        changes.append({"InstanceId": ids[server.uuid], "CurrentState": state(changed[0]), "PreviousState": before})
    return {key: changes}


@action(
    "GetConsoleOutput",
    policy="os_compute_api:os-console-output",
    takes=("InstanceId",),
    holds={"Latest": (True, False)},
)
def console_output(call: Call) -> Item:
    """The end of what the guest wrote to its serial port: 64 KiB."""
    server = call.server(call.given["InstanceId"])
    text = call.conductor.console_output(call.context, server.uuid, _CONSOLE_BYTES)
    output = base64.b64encode(text.encode()).decode()
    return {"InstanceId": call.given["InstanceId"], "Output": output, "Timestamp": utcnow()}


@action("GetPasswordData", policy="os_compute_api:os-server-password:show", takes=("InstanceId",))
def password(call: Call) -> Item:
    """The administrator's password that the guest has left, encrypted with the key pair; empty when it left none."""
    server = call.server(call.given["InstanceId"])
    data = server.system_metadata.get("password", "")
    return {"InstanceId": call.given["InstanceId"], "PasswordData": data, "Timestamp": utcnow()}
