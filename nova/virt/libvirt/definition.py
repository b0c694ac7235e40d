"""How a guest is defined: its domain, over disks that are there and volumes that are connected for it."""

import contextlib
from collections.abc import Callable, Iterable

import libvirt
from oslo_config import cfg

from nova.structs.guest import Disk, GuestSpec
from nova.virt.libvirt import console, devices, files, volume_names
from nova.virt.libvirt.connection import Connection, Proxy
from nova.virt.libvirt.domain_xml import build
from nova.virt.libvirt.domain_xml.facts import Drive, Host
from nova.virt.libvirt.guest_disks import GuestDisks
from nova.virt.libvirt.volumes import VolumeConnections


class Definitions:
    """The definitions of the guests of one libvirtd. facts() are the host's, which libvirtd has to be asked for first."""

    def __init__(
        self,
        conf: cfg.ConfigOpts,
        connection: Connection,
        options: files.DiskOptions,
        disks: GuestDisks,
        volumes: VolumeConnections,
        facts: Callable[[], Host],
    ) -> None:
        self.facts = facts
        self._conf, self._connection, self._options = conf, connection, options
        self._disks, self._volumes = disks, volumes

    def define(self, spec: GuestSpec, undo: contextlib.ExitStack) -> Proxy:
        """Define the guest as spec has it; undo disconnects the volumes this needs."""
        return self.define_drives(spec, self.plan(spec, undo))

    def define_drives(self, spec: GuestSpec, drives: tuple[Drive, ...]) -> Proxy:
        """Define the guest on these drives."""
        facts = self.facts()
        log = files.console_log(self._conf.instances_path, spec.uuid)
        # A free port for the serial console, where guests have one.
        port = None if facts.serial_listen is None else console.choose_port(facts.serial_listen)
        domain: Proxy = self._connection.change("defineXML", build(spec, drives, facts, str(log), port))
        return domain

    def plan(self, spec: GuestSpec, undo: contextlib.ExitStack) -> tuple[Drive, ...]:
        """The drives that spec names, its volumes connected; undo disconnects those that the guest does not have."""
        directory = files.guest_directory(self._conf.instances_path, spec.uuid)
        drives = {}
        for disk in spec.disks:
            if disk.kind == "volume":
                drives[files.volume_key(disk)] = self.connect(spec.uuid, disk, undo)
        return files.plan_drives(spec, directory, self.facts(), self._options, drives)

    def connect(self, uuid: str, disk: Disk, undo: contextlib.ExitStack) -> Drive:
        """Connect a volume; undo disconnects it, unless the guest runs with it, as it may where this is done again."""
        undo.callback(self._disconnect_unused, uuid, disk)
        return self._volumes.connect(uuid, disk)

    def _disconnect_unused(self, uuid: str, disk: Disk) -> None:
        domain = self._connection.find(uuid)
        find = devices.by_volume(files.volume_key(disk))
        if domain is None or not domain.isActive() or find(devices.read_devices(domain)) is None:
            self._volumes.disconnect(uuid, files.volume_key(disk))

    def renew(self, uuid: str, domain: Proxy, disks: Iterable[Disk]) -> None:
        """Let a guest that is off open its volumes, those among disks, by the names they have on this host now.

        Raises errors.GuestFailed.
        """
        later = domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE | libvirt.VIR_DOMAIN_XML_SECURE)
        saved = None
        if domain.hasManagedSaveImage():
            saved = domain.managedSaveGetXMLDesc(libvirt.VIR_DOMAIN_SAVE_IMAGE_XML_SECURE)
        named = volume_names.serials(later, later) | volume_names.serials(saved or later, later)
        drives = {
            files.volume_key(disk): self._volumes.connect(uuid, disk)
            for disk in disks
            if disk.kind == "volume" and files.volume_key(disk) in named
        }
        # Memory is of use only with all that the guest had; a start can do without what is not the server's any more.
        if saved is not None and (renewed := volume_names.renew(saved, drives, later, may_drop=False)):
            domain.managedSaveDefineXML(renewed, 0)
        if renewed := volume_names.renew(later, drives, later, may_drop=True):
            self._connection.change("defineXML", renewed)

    def disconnect_left_over(self, spec: GuestSpec) -> None:
        """Let go the volumes of an earlier guest, whose directory is about to be put away."""
        if self._disks.are_left_over(spec):
            self._volumes.disconnect_all(spec.uuid)
