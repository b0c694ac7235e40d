"""Moves a running guest to another host: libvirt copies memory and, where hosts share none, disks.

The destination describes itself for the source (facts); the source's libvirtd then speaks to the
destination's, and goes on when nova-compute dies. On which of the two the guest is when nobody saw the end
is for nova.virt.libvirt.switch_over.
"""

import logging
import socket
import time
import xml.etree.ElementTree as ET
from collections.abc import Callable, Mapping
from typing import Any, TypeVar
from urllib.parse import urlsplit

import libvirt
import msgspec
from oslo_config import cfg

from nova import concurrency, errors
from nova.structs.guest import GuestSpec
from nova.virt.libvirt import console, devices, disk_formats, files, uncopied
from nova.virt.libvirt.connection import Proxy, uri_of_host
from nova.virt.libvirt.domain_xml.facts import Drive, Host

LOG = logging.getLogger(__name__)

_POLL_S = 0.2
# What libvirtd is asked while it prepares a migration it answers when the migration is over; what it is asked later,
# at once. Each question left unanswered takes one of the five requests a client may have open.
_ANSWER_S = 1.0
_LONGEST_PAUSE_S = 10.0
_LEAST_TIMEOUT_GIB = 2
Progress = Callable[[int], bool]
T = TypeVar("T")


