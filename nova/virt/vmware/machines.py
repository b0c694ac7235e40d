"""Virtual machines as the places of guests: which are ours, whose they are, and how one becomes another.

A machine is ours by its identity, never by its name: its BIOS UUID is the server's, and its instance UUID, which the vCenter
keeps unique, is derived from this nova-compute's host, the server and the place that it has for the server: its own, or aside
until a move is confirmed. No other nova-compute, and nobody who makes machines by hand, makes such a pair. The mark that says
which placement made it (nova.virt.holdings) is among its options from its first moment.
"""

import logging
import uuid as uuids
import zlib
from typing import Any

import msgspec
from pyVmomi import vim, vmodl

from nova import errors
from nova.structs.disks import Mark
from nova.structs.guest import GuestState
from nova.structs.instance import PowerState
from nova.virt.vmware.cluster import Cluster
from nova.virt.vmware.files import Files
from nova.virt.vmware.machine import MARK_OPTION, Machine, server_of
from nova.virt.vmware.session import Session, has_fault

LOG = logging.getLogger(__name__)

_NAMESPACE = uuids.UUID("7d0a7b5e-2f0e-5d6c-9b1f-0c5f6f1f2a10")
SHELF_OPTION = "nova.shelf"
# What a name may hold in a vCenter's inventory, and what an operator can read.
_NAME_CHARACTERS = frozenset("-_. ")
_LONGEST_DISPLAY_NAME = 24
_TO_BE_REMOVED = "nova-removed"
STATES = {"poweredOn": PowerState.RUNNING, "poweredOff": PowerState.SHUTDOWN, "suspended": PowerState.SUSPENDED}


class Machines:
    """The machines of one nova-compute in its cluster, by their names on the shelf."""

    def __init__(self, session: Session, cluster: Cluster, host: str) -> None:
        self._session, self._cluster, self._host = session, cluster, host

    def identity(self, name: str) -> str:
        return str(uuids.uuid5(_NAMESPACE, f"{self._host}/{name}"))

    def find(self, name: str) -> Machine | None:
        """The machine, wherever somebody has moved it and whatever it is called; None when there is none."""
        return self.find_identity(self.identity(name), name)

    def find_identity(self, identity: str, name: str) -> Machine | None:
        """The machine of an identity, which another nova-compute may have derived."""
        objects = self._session.read(lambda content: content.searchIndex.FindAllByUuid(None, identity, True, True))
        try:
            return self._look(list(objects or ()), name)
        except errors.GuestNotFound:
            # It went while we looked.
            return None

    def _look(self, objects: list[Any], name: str) -> Machine | None:
        """The one among them that is the server's."""
        found = self._session.properties(objects, vim.VirtualMachine, ["config", "runtime.powerState"])
        for one, values in found:
            config = values.get("config")
            if config is None:
                # What cannot be read may be it: nothing is done on a guess.
                raise errors.GuestFailed(reason="The guest cannot be reached on its hypervisor", detail=str(one))
            if config.uuid == server_of(name):
                return Machine(one, name, config, STATES[values["runtime.powerState"]])
        return None

    def get(self, uuid: str) -> Machine:
        """A guest's machine. Raises errors.GuestNotFound."""
        machine = self.find(uuid)
        if machine is None:
            raise errors.GuestNotFound(guest=uuid)
        return machine

    def guests(self) -> tuple[GuestState, ...]:
        """Every guest of ours, in one question."""
        names = ["name", "config.uuid", "config.instanceUuid", "runtime.powerState"]
        return tuple(
            GuestState(
                uuid=values["config.uuid"], name=values["name"], power_state=STATES[values["runtime.powerState"]]
            )
            for _, values in self._session.collect([_within(self._cluster.pool)], vim.VirtualMachine, names)
            if "config.uuid" in values and values["config.instanceUuid"] == self.identity(values["config.uuid"])
        )

    def names(self) -> list[str]:
        """The names on the shelf of all machines of ours, also of those that are no guests now."""
        wanted = ["config.uuid", "config.instanceUuid", "config.extraConfig"]
        found = []
        for _, values in self._session.collect([_within(self._cluster.pool)], vim.VirtualMachine, wanted):
            options = {option.key: option.value for option in values.get("config.extraConfig", ())}
            name = options.get(SHELF_OPTION)
            if (
                name
                and server_of(name) == values["config.uuid"]
                and values["config.instanceUuid"] == self.identity(name)
            ):
                found.append(str(name))
        return sorted(found)

    def create(self, spec: Any, name: str) -> Machine:
        """Make a machine, off. name: on the shelf."""
        pool, folder = self._cluster.pool, self._cluster.folder()
        made = self._session.task(lambda _: folder.CreateVM_Task(spec, pool, None))
        machine = self._look([made], name)
        if machine is None:
            raise errors.GuestNotFound(guest=server_of(name))
        return machine

    def change(self, machine: Machine, spec: Any) -> None:
        self._session.task(lambda _: machine.object.ReconfigVM_Task(spec))

    def power_off(self, machine: Machine) -> None:
        """Switch it off, and let go what it had saved of its memory."""
        if machine.power_state is not PowerState.SHUTDOWN:
            self._reach(lambda: machine.object.PowerOffVM_Task())

    def power_on(self, machine: Machine) -> None:
        if machine.power_state is not PowerState.RUNNING:
            self._reach(lambda: machine.object.PowerOnVM_Task(None))

    def suspend(self, machine: Machine) -> None:
        if machine.power_state is PowerState.RUNNING:
            self._reach(lambda: machine.object.SuspendVM_Task())

    def unregister(self, machine: Machine) -> None:
        """Take it from the inventory; its files stay."""
        self._session.change(lambda _: machine.object.UnregisterVM())

    def _reach(self, begin: Any) -> None:
        try:
            self._session.task(lambda _: begin())
        except errors.GuestFailed as error:
            # It is there already: by itself, or by an attempt whose answer was lost.
            if not has_fault(error, "InvalidPowerState"):
                raise


