"""Single attributes of instances. Source: EC2 API reference, "DescribeInstanceAttribute" and its siblings."""

from collections.abc import Callable
from typing import Any

from nova.api.compute import network_actions
from nova.api.ec2 import errors, instance_view
from nova.api.ec2.call import Call
from nova.api.ec2.declaration import action
from nova.api.ec2.instance_view import volumes_of
from nova.structs.instance import Instance

Item = dict[str, Any]


def _of_item(key: str) -> Callable[[Call, Instance], Any]:
    return lambda call, server: instance_view.items(call, [server])[0][key]


def _value(text: str) -> Callable[[Call, Instance], Any]:
    return lambda call, server: {"Value": text}


def _user_data(call: Call, server: Instance) -> Item:
    whole = call.conductor.server(call.context, server.uuid, with_user_data=True, project_id=call.project_id)
    return {"Value": whole.user_data} if whole.user_data else {}


# Attribute to the member that shows it, and where its value is.
_SHOWN: dict[str, tuple[str, Callable[[Call, Instance], Any]]] = {
    "instanceType": ("InstanceType", lambda call, server: {"Value": server.flavor.name}),
    "userData": ("UserData", _user_data),
    "rootDeviceName": ("RootDeviceName", lambda call, server: {"Value": instance_view.root_name(server)}),
    "blockDeviceMapping": ("BlockDeviceMappings", _of_item("BlockDeviceMappings")),
    "groupSet": ("Groups", _of_item("SecurityGroups")),
    "kernel": ("KernelId", lambda call, server: {"Value": _of_item("KernelId")(call, server)}),
    "ramdisk": ("RamdiskId", lambda call, server: {"Value": _of_item("RamdiskId")(call, server)}),
    "disableApiTermination": ("DisableApiTermination", lambda call, server: {"Value": server.is_locked}),
    "disableApiStop": ("DisableApiStop", lambda call, server: {"Value": server.is_locked}),
    "instanceInitiatedShutdownBehavior": ("InstanceInitiatedShutdownBehavior", _value("stop")),
    "sourceDestCheck": ("SourceDestCheck", lambda call, server: {"Value": True}),
    "ebsOptimized": ("EbsOptimized", lambda call, server: {"Value": False}),
}


@action("DescribeInstanceAttribute", policy="os_compute_api:servers:show", takes=("InstanceId", "Attribute"))
def describe(call: Call) -> Item:
    """One attribute. disableApiTermination and disableApiStop tell whether the server is locked."""
    attribute = call.given["Attribute"]
    if attribute not in _SHOWN:
        raise errors.unsupported("Attribute", attribute)
    server = call.server(call.given["InstanceId"])
    member, value = _SHOWN[attribute]
    return {"InstanceId": call.given["InstanceId"], member: value(call, server)}


@action(
    "ModifyInstanceAttribute",
    policy="os_compute_api:servers:update",
    takes=("InstanceId", "Groups", "BlockDeviceMappings.DeviceName", "BlockDeviceMappings.Ebs.DeleteOnTermination"),
    holds={
        "SourceDestCheck.Value": (True,),
        "InstanceInitiatedShutdownBehavior.Value": ("stop",),
        "EbsOptimized.Value": (False,),
        "DisableApiTermination.Value": (False,),
        "DisableApiStop.Value": (False,),
    },
)
def modify(call: Call) -> None:
    """The security groups of a server, and whether its volumes are deleted with it."""
    server = call.server(call.given["InstanceId"])
    by_name = {device.device_name: device.volume_id for device in volumes_of(server)}
    flags = {}
    for mapping in call.given.get("BlockDeviceMappings", ()):
        volume_id = by_name.get(mapping.get("DeviceName"))
        if volume_id is None or "DeleteOnTermination" not in mapping.get("Ebs", {}):
            raise errors.bad_value("BlockDeviceMapping.DeviceName", mapping.get("DeviceName"), "No volume is there.")
        flags[volume_id] = mapping["Ebs"]["DeleteOnTermination"]
    if "Groups" in call.given:
        _set_groups(call, server)
    for volume_id, flag in flags.items():
        call.conductor.set_delete_on_termination(call.context, server.uuid, volume_id, flag)


def _set_groups(call: Call, server: Instance) -> None:
    groups = call.services.network.security_groups
    for rule in ("add", "remove"):
        call.request.check(f"os_compute_api:os-security-groups:{rule}")
    wanted = [groups.get(call.project_id, target)["id"] for target in call.ids.targets("sg", call.given["Groups"]).values()]  # fmt: skip
    if not wanted:
        raise errors.missing_parameter("GroupId.1")
    held = [group["id"] for group in groups.of_server(call.project_id, server.uuid)]
    for group in wanted:
        if group not in held:
            network_actions.add_security_group.handler(call.on(server, {"name": group}))
    for group in held:
        if group not in wanted:
            network_actions.remove_security_group.handler(call.on(server, {"name": group}))


@action("ResetInstanceAttribute", policy="os_compute_api:servers:update", takes=("InstanceId", "Attribute"))
def reset(call: Call) -> None:
    """sourceDestCheck is always on; kernel and ramdisk are those of the image and cannot be chosen."""
    call.server(call.given["InstanceId"])
    if call.given["Attribute"] != "sourceDestCheck":
        raise errors.unsupported("Attribute", call.given["Attribute"])
