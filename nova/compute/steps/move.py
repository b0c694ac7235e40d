"""Steps of moving a stopped guest to another host or size, and back."""

from nova.compute.guest_spec import guest_spec
from nova.compute.host import Host
from nova.structs.steps import DisksAside, GuestArguments, TakeOverArguments
from nova.virt.driver import Moving, able

_ACTION = "be moved"


def set_aside(host: Host, arguments: GuestArguments) -> DisksAside:
    """Undefine the guest and offer its disks to the destination."""
    driver = able(host.driver, Moving, _ACTION)
    return DisksAside(facts=driver.set_aside(guest_spec(host, arguments.instance)))


def take_over(host: Host, arguments: TakeOverArguments) -> None:
    """Define the guest here on a copy of the disks set aside. Raises HostRefused, DiskFull, GuestFailed."""
    able(host.driver, Moving, _ACTION).take_over(guest_spec(host, arguments.instance), arguments.facts)


def bring_back(host: Host, arguments: GuestArguments) -> None:
    """Define the guest again from the disks that were set aside; no error when nothing is aside."""
    able(host.driver, Moving, _ACTION).bring_back(guest_spec(host, arguments.instance))


def forget_aside(host: Host, arguments: GuestArguments) -> None:
    """Remove the disks that were set aside; no error when nothing is aside."""
    able(host.driver, Moving, _ACTION).forget_aside(arguments.instance.uuid)
