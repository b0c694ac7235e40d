"""Steps that boot a guest from a rescue disk, and from its own disks again."""

from nova import errors
from nova.compute.guest_spec import guest_spec, rescue_disk
from nova.compute.host import Host
from nova.compute.steps import share
from nova.structs.instance import PowerState
from nova.structs.steps import PowerResult, RescueArguments, UnrescueArguments
from nova.virt.driver import Rescue, able


def rescue(host: Host, arguments: RescueArguments) -> PowerResult:
    """Start the guest from an image. Raises ImageInvalid, GuestFailed, NotImplementedHere."""
    instance = arguments.instance
    driver = able(host.driver, Rescue, "be rescued")
    if arguments.image is None:
        raise errors.GuestFailed(reason="A server without an image of its own needs a rescue image.")
    spec = guest_spec(host, instance, password=arguments.password)
    share.mount(host, instance)
    driver.rescue(spec, rescue_disk(host, instance, arguments.image))
    return PowerResult(power_state=host.driver.guest(instance.uuid).power_state)


def unrescue(host: Host, arguments: UnrescueArguments) -> PowerResult:
    """Boot from the guest's own disks again, and power off when it was not running before."""
    instance = arguments.instance
    share.mount(host, instance)
    able(host.driver, Rescue, "be rescued").unrescue(guest_spec(host, instance))
    if not arguments.is_running:
        host.driver.set_power(instance.uuid, PowerState.SHUTDOWN)
    return PowerResult(power_state=host.driver.guest(instance.uuid).power_state)
