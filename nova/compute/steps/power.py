"""Steps that change a guest's power state."""

import contextlib
from datetime import timedelta

import msgspec

from nova import errors
from nova.compute.guest_spec import guest_spec
from nova.compute.host import Host
from nova.compute.plugging import Plugging
from nova.compute.steps import share, volume
from nova.structs.guest import RebootKind
from nova.structs.instance import Instance, PowerState
from nova.structs.steps import (
    BringToArguments,
    GuestArguments,
    PowerResult,
    ReachArguments,
    RebootArguments,
    StopArguments,
)


def power_on(host: Host, arguments: GuestArguments) -> PowerResult:
    """Start the guest; one whose definition was lost is defined again on its disks."""
    uuid = arguments.instance.uuid
    share.correct(host, arguments.instance)
    share.mount(host, arguments.instance)
    try:
        volume.renew(host, arguments.instance)
        host.driver.set_power(uuid, PowerState.RUNNING)
    except errors.GuestNotFound:
        host.driver.reboot(guest_spec(host, arguments.instance), RebootKind.HARD, timedelta())
    return PowerResult(power_state=host.driver.guest(uuid).power_state)


def power_off(host: Host, arguments: StopArguments) -> PowerResult:
    """Ask the guest to shut down, and switch it off when it does not."""
    uuid = arguments.instance.uuid
    host.driver.set_power(uuid, PowerState.SHUTDOWN, grace(host, arguments.instance, arguments.grace_s))
    share.unmount(host, arguments.instance)
    return PowerResult(power_state=host.driver.guest(uuid).power_state)


def grace(host: Host, instance: Instance, wanted_s: float | None = None) -> timedelta:
    """How long the guest has to shut down by itself. wanted_s: instead of [DEFAULT] shutdown_timeout."""
    timeout = instance.image.properties.get("os_shutdown_timeout") if instance.image else None
    if timeout is not None and timeout.isdigit():
        wanted_s = int(timeout)
    return timedelta(seconds=host.conf.shutdown_timeout if wanted_s is None else wanted_s)


def reboot(host: Host, arguments: RebootArguments) -> PowerResult:
    """Mount the shares again, then restart the guest within [DEFAULT] shutdown_timeout or by force.

    A hard reboot unplugs the guest's ports and plugs them again. It mends a server: one whose ports stay unplugged runs
    all the same.
    """
    uuid = arguments.instance.uuid
    plugging = host.has_to_wait(arguments.instance.vifs) if arguments.kind is RebootKind.HARD else None
    spec, grace = guest_spec(host, arguments.instance), timedelta(seconds=host.conf.shutdown_timeout)
    share.mount(host, arguments.instance)
    if plugging is None:
        host.driver.reboot(spec, arguments.kind, grace)
    else:
        with host.starting.paused(uuid):
            host.driver.reboot(msgspec.structs.replace(spec, starts_paused=True), arguments.kind, grace)
            _run_plugged(host, plugging, arguments.instance)
    return PowerResult(power_state=host.driver.guest(uuid).power_state)


def _run_plugged(host: Host, plugging: Plugging, instance: Instance) -> None:
    try:
        with contextlib.suppress(errors.PortsNotPlugged):
            plugging.wait(instance.uuid, instance.vifs)
    finally:
        host.driver.set_power(instance.uuid, PowerState.RUNNING)


def reach(host: Host, arguments: ReachArguments) -> PowerResult:
    """Pause, suspend or resume the guest."""
    uuid = arguments.instance.uuid
    if arguments.target is PowerState.RUNNING:
        volume.renew(host, arguments.instance)
    host.driver.set_power(uuid, arguments.target)
    return PowerResult(power_state=host.driver.guest(uuid).power_state)


def bring_to(host: Host, arguments: BringToArguments) -> PowerResult:
    """Restore the power state of a guest that was powered off for an operation."""
    if arguments.target is not PowerState.SHUTDOWN:
        power_on(host, GuestArguments(instance=arguments.instance))
    return reach(host, ReachArguments(instance=arguments.instance, target=arguments.target))
