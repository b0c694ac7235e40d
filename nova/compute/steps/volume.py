"""Volumes are plugged into guests, unplugged and swapped."""

from nova.compute.guest_spec import volume_disk
from nova.compute.host import Host
from nova.structs.steps import SwapArguments, VolumeArguments
from nova.virt.driver import Volumes, able

_ACTION = "have volumes"


def attach_volume(host: Host, arguments: VolumeArguments) -> None:
    instance = arguments.instance
    able(host.driver, Volumes, _ACTION).attach_volume(instance.uuid, volume_disk(instance, arguments.device))


def detach_volume(host: Host, arguments: VolumeArguments) -> None:
    instance = arguments.instance
    able(host.driver, Volumes, _ACTION).detach_volume(instance.uuid, volume_disk(instance, arguments.device))


def swap_volume(host: Host, arguments: SwapArguments) -> None:
    instance = arguments.instance
    old, new = volume_disk(instance, arguments.old), volume_disk(instance, arguments.new)
    able(host.driver, Volumes, _ACTION).swap_volume(instance.uuid, old, new)
