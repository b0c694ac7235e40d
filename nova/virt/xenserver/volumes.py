"""Volumes over iSCSI: each is a storage repository of its own, introduced for as long as it is attached.

Its uuid is made of the volume's id and this host, so that what a killed nova-compute has introduced is found again.
Forgetting a repository leaves what is on it.
"""

import logging
import uuid as uuids
from collections.abc import Callable
from typing import Any

from nova import errors
from nova.structs.guest import Disk
from nova.virt.xenserver import identity
from nova.virt.xenserver.devices import Devices
from nova.virt.xenserver.identity import Record, Vm
from nova.virt.xenserver.session import GONE, NULL, Session, code_of, unless
from nova.virt.xenserver.vms import Vms

LOG = logging.getLogger(__name__)

_SPACE = uuids.UUID("6f1f2f0e-6d0c-4f4e-9a83-0c8f3f0a7b51")
_TAKEN = ("DB_UNIQUENESS_CONSTRAINT_VIOLATION", "SR_UUID_EXISTS")


class Volumes:
    """host_ref() gives the pool's object of this host."""

    def __init__(self, session: Session, vms: Vms, devices: Devices, host: str, host_ref: Callable[[], str]) -> None:
        self._session = session
        self._vms = vms
        self._devices = devices
        self._host = host
        self._host_ref = host_ref

    def connector(self) -> dict[str, Any]:
        record: Record = self._session.call("host.get_record", self._host_ref())
        return {
            "host": self._host,
            "ip": record["address"],
            "initiator": record["other_config"].get("iscsi_iqn") or record.get("iscsi_iqn", ""),
            "platform": "x86_64",
            "os_type": "xen",
            "multipath": False,
        }

    def attach(self, vm: Vm, disk: Disk, place: str | None = None) -> None:
        """Introduce the volume's repository, and lead the VM to the disk on it."""
        volume_id = volume_id_of(disk)
        self._note(vm, self.attached_to(vm) | {volume_id})
        storage = self._introduce(volume_id)
        try:
            self._plug(storage, disk)
            self._devices.attach_disk(vm, self._disk_on(storage), place, config={identity.VOLUME: volume_id})
        except errors.StepFailed:
            self.detach_id(vm, volume_id)
            raise

    def detach(self, vm: Vm | None, disk: Disk) -> None:
        """No error when it is not attached, or the VM is gone."""
        self.detach_id(vm, volume_id_of(disk))

    def detach_id(self, vm: Vm | None, volume_id: str) -> None:
        storage = self._find(volume_id)
        if storage is not None:
            if vm is not None:
                with unless(*GONE):
                    for vdi in self._session.call("SR.get_VDIs", storage):
                        self._devices.detach_disk(vm, vdi)
            self._forget(storage)
        if vm is not None and volume_id in (connected := self.attached_to(vm)):
            self._note(vm, connected - {volume_id})

    def attached_to(self, vm: Vm) -> set[str]:
        """The ids of the volumes that are connected for a VM, or were about to be."""
        config: dict[str, str] = self._session.call("VM.get_other_config", vm.ref)
        return set(config.get(identity.VOLUMES, "").split())

    def detach_all(self, vm: Vm) -> None:
        for volume_id in self.attached_to(vm):
            self.detach_id(vm, volume_id)

    def _note(self, vm: Vm, volume_ids: set[str]) -> None:
        self._vms.set_config(vm, **{identity.VOLUMES: " ".join(sorted(volume_ids)) or None})

    def _introduce(self, volume_id: str) -> str:
        sr_uuid = self._uuid(volume_id)
        try:
            label = f"volume {volume_id}"
            storage = str(self._session.call("SR.introduce", sr_uuid, label, "", "iscsi", "", False, {}))
        except errors.GuestFailed as error:
            if code_of(error) not in _TAKEN:
                raise
            storage = str(self._session.call("SR.get_by_uuid", sr_uuid))
        return storage

    def _plug(self, storage: str, disk: Disk) -> None:
        pbd = self._pbd(storage)
        if pbd is None:
            record = {"host": self._host_ref(), "SR": storage, "device_config": _target(disk), "other_config": {}}
            pbd = str(self._session.call("PBD.create", record))
        if not self._session.call("PBD.get_currently_attached", pbd):
            self._session.run("PBD.plug", pbd)
        self._session.call("SR.scan", storage)

    def _disk_on(self, storage: str) -> str:
        vdis: list[str] = self._session.call("SR.get_VDIs", storage)
        if len(vdis) != 1:
            raise errors.GuestFailed(
                reason="The volume does not appear on the server's host", detail=f"{len(vdis)} disks"
            )
        return vdis[0]

    def _forget(self, storage: str) -> None:
        """Nothing of the volume stays here; a repository that a guest still uses stays, and says so."""
        with unless(*GONE):
            for pbd in self._session.call("SR.get_PBDs", storage):
                if self._session.call("PBD.get_currently_attached", pbd):
                    self._session.run("PBD.unplug", pbd)
                self._session.call("PBD.destroy", pbd)
            self._session.call("SR.forget", storage)

    def _find(self, volume_id: str) -> str | None:
        try:
            return str(self._session.call("SR.get_by_uuid", self._uuid(volume_id)))
        except errors.GuestFailed as error:
            if code_of(error) not in GONE:
                raise
            return None

    def _pbd(self, storage: str) -> str | None:
        for pbd in self._session.call("SR.get_PBDs", storage):
            if self._session.call("PBD.get_host", pbd) in (self._host_ref(), NULL):
                return str(pbd)
        return None

    def _uuid(self, volume_id: str) -> str:
        return str(uuids.uuid5(_SPACE, f"{self._host} {volume_id}"))


def volume_id_of(disk: Disk) -> str:
    return (disk.volume.volume_id or disk.volume.id) if disk.volume is not None else ""


def _target(disk: Disk) -> dict[str, str]:
    """The device_config of an iSCSI repository. Raises errors.GuestFailed for a volume that is reached otherwise."""
    info: Any = (disk.volume.connection_info if disk.volume is not None else None) or {}
    data = info.get("data", {})
    if info.get("driver_volume_type") != "iscsi" or "target_portal" not in data:
        raise errors.GuestFailed(reason=f"XenServer reaches volumes by iSCSI, not by {info.get('driver_volume_type')}")
    address, _, port = str(data["target_portal"]).rpartition(":")
    config = {
        "target": address.strip("[]"),
        "port": port,
        "targetIQN": str(data["target_iqn"]),
        "LUNid": str(data.get("target_lun", 0)),
    }
    if data.get("auth_method"):
        config |= {"chapuser": str(data["auth_username"]), "chappassword": str(data["auth_password"])}
    return config
