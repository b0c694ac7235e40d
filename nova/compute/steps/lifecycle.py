"""Guests come and go."""

from nova.compute.guest_spec import guest_spec
from nova.compute.host import Host
from nova.structs.steps import DestroyArguments, PowerResult, SpawnArguments


def spawn(host: Host, arguments: SpawnArguments) -> PowerResult:
    """Make the guest and start it. Raises HostRefused and its kin, GuestFailed."""
    instance = arguments.instance
    host.driver.create(guest_spec(host, instance, arguments.personality, arguments.password))
    return PowerResult(power_state=host.driver.guest(instance.uuid).power_state)


def destroy(host: Host, arguments: DestroyArguments) -> None:
    """Take the guest away; one that is not there is done."""
    host.driver.destroy(arguments.instance.uuid, arguments.instance.vifs, arguments.keep_disks)