class MachineShelf:
    """A nova.virt.holdings.Shelf whose directories are machines; good for one guest's turn.

    A machine is made with its first devices in one go: until then, make() only remembers its mark.
    """

    def __init__(self, machines: Machines, files: Files, cluster: Cluster, host: str) -> None:
        self._machines, self._files, self._cluster, self._host = machines, files, cluster, host
        self._pending: dict[str, Mark | None] = {}
        self._seen: dict[str, Machine | None] = {}

    def machine(self, name: str) -> Machine | None:
        """As it was when this turn saw or changed it last."""
        if name not in self._seen:
            self._seen[name] = self._machines.find(name)
        return self._seen[name]

    def see(self, machine: Machine) -> None:
        """This machine is there now."""
        self._pending.pop(machine.name, None)
        self._seen[machine.name] = machine

    def forget(self, name: str) -> None:
        """Look again: it has been changed."""
        self._seen.pop(name, None)
        self._pending.pop(name, None)

    def names(self) -> list[str]:
        return self._machines.names()

    def exists(self, name: str) -> bool:
        return name in self._pending or self.machine(name) is not None

    def make(self, name: str, mark: Mark | None) -> None:
        self._pending[name] = mark

    def read_mark(self, name: str) -> Mark | None:
        if name in self._pending:
            return self._pending[name]
        machine = self.machine(name)
        return machine.mark if machine is not None else None

    def write_mark(self, name: str, mark: Mark | None) -> None:
        if name in self._pending:
            self._pending[name] = mark
        elif (machine := self.machine(name)) is not None:
            self._machines.change(machine, vim.vm.ConfigSpec(extraConfig=[mark_option(mark)]))
            self.forget(name)

    def rename(self, name: str, new: str) -> None:
        machine = self.machine(name)
        if machine is None:
            raise errors.DiskMissing(missing=[name])
        shelf_option = vim.option.OptionValue(key=SHELF_OPTION, value=new)
        display_name = str(machine.config.name).rpartition("(")[0] or f"{server_of(new)} "
        self._machines.change(
            machine,
            vim.vm.ConfigSpec(
                name=f"{display_name}({new})", instanceUuid=self._machines.identity(new), extraConfig=[shelf_option]
            ),
        )
        self.forget(name)
        self.forget(new)

    def remove(self, name: str) -> None:
        """Remove a machine and its directory, and no disk that lies elsewhere.

        Its directory says from before the machine leaves the inventory that it is to go: nobody could tell afterwards.
        """
        machine = self.machine(name)
        if machine is not None:
            _check_volumes(machine)
            self._machines.power_off(machine)
            self._files.make_directory(machine.file(_TO_BE_REMOVED))
            self._machines.unregister(machine)
            self._files.remove(machine.directory)
        elif name not in self._pending:
            self.remove_orphans(server_of(name))
        self.forget(name)

    def keep(self, name: str) -> None:
        """A machine whose removal was broken off is not to go after all."""
        machine = self.machine(name)
        if machine is not None:
            self._files.remove(machine.file(_TO_BE_REMOVED))

    def remove_orphans(self, uuid: str) -> None:
        """Remove the directories of a server's machines whose removal was broken off. One that somebody has taken from the
        inventory by hand keeps its files."""
        suffix = host_suffix(self._host)
        for store in self._cluster.datastores():
            for name in self._files.names(store.object, f"[{store.name}]", f"{uuid}.*"):
                path = f"[{store.name}] {name}"
                if not name.endswith(suffix):
                    continue
                if self._files.names(store.object, path, _TO_BE_REMOVED):
                    if not self._is_in_use(path, uuid):
                        self._files.remove(path)
                else:
                    LOG.warning("server %s has no machine, and files in %s: they are kept", uuid, path)

    def _is_in_use(self, path: str, uuid: str) -> bool:
        machines = (self.machine(name) for name in self.names() if server_of(name) == uuid)
        return any(machine is not None and machine.directory == path for machine in machines)