class Facts(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The destination as the source must know it. sources: where each volume lies there, by its serial. token: what
    the source must find with the guest's disks if both see the same storage; empty: an older release's.

    serial: address and port there for the serial console; None where that host offers none.
    """

    address: str
    uri_name: str | None = None
    directory: str
    is_shared: bool = False
    token: str = ""
    vnc_listen: str | None = None
    spice_listen: str | None = None
    serial: tuple[str, int] | None = None
    sources: dict[str, dict[str, str]] = {}


def describe_destination(
    spec: GuestSpec, conf: cfg.ConfigOpts, host: Host, is_shared: bool, drives: tuple[Drive, ...], token: str = ""
) -> Facts:
    """What the source must know of this host to migrate a guest here."""
    return Facts(
        address=conf.libvirt.live_migration_inbound_addr or conf.my_ip,
        uri_name=conf.libvirt.live_migration_inbound_addr,
        directory=str(files.guest_directory(conf.instances_path, spec.uuid)),
        is_shared=is_shared,
        token=token,
        vnc_listen=host.vnc_listen,
        spice_listen=host.spice_listen,
        serial=(host.serial_listen, console.choose_port(host.serial_listen)) if host.serial_listen else None,
        sources={
            drive.serial: {"block": {"dev": drive.path}, "file": {"file": drive.path}}[drive.type]
            for drive in drives
            if drive.serial and drive.type != "network"
        },
    )


def remote_uri(conf: cfg.ConfigOpts, to: str, facts: Facts) -> str:
    """The destination's libvirtd, as the source's reaches it."""
    return uri_of_host(conf, facts.uri_name or to)


def check_name(uri: str) -> None:
    """Raises GuestFailed where this host cannot resolve the destination's name: libvirt would try for a minute."""
    name = urlsplit(uri).hostname
    if name is None:
        return
    try:
        concurrency.run_blocking(socket.getaddrinfo, name, None)
    except OSError as error:
        reason = "The server's host does not know the address of the destination"
        LOG.error("this host cannot resolve %s, where a guest is to go: %s", name, error)
        raise errors.GuestFailed(reason=reason, detail=f"{name}: {error}") from error


def move(domain: Proxy, spec: GuestSpec, uri: str, facts: Facts, conf: cfg.ConfigOpts, progress: Progress) -> None:
    """Begin to move the guest; returns when it runs on the destination.

    Raises errors.Cancelled when progress() returned False, errors.GuestFailed, errors.Unavailable; where the guest
    is then only nova.virt.libvirt.switch_over tells.
    """
    outcome: list[Exception | None] = []
    is_incremental = _is_incremental(spec, conf)
    own_directory = str(files.guest_directory(conf.instances_path, spec.uuid))

    def run() -> None:
        try:
            disks = _disks_to_copy(domain, facts, own_directory)
            left = uncopied.of(devices.read_devices(domain).findall("disk"), disks)
            uncopied.check(left, domain.connect().getVersion())
            parameters = _parameters(domain, facts, conf, own_directory, disks)
            domain.migrateToURI3(uri, parameters, _flags(conf, disks, left, is_incremental))
            outcome.append(None)
        except errors.DomainError as error:
            outcome.append(error)

    thread = concurrency.spawn(run, name=f"migrate-{spec.uuid}")
    may_continue = _watch(domain, lambda: bool(outcome), _timeout_s(spec, conf), conf, progress)
    thread.join()
    if outcome[0] is not None:
        raise outcome[0] if may_continue else errors.Cancelled("The live migration was aborted.")


def watch(domain: Proxy, spec: GuestSpec, conf: cfg.ConfigOpts, progress: Progress) -> bool:
    """Wait until the guest is not being moved any more; False: it was aborted. Raises errors.Unavailable."""
    if not _is_moving(domain):
        return True
    return _watch(domain, lambda: not _is_moving(domain), _timeout_s(spec, conf), conf, progress)


def force(domain: Proxy) -> None:
    """Pause a migrating guest, so that its memory stops changing; it runs again on the destination."""
    if not _is_moving(domain):
        raise errors.GuestFailed(reason="The guest is not being moved")
    try:
        _ask(domain.suspend)
    except TimeoutError as error:
        raise errors.GuestFailed(reason="The migration is just beginning; try again") from error


def rewrite(definition: str, own_directory: str, facts: Facts, later: str | None = None) -> str:
    """The guest's definition as it is to be on the destination: its paths, its addresses.

    later: its definition for the next start, which tells what volume each disk is. Raises errors.GuestFailed for a
    device of which the destination does not say where it lies there: by this host's name it is nobody's there, or another
    guest's.
    """
    known = ET.fromstring(later or definition).find("devices")
    domain = ET.fromstring(definition)
    for element in domain.iter():
        for name in ("file", "path"):
            value = element.get(name)
            if value is not None and value.startswith(own_directory + "/"):
                element.set(name, facts.directory + value[len(own_directory) :])
    for disk in domain.findall("devices/disk"):
        serial = disk.findtext("serial", "") if known is None else devices.serial_of(disk, known)
        _move_source(disk, facts.sources.get(serial))
        # The destination's disks stand on the destination's copy of the image, wherever that lies.
        for backing in disk.findall("backingStore"):
            disk.remove(backing)
    _rewrite_consoles(domain, facts)
    return ET.tostring(domain, encoding="unicode")


def _move_source(disk: ET.Element, place: Mapping[str, str] | None) -> None:
    source = disk.find("source")
    if source is None:
        return
    if place is not None:
        for name in ("file", "dev"):
            source.attrib.pop(name, None)
        disk.set("type", "block" if "dev" in place else "file")
        source.attrib.update(place)
    elif source.get("dev") is not None:
        reason = "The destination does not say where a volume of the server lies there"
        raise errors.GuestFailed(reason=reason, detail=devices.attribute(disk, "target", "dev"))


def _rewrite_consoles(domain: ET.Element, facts: Facts) -> None:
    """No address and no port of this host: there they are nobody's, or another guest's."""
    listen = {"vnc": facts.vnc_listen, "spice": facts.spice_listen}
    for graphics in domain.findall("devices/graphics"):
        address = listen.get(graphics.get("type", "")) or "127.0.0.1"
        graphics.set("listen", address)
        for element in graphics.findall("listen"):
            element.set("address", address)
    # libvirt shows the first serial port a second time, as a console.
    for port in (*domain.findall("devices/serial[@type='tcp']"), *domain.findall("devices/console[@type='tcp']")):
        if facts.serial is None:
            port.set("type", "pty")
            for child in (*port.findall("source"), *port.findall("protocol")):
                port.remove(child)
            continue
        for source in port.findall("source"):
            source.set("host", facts.serial[0])
            source.set("service", str(facts.serial[1]))


def _parameters(domain: Proxy, facts: Facts, conf: cfg.ConfigOpts, own: str, disks: list[str]) -> dict[str, Any]:
    migratable = libvirt.VIR_DOMAIN_XML_MIGRATABLE | libvirt.VIR_DOMAIN_XML_SECURE
    later = domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE | libvirt.VIR_DOMAIN_XML_SECURE)
    parameters: dict[str, Any] = {
        libvirt.VIR_MIGRATE_PARAM_URI: f"tcp://{facts.address}",
        libvirt.VIR_MIGRATE_PARAM_DEST_XML: rewrite(domain.XMLDesc(migratable), own, facts, later),
        libvirt.VIR_MIGRATE_PARAM_PERSIST_XML: rewrite(later, own, facts),
    }
    if disks:
        parameters[libvirt.VIR_MIGRATE_PARAM_MIGRATE_DISKS] = disks
    if conf.libvirt.live_migration_bandwidth:
        parameters[libvirt.VIR_MIGRATE_PARAM_BANDWIDTH] = conf.libvirt.live_migration_bandwidth
    return parameters


