"""Moves a running guest between the files of a volume: onto a new one, and off one that is to go.

The files are qcow2, lie in one directory and are made and removed by the Block Storage service; the chain of
them is what libvirt says it is. Source: libvirt's knowledge base, "Merging disk image chains".
"""

import contextlib
import xml.etree.ElementTree as ET
from pathlib import Path

import libvirt

from nova import errors
from nova.structs.guest import VolumeFile
from nova.virt.libvirt import devices, jobs
from nova.virt.libvirt.connection import Proxy
from nova.virt.libvirt.domain_xml import to_text
from nova.virt.libvirt.domain_xml.facts import child
from nova.virt.libvirt.snapshot import file_systems_frozen, thaw

_MERGE_TIMEOUT_S = 24 * 3600.0


def take(domain: Proxy, key: str, new_file: str) -> VolumeFile:
    """Let the guest write to new_file from now on; the file it writes to. Raises errors.GuestFailed."""
    disk = _find(domain, key)
    current = _chain(disk)[0]
    if current.name == new_file:
        # Whoever began to write to it may have been killed before the thaw.
        thaw(domain)
        return _written(disk)
    name = _target(disk)
    snapshot = ET.Element("domainsnapshot")
    disks = child(snapshot, "disks")
    for element in devices.read_devices(domain).findall("disk"):
        if _target(element) != name:
            child(disks, "disk", name=_target(element), snapshot="no")
    chosen = child(disks, "disk", name=name, snapshot="external", type="file")
    child(chosen, "source", file=str(current.with_name(new_file)))
    child(chosen, "driver", type="qcow2")
    flags = (
        libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_DISK_ONLY
        | libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_NO_METADATA
        | libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_REUSE_EXT
    )
    with file_systems_frozen(domain):
        domain.snapshotCreateXML(to_text(snapshot), flags)
    return _written(_find(domain, key))


def merge(domain: Proxy, key: str, file_to_merge: str, merge_target: str | None) -> VolumeFile:
    """Take a file out of the chain: its content goes to merge_target below it, or into the one above it.

    Gives the file the guest writes to; no error when the file is not in the chain. Without a file to merge, that is also
    told of a guest that is off. Raises errors.GuestFailed.
    """
    if not file_to_merge and not domain.isActive():
        return _written(_find(domain, key, is_persistent=True))
    disk = _find(domain, key)
    chain = _chain(disk)
    names = [path.name for path in chain]
    if file_to_merge in names:
        place = names.index(file_to_merge)
        if merge_target is None:
            _pull(domain, _target(disk), chain, place)
        else:
            _commit(domain, _target(disk), chain, place, merge_target)
        disk = _find(domain, key)
        if file_to_merge in [path.name for path in _chain(disk)]:
            raise errors.GuestFailed(reason="A file of the volume could not be merged", detail=file_to_merge)
    return _written(disk)


def _pull(domain: Proxy, name: str, chain: list[Path], place: int) -> None:
    """The file the guest writes to takes over what it had from those below, down to and with this one."""
    if place == 0:
        raise errors.GuestFailed(reason="The file the guest writes to has none above it to be merged into")
    if place + 1 < len(chain):
        domain.blockRebase(name, str(chain[place + 1]), 0, 0)
    else:
        domain.blockPull(name, 0, 0)
    jobs.wait_for_block_job(domain, name, _MERGE_TIMEOUT_S)


def _commit(domain: Proxy, name: str, chain: list[Path], place: int, target: str) -> None:
    below = [path for path in chain[place + 1 :] if path.name == target]
    if not below:
        said = f"{target} is not below {chain[place].name}"
        raise errors.GuestFailed(reason="The volume's files are in another order", detail=said)
    if place:
        domain.blockCommit(name, str(below[0]), str(chain[place]), 0, 0)
        jobs.wait_for_block_job(domain, name, _MERGE_TIMEOUT_S)
        return
    with contextlib.ExitStack() as undo:
        domain.blockCommit(name, str(below[0]), None, 0, libvirt.VIR_DOMAIN_BLOCK_COMMIT_ACTIVE)
        undo.callback(_abort, domain, name)
        jobs.wait_for_copy(domain, name, _MERGE_TIMEOUT_S)
        domain.blockJobAbort(name, libvirt.VIR_DOMAIN_BLOCK_JOB_ABORT_PIVOT)
        undo.pop_all()


def _abort(domain: Proxy, name: str) -> None:
    with contextlib.suppress(errors.DomainError):
        domain.blockJobAbort(name, 0)


def _find(domain: Proxy, key: str, is_persistent: bool = False) -> ET.Element:
    if not is_persistent and not domain.isActive():
        raise errors.GuestFailed(reason="Only a running guest is moved between the files of a volume")
    disk = devices.by_volume(key)(devices.read_devices(domain, is_persistent))
    if disk is None:
        raise errors.GuestFailed(reason=f"Volume {key} is not attached")
    return disk


def _chain(disk: ET.Element) -> list[Path]:
    """The files of a disk, from the one that is written to downwards. Raises errors.GuestFailed where they are none."""
    paths = []
    level: ET.Element | None = disk
    while level is not None:
        source = level.find("source")
        if source is None:
            break
        if source.get("file") is None:
            raise errors.GuestFailed(reason="Only volumes that are files are snapshotted on their host")
        paths.append(Path(source.get("file", "")))
        level = level.find("backingStore")
    return paths


def _written(disk: ET.Element) -> VolumeFile:
    driver = disk.find("driver")
    return VolumeFile(name=_chain(disk)[0].name, format="raw" if driver is None else driver.get("type", "raw"))


def _target(disk: ET.Element) -> str:
    target = disk.find("target")
    return "" if target is None else target.get("dev", "")
