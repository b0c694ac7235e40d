"""The disks (VDIs) that are made for our VMs. Each says whose it is before it has content, and is used only when whole."""

import logging
import threading
from collections.abc import Callable

from nova import concurrency, errors
from nova.virt.xenserver import identity
from nova.virt.xenserver.identity import Record, Vm
from nova.virt.xenserver.session import GONE, NULL, Session, code_of, unless

LOG = logging.getLogger(__name__)

_MANAGED = 'field "managed" = "true"'
# A clone takes a moment.
_TAKEN_S = 10.0
_CANNOT_CLONE = "SR_OPERATION_NOT_SUPPORTED"


class Disks:
    """The disks of one host's guests. storage() gives the repository where new ones are made."""

    def __init__(self, session: Session, storage: Callable[[], str]) -> None:
        self._session = session
        self.storage = storage
        self._taking = threading.Lock()

    def all(self) -> dict[str, Record]:
        """Every disk in the pool, in one request."""
        records: dict[str, Record] = self._session.call("VDI.get_all_records_where", _MANAGED)
        return records

    def of(self, vm: Vm) -> dict[str, tuple[str, Record]]:
        """The complete disks that were made for a VM, by name; what a broken-off step has left is removed.

        Only in the guest's turn: what another step is about to complete must not go.
        """
        own = {ref: record for ref, record in self.all().items() if identity.is_own_disk(record, vm.uuid)}
        for ref, record in own.items():
            if not identity.is_ready(record):
                self._remove(ref, record)
        return _by_name(own)

    def seen(self, vm: Vm) -> dict[str, tuple[str, Record]]:
        """The complete disks of a VM, which may be another host's."""
        return _by_name({ref: record for ref, record in self.all().items() if identity.is_own_disk(record, vm.uuid)})

    def make(self, vm: Vm, name: str, size: int, fill: Callable[[str], None] | None = None) -> str:
        """A disk of size bytes, filled."""
        ref = self.create(size, {identity.VM: vm.uuid, identity.DISK: name}, f"{vm.name} {name}")
        if fill is not None:
            fill(ref)
        self.make_ready(ref)
        return ref

    def copy(self, vm: Vm, name: str, source: str, size: int) -> str:
        """A disk with the content of another one, which stays as it is: on top of it, where the storage can."""
        config = {identity.VM: vm.uuid, identity.DISK: name}
        record: Record = self._session.call("VDI.get_record", source)
        size = max(size, int(record["virtual_size"]))
        if record["SR"] != self.storage() or (ref := self._clone(vm, source, config)) is None:
            ref = self.create(size, config, f"{vm.name} {name}")
            self._session.run("VDI.copy", source, NULL, NULL, ref)
        elif size > int(record["virtual_size"]):
            self._session.call("VDI.resize", ref, str(size))
        self.make_ready(ref)
        return ref

    def grow(self, ref: str, size: int) -> None:
        """Make a disk that no running guest has at least size bytes large."""
        if int(self._session.call("VDI.get_virtual_size", ref)) < size:
            self._session.call("VDI.resize", ref, str(size))

    def create(self, size: int, config: dict[str, str], label: str) -> str:
        record = {
            "name_label": label,
            "name_description": "",
            "SR": self.storage(),
            "virtual_size": str(size),
            "type": "user",
            "sharable": False,
            "read_only": False,
            "other_config": config,
            "xenstore_data": {},
            "sm_config": {},
            "tags": [],
        }
        return str(self._session.call("VDI.create", record))

    def make_ready(self, ref: str) -> None:
        """From now on the disk's content is there."""
        uuid = self._session.call("VDI.get_uuid", ref)
        self._session.call("VDI.add_to_other_config", ref, identity.READY, uuid)

    def remove_all(self, vm: Vm) -> None:
        """Remove what was made for a VM that is off, and nothing that anyone has copied from it or given to it."""
        for ref, record in self.all().items():
            if identity.is_own_disk(record, vm.uuid):
                self._remove(ref, record)

    def remove(self, ref: str) -> None:
        """Remove a disk of ours; no error when it is gone."""
        with unless(*GONE):
            self._session.call("VDI.destroy", ref)

    def _remove(self, ref: str, record: Record) -> None:
        LOG.info("removing disk %s (%s)", record["uuid"], record["name_label"])
        self.remove(ref)

    def duplicate(self, vm: Vm, source: str, how: str) -> str:
        """A clone or snapshot of a disk, which is the VM's own incomplete disk from its first moment.

        The pool gives it what its original says of itself; so that says for whom, as long as it takes.
        """
        with self._taking:
            self._claim(vm, source)
            try:
                return str(self._session.call(f"VDI.{how}", source, {}))
            finally:
                with unless(*GONE):
                    self._session.call("VDI.remove_from_other_config", source, identity.TAKING)

    def _claim(self, vm: Vm, source: str) -> None:
        """Another nova-compute has its turn first, or was killed in it."""

        def is_free() -> bool:
            try:
                self._session.call("VDI.add_to_other_config", source, identity.TAKING, vm.uuid)
            except errors.GuestFailed as error:
                if code_of(error) != "MAP_DUPLICATE_KEY":
                    raise
                return bool(self._session.call("VDI.get_other_config", source).get(identity.TAKING) == vm.uuid)
            return True

        if not concurrency.wait_for(is_free, _TAKEN_S, interval_s=0.2):
            self._session.call("VDI.remove_from_other_config", source, identity.TAKING)
            self._session.call("VDI.add_to_other_config", source, identity.TAKING, vm.uuid)

    def _clone(self, vm: Vm, source: str, config: dict[str, str]) -> str | None:
        """A copy on top of source; None where the storage makes none."""
        try:
            ref = self.duplicate(vm, source, "clone")
        except errors.GuestFailed as error:
            if code_of(error) != _CANNOT_CLONE:
                raise
            return None
        self._session.call("VDI.set_other_config", ref, config)
        self._session.call("VDI.set_name_label", ref, f"{vm.name} {config[identity.DISK]}")
        return ref


def _by_name(own: dict[str, Record]) -> dict[str, tuple[str, Record]]:
    ready = ((ref, record) for ref, record in own.items() if identity.is_ready(record))
    return {record["other_config"][identity.DISK]: (ref, record) for ref, record in ready}
