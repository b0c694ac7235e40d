"""Instance types: flavors, by name. Source: EC2 API reference, "DescribeInstanceTypes"."""

from typing import Any

from nova.api.ec2.call import Call
from nova.api.ec2.declaration import Listing, action
from nova.api.ec2.listing import path
from nova.structs.flavor import Flavor

Item = dict[str, Any]


@action(
    "DescribeInstanceTypes",
    policy="os_compute_api:servers:detail",
    lists=Listing(
        "InstanceTypes",
        "InstanceType",
        "InstanceTypes",
        filters={
            "instance-type": path("InstanceType"),
            "current-generation": path("CurrentGeneration"),
            "vcpu-info.default-vcpus": path("VCpuInfo", "DefaultVCpus"),
            "memory-info.size-in-mib": path("MemoryInfo", "SizeInMiB"),
            "instance-storage-supported": path("InstanceStorageSupported"),
            "processor-info.supported-architecture": path("ProcessorInfo", "SupportedArchitectures"),
            "bare-metal": path("BareMetal"),
        },
    ),
)
def describe(call: Call) -> list[Item]:
    """The flavors that the project may use."""
    return [_item(flavor) for flavor in call.conductor.flavors(call.context)]


def _item(flavor: Flavor) -> Item:
    storage_gb = flavor.root_gb + flavor.ephemeral_gb
    item: Item = {
        "InstanceType": flavor.name,
        "CurrentGeneration": True,
        "BareMetal": False,
        "SupportedUsageClasses": ["on-demand"],
        "SupportedRootDeviceTypes": ["ebs", "instance-store"],
        "SupportedVirtualizationTypes": ["hvm"],
        "ProcessorInfo": {"SupportedArchitectures": ["x86_64"]},
        "VCpuInfo": {"DefaultVCpus": flavor.vcpus},
        "MemoryInfo": {"SizeInMiB": flavor.memory_mb},
        "InstanceStorageSupported": storage_gb > 0,
    }
    if storage_gb:
        item["InstanceStorageInfo"] = {"TotalSizeInGB": storage_gb}
    return item
