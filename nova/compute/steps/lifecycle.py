"""Steps that create and remove guests."""

import msgspec

from nova.compute.guest_spec import guest_spec
from nova.compute.host import Host
from nova.structs.disks import DisksId
from nova.structs.instance import PowerState
from nova.structs.steps import DestroyArguments, PowerResult, SpawnArguments


def spawn(host: Host, arguments: SpawnArguments) -> PowerResult:
    """Create the guest and start it when its ports are plugged.

    Raises HostRefused, ImageInvalid, DiskFull, GuestFailed, PortsNotPlugged.
    """
    instance = arguments.instance
    spec = guest_spec(host, instance, arguments.personality, arguments.password)
    plugging = host.has_to_wait(instance.vifs)
    are_plugged = False
    if plugging is None:
        host.driver.create(spec)
    else:
        with host.starting.paused(instance.uuid):
            host.driver.create(msgspec.structs.replace(spec, starts_paused=True))
            are_plugged = plugging.wait(instance.uuid, instance.vifs)
            host.driver.set_power(instance.uuid, PowerState.RUNNING)
    return PowerResult(power_state=host.driver.guest(instance.uuid).power_state, are_ports_plugged=are_plugged)


def destroy(host: Host, arguments: DestroyArguments) -> None:
    """Remove the guest; no error when it is missing."""
    made_by = None if not arguments.generation else DisksId(generation=arguments.generation, host=host.name)
    host.driver.destroy(arguments.instance.uuid, arguments.instance.vifs, arguments.keep_disks, made_by)
