"""Waiting for what libvirt does to a running guest's disks in the background."""

from typing import Any

import libvirt

from nova import concurrency, errors
from nova.virt.libvirt.connection import Proxy
from nova.virt.libvirt.devices import read_devices

_INTERVAL_S = 0.1


def wait_for_backup(domain: Proxy, timeout_s: float) -> None:
    """Wait until the domain's job ends. Raises errors.GuestFailed when it failed."""

    def is_done() -> bool:
        stats: dict[str, Any] = domain.jobStats(0)
        return bool(stats.get("type", libvirt.VIR_DOMAIN_JOB_NONE) == libvirt.VIR_DOMAIN_JOB_NONE)

    if not concurrency.wait_for(is_done, timeout_s, _INTERVAL_S):
        domain.abortJob()
        raise errors.GuestFailed(reason=f"The copy of the disk was not complete within {timeout_s:.0f} s")
    stats = domain.jobStats(libvirt.VIR_DOMAIN_JOB_STATS_COMPLETED)
    if stats.get("type") != libvirt.VIR_DOMAIN_JOB_COMPLETED:
        raise errors.GuestFailed(reason="The copy of the disk failed", detail=stats.get("errmsg", "no reason given"))


def wait_for_copy(domain: Proxy, target: str, timeout_s: float) -> None:
    """Wait until the copy of a disk is up to date. Raises errors.GuestFailed."""

    def is_level() -> bool:
        mirror = read_devices(domain).find(f"disk/target[@dev='{target}']/../mirror")
        if mirror is None:
            raise errors.GuestFailed(reason="The copy of the volume broke off")
        # Counters that are equal come a moment before QEMU is ready to change over.
        return mirror.get("ready") == "yes"

    if not concurrency.wait_for(is_level, timeout_s, _INTERVAL_S):
        raise errors.GuestFailed(reason=f"The copy of the volume was not complete within {timeout_s:.0f} s")


def wait_for_no_copy(domain: Proxy, target: str, timeout_s: float) -> None:
    """Wait until a disk is not copied any more. Raises errors.GuestFailed."""

    def is_over() -> bool:
        return read_devices(domain).find(f"disk/target[@dev='{target}']/../mirror") is None

    if not concurrency.wait_for(is_over, timeout_s, _INTERVAL_S):
        raise errors.GuestFailed(reason=f"The copy of the volume did not end within {timeout_s:.0f} s")


def wait_for_block_job(domain: Proxy, target: str, timeout_s: float) -> None:
    """Wait until no background job changes the disk. Raises errors.GuestFailed after timeout_s."""
    if not concurrency.wait_for(lambda: not domain.blockJobInfo(target, 0), timeout_s, _INTERVAL_S):
        domain.blockJobAbort(target, 0)
        raise errors.GuestFailed(reason=f"The disk's files were not merged within {timeout_s:.0f} s")
