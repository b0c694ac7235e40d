"""Steps that create and remove guests."""

from nova.compute.guest_spec import guest_spec
from nova.compute.host import Host
from nova.structs.disks import DisksId
from nova.structs.steps import DestroyArguments, PowerResult, SpawnArguments


def spawn(host: Host, arguments: SpawnArguments) -> PowerResult:
    """Create the guest and start it. Raises HostRefused, ImageInvalid, DiskFull, GuestFailed."""
    instance = arguments.instance
    host.driver.create(guest_spec(host, instance, arguments.personality, arguments.password))
    return PowerResult(power_state=host.driver.guest(instance.uuid).power_state)


def destroy(host: Host, arguments: DestroyArguments) -> None:
    """Remove the guest; no error when it is missing."""
    made_by = None if not arguments.generation else DisksId(generation=arguments.generation, host=host.name)
    host.driver.destroy(arguments.instance.uuid, arguments.instance.vifs, arguments.keep_disks, made_by)