def _check_volumes(machine: Machine) -> None:
    """No volume lies in what is about to go. Raises errors.GuestFailed."""
    for volume, device in machine.volumes.items():
        if device is not None and device.backing.fileName.startswith(f"{machine.directory}/"):
            raise errors.GuestFailed(
                reason=f"The file of volume {volume} has been moved in the vCenter, to the guest's own: nothing is removed",
                detail=device.backing.fileName,
            )


def host_suffix(host: str) -> str:
    """The end of the names of all directories of one nova-compute's machines."""
    return f".{zlib.crc32(host.encode()):08x}"


def mark_option(mark: Mark | None) -> Any:
    text = msgspec.json.encode(mark).decode() if mark is not None else ""
    return vim.option.OptionValue(key=MARK_OPTION, value=text)


def machine_name(display_name: str, name: str) -> str:
    """What an operator sees in the vCenter: a bounded part of the user's words, and what is unique."""
    words = "".join(one if one.isalnum() or one in _NAME_CHARACTERS else "_" for one in display_name)
    return f"{words[:_LONGEST_DISPLAY_NAME].strip() or 'server'} ({name})"


def _within(pool: Any) -> Any:
    """The machines of a resource pool and of those in it."""
    kinds = vmodl.query.PropertyCollector
    below = [kinds.SelectionSpec(name="pools"), kinds.SelectionSpec(name="machines")]
    return kinds.ObjectSpec(
        obj=pool,
        skip=True,
        selectSet=[
            kinds.TraversalSpec(name="pools", type=vim.ResourcePool, path="resourcePool", selectSet=below),
            kinds.TraversalSpec(name="machines", type=vim.ResourcePool, path="vm"),
        ],
    )
