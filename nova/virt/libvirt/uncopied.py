"""Disks that a guest which moves is not followed by: its destination opens them where they lie, while the source has them.

libvirt counts most of them unsafe, for it knows few kinds of shared storage. What is known here: a volume is opened by the
Block Storage service to both hosts, and storage that hosts share was proved by a file. That leaves what a host has
cached of a file: QEMU drops that when the guest arrives, from 4.0 on.
Source: QEMU's reference of block devices, driver "file", "drop-cache".
"""

import xml.etree.ElementTree as ET
from collections.abc import Collection

from nova import errors

# As libvirt counts versions.
_DROPS_CACHE = 4_000_000
_UNCACHED = ("none", "directsync")


def of(disks: Collection[ET.Element], copied: Collection[str]) -> list[ET.Element]:
    """Those of a guest's disks that it writes to and that are not copied. copied: names of targets."""
    return [
        disk
        for disk in disks
        if disk.find("readonly") is None
        and disk.find("source") is not None
        and (target := disk.find("target")) is not None
        and target.get("dev") not in copied
    ]


def check(disks: Collection[ET.Element], qemu_version: int) -> None:
    """Raises GuestFailed where the destination could read what an earlier cache of it holds."""
    if qemu_version >= _DROPS_CACHE:
        return
    for disk in disks:
        driver = disk.find("driver")
        cache = "" if driver is None else driver.get("cache", "")
        if disk.get("type") == "file" and cache not in _UNCACHED:
            reason = "The server's host is too old to move it alive with a volume that is a file and has a cache"
            raise errors.GuestFailed(reason=reason, detail=f"QEMU {qemu_version}, cache mode {cache or 'default'}")
