"""Shares: defined for stopped guests, mounted before a guest starts, unmounted when it is off again."""

from nova import errors
from nova.compute.guest_spec import guest_spec
from nova.compute.host import Host
from nova.structs.instance import Instance
from nova.structs.steps import GuestArguments
from nova.virt.driver import Shares, able

_ACTION = "have shares"


def define_shares(host: Host, arguments: GuestArguments) -> None:
    """Define the guest with the shares of its record, from its next start on; no error when there is no guest."""
    driver = able(host.driver, Shares, _ACTION)
    try:
        host.driver.guest(arguments.instance.uuid)
    except errors.GuestNotFound:
        return
    driver.define_shares(guest_spec(host, arguments.instance))


def correct(host: Host, instance: Instance) -> None:
    """Let a guest that is off have the shares of its record: of a change a host knows nothing that was down then."""
    if not isinstance(host.driver, Shares):
        return
    wanted = {share.tag for share in instance.shares if share.is_for_guest}
    try:
        if host.driver.defined_shares(instance.uuid) != wanted:
            host.driver.define_shares(guest_spec(host, instance))
    except errors.GuestNotFound:
        # It is defined anew.
        return


def mount(host: Host, instance: Instance) -> None:
    """Make the server's shares ready for its guest's start. Raises GuestFailed."""
    shares = tuple(share for share in instance.shares if share.is_for_guest)
    if shares:
        able(host.driver, Shares, _ACTION).mount_shares(instance.uuid, shares)


def unmount(host: Host, instance: Instance) -> None:
    """Unmount the shares of a guest that is off."""
    if instance.shares:
        able(host.driver, Shares, _ACTION).unmount_shares(instance.uuid)
