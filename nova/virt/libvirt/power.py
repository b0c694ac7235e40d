"""Power states of a guest, and how each is reached."""

import datetime
import logging
from collections.abc import Callable

import libvirt

from nova import concurrency, errors
from nova.structs.instance import PowerState
from nova.virt.libvirt.connection import Proxy

LOG = logging.getLogger(__name__)

_STATES = {
    libvirt.VIR_DOMAIN_RUNNING: PowerState.RUNNING,
    libvirt.VIR_DOMAIN_BLOCKED: PowerState.RUNNING,
    libvirt.VIR_DOMAIN_SHUTDOWN: PowerState.RUNNING,
    libvirt.VIR_DOMAIN_PAUSED: PowerState.PAUSED,
    libvirt.VIR_DOMAIN_SHUTOFF: PowerState.SHUTDOWN,
    libvirt.VIR_DOMAIN_CRASHED: PowerState.CRASHED,
    libvirt.VIR_DOMAIN_PMSUSPENDED: PowerState.SUSPENDED,
}
# Why a domain is paused that was suspended, or started paused.
_ASKED = (libvirt.VIR_DOMAIN_PAUSED_USER, libvirt.VIR_DOMAIN_PAUSED_STARTING_UP)
# A guest that is still booting does not hear the power button, so it is pressed again.
_PRESS_AGAIN_S = 5.0
_UNDEFINE = (
    libvirt.VIR_DOMAIN_UNDEFINE_MANAGED_SAVE
    | libvirt.VIR_DOMAIN_UNDEFINE_SNAPSHOTS_METADATA
    | libvirt.VIR_DOMAIN_UNDEFINE_CHECKPOINTS_METADATA
    | libvirt.VIR_DOMAIN_UNDEFINE_NVRAM
)
_GONE_WITHIN_S = 30.0


def read_state(domain: Proxy) -> PowerState:
    """A guest whose memory lies on disk is SUSPENDED; one whose QEMU died is CRASHED."""
    state, reason = domain.state()
    if state == libvirt.VIR_DOMAIN_SHUTOFF:
        if domain.hasManagedSaveImage():
            return PowerState.SUSPENDED
        if reason == libvirt.VIR_DOMAIN_SHUTOFF_CRASHED:
            return PowerState.CRASHED
    return _STATES.get(state, PowerState.NOSTATE)


def is_halted(domain: Proxy) -> bool:
    """Whether the domain is paused, and not because somebody asked for that or has started it so."""
    state, reason = domain.state()
    return bool(state == libvirt.VIR_DOMAIN_PAUSED and reason not in _ASKED)


def is_active(domain: Proxy) -> bool:
    """Whether the domain has a QEMU process: it runs, or is paused."""
    return bool(domain.isActive())


def start_new(domain: Proxy, is_paused: bool) -> None:
    """Start a guest, paused where it is to wait for something; one that has a process stays as it is then."""
    if not is_paused:
        start(domain)
    elif not is_active(domain):
        domain.createWithFlags(libvirt.VIR_DOMAIN_START_PAUSED)


def start(domain: Proxy) -> None:
    """Reach RUNNING from any state."""
    state = domain.state()[0]
    if state == libvirt.VIR_DOMAIN_PAUSED:
        domain.resume()
    elif state == libvirt.VIR_DOMAIN_PMSUSPENDED:
        domain.pMWakeup()
    elif not is_active(domain):
        try:
            domain.create()
        except errors.GuestFailed:
            if not is_active(domain):
                raise


def shut_down(domain: Proxy, grace: datetime.timedelta) -> None:
    """Reach SHUTDOWN: ask the guest, and power it off after grace."""
    state = domain.state()[0]
    if state == libvirt.VIR_DOMAIN_RUNNING and grace > datetime.timedelta():
        if ask_to_shut_down(domain, grace):
            return
        LOG.warning("guest %s did not shut down within %s; switching it off", domain.UUIDString(), grace)
    switch_off(domain)
    if domain.hasManagedSaveImage():
        domain.managedSaveRemove()


def ask_to_shut_down(domain: Proxy, grace: datetime.timedelta) -> bool:
    """Whether the guest shut itself down within grace."""
    left_s = grace.total_seconds()
    while left_s > 0:
        try:
            domain.shutdown()
        except errors.GuestFailed:
            return not is_active(domain)
        if concurrency.wait_for(lambda: not is_active(domain), min(left_s, _PRESS_AGAIN_S), interval_s=0.1):
            return True
        left_s -= _PRESS_AGAIN_S
    return False


def switch_off(domain: Proxy) -> None:
    """Power off without asking the guest; no error when it is off."""
    if not is_active(domain):
        return
    try:
        domain.destroy()
    except errors.GuestFailed:
        # It may have gone by itself meanwhile, or be slow in letting go of its disks.
        if not concurrency.wait_for(lambda: not is_active(domain), _GONE_WITHIN_S, interval_s=0.2):
            raise


def remove(domain: Proxy) -> None:
    """Power off and undefine; no error when it goes meanwhile."""
    try:
        switch_off(domain)
        domain.undefineFlags(_UNDEFINE)
    except errors.GuestNotFound:
        LOG.debug("the domain was removed meanwhile")


def pause(domain: Proxy) -> None:
    """Reach PAUSED; no error when it is paused."""
    if domain.state()[0] != libvirt.VIR_DOMAIN_PAUSED:
        domain.suspend()


def suspend(domain: Proxy) -> None:
    """Reach SUSPENDED: memory is saved to disk, and the QEMU process ends."""
    if is_active(domain):
        domain.managedSave(0)
    elif not domain.hasManagedSaveImage():
        raise errors.GuestFailed(reason="A guest that is off cannot be suspended")


REACH: dict[PowerState, Callable[[Proxy, datetime.timedelta], None]] = {
    PowerState.RUNNING: lambda domain, grace: start(domain),
    PowerState.SHUTDOWN: shut_down,
    PowerState.PAUSED: lambda domain, grace: pause(domain),
    PowerState.SUSPENDED: lambda domain, grace: suspend(domain),
}