def _disks_to_copy(domain: Proxy, facts: Facts, directory: str) -> list[str]:
    if facts.is_shared:
        return []
    disks = ET.fromstring(domain.XMLDesc(0)).findall("devices/disk")
    return [
        devices.attribute(disk, "target", "dev")
        for disk in disks
        if disk.find("readonly") is None
        and (source := disk.find("source")) is not None
        and (source.get("file") or "").startswith(directory + "/")
    ]


def _is_incremental(spec: GuestSpec, conf: cfg.ConfigOpts) -> bool:
    """Whether what differs from the server's image is all that has to be copied: the destination has that under it.

    A disk of an unshelved server stands on another image, or by itself.
    """
    directory = files.guest_directory(conf.instances_path, spec.uuid)
    roots = [(disk, directory / name) for disk, name in files.local_files(spec) if disk.kind == "root"]
    return all(
        disk_formats.recorded(path, "qcow2") == "raw" or disk_formats.stands_on_its_image(path, disk)
        for disk, path in roots
        if disk.image_path is not None or disk.missing_image is not None
    )


def _flags(conf: cfg.ConfigOpts, copied: list[str], left: list[ET.Element], is_incremental: bool) -> int:
    flags: int = (
        libvirt.VIR_MIGRATE_LIVE
        | libvirt.VIR_MIGRATE_PEER2PEER
        | libvirt.VIR_MIGRATE_PERSIST_DEST
        | libvirt.VIR_MIGRATE_UNDEFINE_SOURCE
    )
    if left:
        # They were checked. Where all are copied, libvirt's own check counts.
        flags |= libvirt.VIR_MIGRATE_UNSAFE
    if copied:
        flags |= libvirt.VIR_MIGRATE_NON_SHARED_INC if is_incremental else libvirt.VIR_MIGRATE_NON_SHARED_DISK
    if conf.libvirt.live_migration_permit_auto_converge:
        flags |= libvirt.VIR_MIGRATE_AUTO_CONVERGE
    return flags


def _watch(
    domain: Proxy, is_over: Callable[[], bool], timeout_s: float, conf: cfg.ConfigOpts, progress: Progress
) -> bool:
    """Report progress until is_over(). False: the migration was aborted."""
    deadline = time.monotonic() + timeout_s if timeout_s else None
    may_continue, is_downtime_set, is_forced = True, False, False
    pause_s = _POLL_S
    while not concurrency.wait_for(is_over, pause_s, interval_s=0.02):
        try:
            stats = _ask(domain.jobStats, 0)
            if not is_downtime_set:
                _ask(domain.migrateSetMaxDowntime, conf.libvirt.live_migration_downtime, 0)
                is_downtime_set = True
            is_late = deadline is not None and time.monotonic() > deadline
            if is_late and conf.libvirt.live_migration_timeout_action == "force_complete" and not is_forced:
                _ask(domain.suspend)
                is_forced = True
            elif may_continue:
                may_continue = progress(_percent(stats)) and (is_forced or not is_late)
            if not may_continue:
                _ask(domain.abortJob)
            pause_s = _POLL_S
        except errors.StepFailed as error:
            # It has not begun yet, or is over just now.
            LOG.debug("watching a migration: %s", error)
        except TimeoutError:
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
    return may_continue


def _ask(call: Callable[..., T], *args: Any) -> T:
    """Raises TimeoutError while libvirtd prepares the migration."""
    return concurrency.call_within(_ANSWER_S, call, *args)


def _is_moving(domain: Proxy) -> bool:
    try:
        stats = _ask(domain.jobStats, 0)
    except TimeoutError:
        return True
    except errors.StepFailed:
        return False
    return stats.get("operation") == libvirt.VIR_DOMAIN_JOB_OPERATION_MIGRATION_OUT and stats.get("type") in (
        libvirt.VIR_DOMAIN_JOB_BOUNDED,
        libvirt.VIR_DOMAIN_JOB_UNBOUNDED,
    )


def _percent(stats: dict[str, Any]) -> int:
    total = stats.get("data_total", 0)
    return min(99, 100 * stats.get("data_processed", 0) // total) if total else 0


def _timeout_s(spec: GuestSpec, conf: cfg.ConfigOpts) -> float:
    """Source: configuration reference, [libvirt] live_migration_completion_timeout."""
    flavor = spec.flavor
    gib = max(_LEAST_TIMEOUT_GIB, flavor.memory_mb // 1024 + flavor.root_gb + flavor.ephemeral_gb)
    return float(conf.libvirt.live_migration_completion_timeout * gib)
