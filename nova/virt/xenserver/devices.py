"""The block and network devices of a VM: VBDs lead to disks, VIFs to networks."""

import logging

from nova import errors
from nova.structs.network import Vif
from nova.virt.xenserver.blueprint import FIRST_OTHER
from nova.virt.xenserver.identity import Record, Vm
from nova.virt.xenserver.session import GONE, NULL, Session, code_of, unless

LOG = logging.getLogger(__name__)

_PORT = "nova:port"
_DONE = ("DEVICE_ALREADY_ATTACHED", "DEVICE_ALREADY_DETACHED", *GONE)


class Devices:
    def __init__(self, session: Session, host: str) -> None:
        self._session = session
        self._host = host

    # Disks

    def disks_of(self, vm: Vm) -> dict[str, tuple[str, Record]]:
        """The VM's VBDs, by the disk that each leads to."""
        found = {}
        for ref in self._session.call("VM.get_VBDs", vm.ref):
            with unless(*GONE):
                record: Record = self._session.call("VBD.get_record", ref)
                if record["VDI"] != NULL:
                    found[record["VDI"]] = (ref, record)
        return found

    def attach_disk(
        self,
        vm: Vm,
        vdi: str,
        place: str | None = None,
        is_read_only: bool = False,
        config: dict[str, str] | None = None,
    ) -> None:
        """Lead the VM to a disk, at its place or the next that is free, and plug it into a running guest."""
        found = self.disks_of(vm).get(vdi)
        if found is None:
            ref = self._create_vbd(vm, vdi, place or self._free_place(vm), is_read_only, config or {})
        else:
            ref = found[0]
        self.plug(vm, "VBD", ref)

    def detach_disk(self, vm: Vm, vdi: str) -> None:
        """No error when the VM is not led to it."""
        found = self.disks_of(vm).get(vdi)
        if found is not None:
            self._drop(vm, "VBD", found[0])

    def move_disk(self, vm: Vm, vdi: str, place: str) -> None:
        """The disk of a VM that is off is at place from now on."""
        found = self.disks_of(vm).get(vdi)
        if found is not None and found[1]["userdevice"] != place:
            self._session.call("VBD.set_userdevice", found[0], place)

    def _create_vbd(self, vm: Vm, vdi: str, place: str, is_read_only: bool, config: dict[str, str]) -> str:
        record = {
            "VM": vm.ref,
            "VDI": vdi,
            "userdevice": place,
            "bootable": place == "0",
            "mode": "RO" if is_read_only else "RW",
            "type": "Disk",
            "unpluggable": True,
            "empty": False,
            "other_config": config,
            "qos_algorithm_type": "",
            "qos_algorithm_params": {},
        }
        return str(self._session.call("VBD.create", record))

    def _free_place(self, vm: Vm) -> str:
        free = [
            place for place in self._session.call("VM.get_allowed_VBD_devices", vm.ref) if int(place) >= FIRST_OTHER
        ]
        if not free:
            raise errors.GuestFailed(reason="The guest has no room for another disk")
        return str(free[0])

    # Network devices

    def attach_vif(self, vm: Vm, vif: Vif) -> None:
        """Lead the VM to the network that the port is bound to, and plug it into a running guest."""
        found = self.find_vif(vm, vif)
        ref = found or str(self._session.call("VIF.create", self._vif_record(vm, vif)))
        self.plug(vm, "VIF", ref)

    def detach_vif(self, vm: Vm, vif: Vif) -> None:
        """No error when it is missing."""
        found = self.find_vif(vm, vif)
        if found is not None:
            self._drop(vm, "VIF", found)

    def detach_vifs_but(self, vm: Vm, vifs: tuple[Vif, ...]) -> None:
        """Unplug what we have plugged in and the server has not, by its record."""
        ports = {vif.port_id for vif in vifs}
        for ref, record in self.vifs_of(vm).items():
            port = record["other_config"].get(_PORT)
            if port is not None and port not in ports:
                self._drop(vm, "VIF", ref)

    def find_vif(self, vm: Vm, vif: Vif) -> str | None:
        for ref, record in self.vifs_of(vm).items():
            if record["MAC"].lower() == vif.mac.lower():
                return ref
        return None

    def vifs_of(self, vm: Vm) -> dict[str, Record]:
        found: dict[str, Record] = {}
        for ref in self._session.call("VM.get_VIFs", vm.ref):
            with unless(*GONE):
                found[ref] = self._session.call("VIF.get_record", ref)
        return found

    def _vif_record(self, vm: Vm, vif: Vif) -> Record:
        used = {record["device"] for record in self.vifs_of(vm).values()}
        free = next((str(number) for number in range(7) if str(number) not in used), None)
        if free is None:
            raise errors.GuestFailed(reason="The guest has no room for another network device")
        return {
            "device": free,
            "network": self._network(vif),
            "VM": vm.ref,
            "MAC": vif.mac.lower(),
            "MTU": str(vif.mtu),
            "other_config": {_PORT: vif.port_id},
            "qos_algorithm_type": "",
            "qos_algorithm_params": {},
        }

    def _network(self, vif: Vif) -> str:
        """The pool's network behind the bridge that the port is bound to. None is made: which wire a bridge is on is
        for whoever built the pool to say."""
        name = str(vif.details.get("bridge_name", ""))
        records: dict[str, Record] = self._session.call("network.get_all_records_where", f'field "bridge" = "{name}"')
        if not name or '"' in name or len(records) != 1:
            reason = "it has no network for a port of the server"
            raise errors.HostRefused(host=self._host, reason=reason, detail=f"port {vif.port_id}: bridge {name!r}")
        return next(iter(records))

    # Both

    def plug(self, vm: Vm, kind: str, ref: str) -> None:
        """A device that is in a running guest's record is in the guest."""
        if self._session.call("VM.get_power_state", vm.ref) == "Running":
            with unless(*_DONE):
                self._session.call(f"{kind}.plug", ref)

    def _drop(self, vm: Vm, kind: str, ref: str) -> None:
        with unless(*GONE):
            if self._session.call(f"{kind}.get_currently_attached", ref):
                self._unplug(vm, kind, ref)
            self._session.call(f"{kind}.destroy", ref)

    def _unplug(self, vm: Vm, kind: str, ref: str) -> None:
        try:
            with unless(*_DONE):
                self._session.call(f"{kind}.unplug", ref)
        except errors.GuestFailed as error:
            if code_of(error) != "VM_BAD_POWER_STATE":
                raise
            if self._session.call("VM.get_power_state", vm.ref) != "Halted":
                raise errors.GuestFailed(reason="A guest that is paused or suspended lets go of no device") from error
