"""Copies a guest's root disk as it is at one instant, without stopping the guest."""

import contextlib
import logging
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path

import libvirt

from nova import errors
from nova.virt.libvirt import devices, jobs
from nova.virt.libvirt.connection import Proxy
from nova.virt.libvirt.disk_calls import quick
from nova.virt.libvirt.domain_xml import to_text
from nova.virt.libvirt.domain_xml.facts import child
from nova.virt.libvirt.storage import Storage

LOG = logging.getLogger(__name__)

_AGENT_S = 60
# What is answered to what may be done all the same. Each attempt waits for _AGENT_S.
_LATE = {libvirt.VIR_ERR_AGENT_UNRESPONSIVE, getattr(libvirt, "VIR_ERR_AGENT_COMMAND_TIMEOUT", None)} - {None}
_THAWS = 5
_COPY_TIMEOUT_S = 6 * 3600.0


def copy_root(domain: Proxy, root: Path, target: Path, image_format: str, storage: Storage) -> None:
    """Write the disk whose file is root to target. A failure leaves no target."""
    with contextlib.ExitStack() as undo:
        undo.callback(quick, target.unlink, missing_ok=True)
        disk = _find(domain, root)
        own_format = devices.attribute(disk, "driver", "type", "raw")
        if not domain.isActive():
            storage.convert(root, own_format, target, image_format)
        elif image_format in ("raw", "qcow2"):
            _copy_running(domain, disk, target, image_format)
        else:
            between = target.with_name(f"{target.name}.qcow2")
            undo.callback(quick, between.unlink, missing_ok=True)
            _copy_running(domain, disk, between, "qcow2")
            storage.convert(between, "qcow2", target, image_format)
            quick(between.unlink)
        undo.pop_all()


def _copy_running(domain: Proxy, disk: ET.Element, target: Path, image_format: str) -> None:
    """QEMU copies what the disk held when the job began; what the guest writes meanwhile is not in it."""
    name = devices.attribute(disk, "target", "dev")
    backup = ET.Element("domainbackup", mode="push")
    disks = child(backup, "disks")
    for element in devices.read_devices(domain).findall("disk"):
        other_name = devices.attribute(element, "target", "dev")
        if other_name != name and element.find("source") is not None:
            child(disks, "disk", name=other_name, backup="no")
    chosen = child(disks, "disk", name=name, backup="yes", type="file")
    child(chosen, "target", file=str(target))
    child(chosen, "driver", type=image_format)
    quick(target.unlink, missing_ok=True)
    with file_systems_frozen(domain):
        domain.backupBegin(to_text(backup), None, 0)
    jobs.wait_for_backup(domain, _COPY_TIMEOUT_S)


@contextlib.contextmanager
def file_systems_frozen(domain: Proxy) -> Iterator[None]:
    """Freeze the guest's file systems through its agent, if one answers. Raises errors.Unavailable where libvirtd is
    gone before they could be thawed: the step that comes again does it."""
    if not _can_be_frozen(domain):
        yield
        return
    try:
        try:
            domain.fsFreeze(None, 0)
        except errors.GuestFailed as error:
            LOG.warning("the guest's file systems are copied as they are: %s", error)
        yield
    finally:
        # Also where it failed: an agent that was slow freezes them after everybody has stopped waiting for it.
        _thaw(domain)


def thaw(domain: Proxy) -> None:
    """Let the guest write again, if it has an agent; no error where nothing is frozen. Raises errors.Unavailable."""
    if _has_agent(domain):
        _thaw(domain)


def _thaw(domain: Proxy) -> None:
    for attempt in range(_THAWS):
        try:
            domain.fsThaw(None, 0)
            return
        except errors.GuestFailed as error:
            LOG.warning("the guest's file systems could not be thawed (attempt %d): %s", attempt + 1, error)
            if error.details.get("code") not in _LATE:
                return
    LOG.error("the guest's agent does not answer: its file systems may be frozen, until 'virsh domfsthaw'")


def _can_be_frozen(domain: Proxy) -> bool:
    if not _has_agent(domain):
        return False
    try:
        # Without it libvirt waits for an agent for as long as the guest likes.
        domain.agentSetResponseTimeout(_AGENT_S, 0)
        # A step that was killed may have left them frozen, and an agent does not freeze twice.
        domain.fsThaw(None, 0)
    except errors.GuestFailed as error:
        return error.details.get("code") not in _LATE
    return True


def _has_agent(domain: Proxy) -> bool:
    path = "channel/target[@name='org.qemu.guest_agent.0'][@state='connected']"
    return devices.read_devices(domain).find(path) is not None


def _find(domain: Proxy, root: Path) -> ET.Element:
    for disk in devices.read_devices(domain, is_persistent=not domain.isActive()).findall("disk"):
        source = disk.find("source")
        if source is not None and source.get("file") == str(root):
            return disk
    raise errors.GuestFailed(reason="The guest has no disk on this host to be copied")
