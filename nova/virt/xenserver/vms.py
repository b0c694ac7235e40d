"""Finds our VMs in the pool, and is the shelf on which nova.virt.holdings sees each as the directory of its disks.

A VM is found by its identity. Where one was found before is looked at first; all of the pool's are read, in one
request, when it is not there.
"""

import threading
from collections.abc import Callable

from nova import errors
from nova.structs.disks import Mark
from nova.virt.xenserver import identity, power
from nova.virt.xenserver.disks import Disks
from nova.virt.xenserver.identity import Record, Vm
from nova.virt.xenserver.session import GONE, Session, code_of, unless

_OWN = 'field "is_a_template" = "false" and field "is_control_domain" = "false"'


class Vms:
    """The VMs of one host's guests."""

    def __init__(self, session: Session, host: str) -> None:
        self._session = session
        self._host = host
        self._known: dict[str, str] = {}
        self._lock = threading.Lock()

    def all(self) -> list[Vm]:
        """Every VM of ours, in one request; of several by one name the complete one, which was there first."""
        records = self.everyone()
        vms = (identity.own_vm(ref, record, self._host) for ref, record in records.items())
        found: dict[str, Vm] = {}
        for vm in sorted((vm for vm in vms if vm is not None), key=lambda vm: (not vm.is_whole, vm.uuid)):
            found.setdefault(vm.name, vm)
        with self._lock:
            self._known = {name: vm.ref for name, vm in found.items()}
        return list(found.values())

    def find(self, name: str) -> Vm | None:
        with self._lock:
            ref = self._known.get(name)
        if ref is not None and (vm := self._look(ref)) is not None and vm.name == name:
            return vm
        return next((vm for vm in self.all() if vm.name == name), None)

    def get(self, uuid: str) -> Vm:
        """Raises errors.GuestNotFound."""
        vm = self.find(uuid)
        if vm is None:
            raise errors.GuestNotFound(guest=uuid)
        return vm

    def create(self, record: Record, name: str, mark: Mark | None) -> None:
        config = {identity.HOST: self._host, identity.NAME: name, identity.MARK: identity.mark_text(mark)}
        ref = self._session.call("VM.create", record | {"other_config": record.get("other_config", {}) | config})
        with self._lock:
            self._known[name] = ref

    def set_config(self, vm: Vm, **changes: str | None) -> None:
        """Change entries of the identity, all at once; None removes one. What others have put there stays."""
        now: dict[str, str] = self._session.call("VM.get_other_config", vm.ref)
        config = {key: value for key, value in now.items() if key not in changes}
        config |= {key: value for key, value in changes.items() if value is not None}
        self._session.call("VM.set_other_config", vm.ref, config)

    def everyone(self) -> dict[str, Record]:
        """Every VM in the pool, whoever made it."""
        records: dict[str, Record] = self._session.call("VM.get_all_records_where", _OWN)
        return records

    def adopt(self, former: str) -> None:
        """This host had another name: the VMs that were that one's are this one's."""
        for ref, record in self.everyone().items():
            vm = identity.own_vm(ref, record, former)
            if vm is not None:
                self.set_config(vm, **{identity.HOST: self._host})

    def _look(self, ref: str) -> Vm | None:
        try:
            record: Record = self._session.call("VM.get_record", ref)
        except errors.GuestFailed as error:
            if code_of(error) not in GONE:
                raise
            return None
        return identity.own_vm(ref, record, self._host)


class VmShelf:
    """Our VMs by name. blueprint: the record of a VM that make() is to make; without one nothing is made."""

    def __init__(self, session: Session, vms: Vms, disks: Disks, blueprint: Callable[[], Record] | None = None) -> None:
        self._session = session
        self._vms = vms
        self._disks = disks
        self._blueprint = blueprint

    def names(self) -> list[str]:
        return sorted(vm.name for vm in self._vms.all())

    def exists(self, name: str) -> bool:
        return self._vms.find(name) is not None

    def make(self, name: str, mark: Mark | None) -> None:
        if self._blueprint is None:
            raise errors.DiskMissing(missing=[name])
        self._vms.create(self._blueprint(), name, mark)

    def read_mark(self, name: str) -> Mark | None:
        vm = self._vms.find(name)
        return None if vm is None else vm.mark

    def write_mark(self, name: str, mark: Mark | None) -> None:
        vm = self._vms.find(name)
        if vm is not None:
            self._vms.set_config(vm, **{identity.MARK: identity.mark_text(mark)})

    def rename(self, name: str, new: str) -> None:
        vm = self._vms.find(name)
        if vm is not None:
            power.switch_off(self._session, vm)
            self._vms.set_config(vm, **{identity.NAME: new})

    def remove(self, name: str) -> None:
        """Switch off, and remove the disks that were made for the VM, and it. What else it has stays in the pool."""
        while (vm := self._vms.find(name)) is not None:
            power.switch_off(self._session, vm)
            self._disks.remove_all(vm)
            with unless(*GONE):
                self._session.call("VM.destroy", vm.ref)
