"""Steps of moving a stopped guest to another host or size, and back."""

import msgspec

from nova import errors
from nova.compute.guest_spec import guest_spec
from nova.compute.host import Host
from nova.structs.steps import CheckDisksArguments, DisksAside, GuestArguments, TakeOverArguments
from nova.virt.driver import DiskChecks, Moving, able

_ACTION = "be moved"


def set_aside(host: Host, arguments: GuestArguments) -> DisksAside:
    """Undefine the guest and offer its disks to the destination."""
    driver = able(host.driver, Moving, _ACTION)
    return DisksAside(facts=driver.set_aside(guest_spec(host, arguments.instance)))


def take_over(host: Host, arguments: TakeOverArguments) -> None:
    """Define the guest here on a copy of the disks set aside. Raises HostRefused, DiskFull, GuestFailed."""
    able(host.driver, Moving, _ACTION).take_over(guest_spec(host, arguments.instance), arguments.facts)


def bring_back(host: Host, arguments: GuestArguments) -> None:
    """Define the guest again, on the disks that were set aside where they are. Raises DiskMissing."""
    able(host.driver, Moving, _ACTION).bring_back(guest_spec(host, arguments.instance))


def check_disks(host: Host, arguments: CheckDisksArguments) -> None:
    """Whether the guest's disks are all here, and its own; nothing changes.

    Raises GuestFailed, and not DiskMissing: the server is no worse off than it was, and has other disks elsewhere.
    """
    instance = arguments.instance
    # Neither the image nor the networks need be there, nor be made ready.
    bare = guest_spec(host, msgspec.structs.replace(instance, image=None, vifs=()))
    spec = msgspec.structs.replace(bare, image=instance.image)
    driver = able(host.driver, DiskChecks, _ACTION)
    try:
        driver.check_disks(spec, arguments.aside, arguments.own)
    except errors.DiskMissing as error:
        which = "had before its resize" if arguments.aside else "has since its resize"
        reason = f"The disks that the server {which} are not all there"
        raise errors.GuestFailed(reason=reason, detail=error.for_administrators) from error


def forget_aside(host: Host, arguments: GuestArguments) -> None:
    """Remove the disks that were set aside; no error when nothing is aside."""
    able(host.driver, Moving, _ACTION).forget_aside(arguments.instance.uuid)
