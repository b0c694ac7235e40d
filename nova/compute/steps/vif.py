"""Steps that plug network devices into guests and unplug them."""

from nova.compute.host import Host
from nova.structs.steps import VifArguments


def attach_vif(host: Host, arguments: VifArguments) -> None:
    """Prepare the host's side of the network, then plug the device in."""
    if host.networks is not None:
        host.networks.prepare((*arguments.instance.vifs, arguments.vif))
    host.driver.attach_vif(arguments.instance.uuid, arguments.vif)


def detach_vif(host: Host, arguments: VifArguments) -> None:
    """Unplug the device; no error when it is missing."""
    host.driver.detach_vif(arguments.instance.uuid, arguments.vif)
