"""Steps that boot a guest from a rescue disk, and from its own disks again."""

import logging

from nova import errors
from nova.compute.guest_spec import guest_spec, rescue_disk
from nova.compute.host import Host
from nova.compute.steps import power, share
from nova.structs.instance import Instance, PowerState
from nova.structs.steps import PowerResult, RescueArguments, UnrescueArguments
from nova.virt.driver import Rescue, able

LOG = logging.getLogger(__name__)


def rescue(host: Host, arguments: RescueArguments) -> PowerResult:
    """Start the guest from an image, after it had time to shut down.

    Raises ImageInvalid, ImageNotFound, GuestFailed, NotImplementedHere.
    """
    instance = arguments.instance
    driver = able(host.driver, Rescue, "be rescued")
    if arguments.image is None:
        raise errors.GuestFailed(reason="A server without an image of its own needs a rescue image.")
    spec = guest_spec(host, instance, password=arguments.password)
    disk = rescue_disk(host, instance, arguments.image)
    _shut_down(host, instance)
    share.mount(host, instance)
    driver.rescue(spec, disk)
    return PowerResult(power_state=host.driver.guest(instance.uuid).power_state)


def _shut_down(host: Host, instance: Instance) -> None:
    """As far as the guest, which may be what the rescue is for, lets itself be shut down."""
    try:
        host.driver.set_power(instance.uuid, PowerState.SHUTDOWN, power.grace(host, instance))
    except (errors.GuestNotFound, errors.GuestFailed) as error:
        LOG.info("guest %s is rescued as it is: %s", instance.uuid, error)


def unrescue(host: Host, arguments: UnrescueArguments) -> PowerResult:
    """Boot from the guest's own disks again, and power off when it was not running before."""
    instance = arguments.instance
    share.mount(host, instance)
    able(host.driver, Rescue, "be rescued").unrescue(guest_spec(host, instance))
    if not arguments.is_running:
        host.driver.set_power(instance.uuid, PowerState.SHUTDOWN)
    return PowerResult(power_state=host.driver.guest(instance.uuid).power_state)
