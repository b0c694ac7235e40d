"""Takes a guest that is off to another cluster of its vCenter, or to another size, and back until that is confirmed.

What the guest was stays aside as a machine under another identity, its disks untouched. Its successor gets whole copies of them;
so neither side writes to what the other one may still need.
"""

import contextlib
from typing import Any

from pyVmomi import vim

from nova import errors
from nova.structs.guest import GuestSpec
from nova.virt.holdings import Holdings
from nova.virt.vmware import disks, guest_config
from nova.virt.vmware.building import Builder
from nova.virt.vmware.machine import Machine
from nova.virt.vmware.machines import Machines, MachineShelf
from nova.virt.vmware.session import Session
from nova.virt.vmware.volumes import VolumeDisks


class Moves:
    """The steps of a move on one host. Each works in its guest's turn, on that turn's shelf."""

    def __init__(self, session: Session, machines: Machines, builder: Builder, volumes: VolumeDisks, host: str) -> None:
        self._session, self._machines, self._builder = session, machines, builder
        self._volumes, self._host = volumes, host

    def set_aside(self, spec: GuestSpec, shelf: MachineShelf) -> dict[str, Any]:
        holdings = Holdings(shelf)
        if not holdings.is_out_of_the_way(spec):
            machine = shelf.machine(spec.uuid)
            if machine is not None:
                self._machines.power_off(machine)
                self._volumes.detach_all(machine)
                if missing := disks.missing_options(machine, spec):
                    # A successor of another size has no other way to know what is what.
                    self._machines.change(machine, vim.vm.ConfigSpec(extraConfig=missing))
                shelf.forget(spec.uuid)
            holdings.set_aside(spec)
        return {
            "host": self._host,
            "vcenter": self._vcenter(),
            "identity": self._machines.identity(f"{spec.uuid}.aside"),
        }

    def take_over(self, spec: GuestSpec, facts: dict[str, Any], shelf: MachineShelf) -> None:
        guest_config.check(spec, self._host)
        if facts.get("vcenter") != self._vcenter():
            raise errors.HostRefused(
                host=self._host, reason="the disks of the guest are in no vCenter that it can read"
            )
        source = self._machines.find_identity(str(facts["identity"]), f"{spec.uuid}.aside")
        with contextlib.ExitStack() as undo:
            Holdings(shelf).claim(spec, undo, may_share=False)
            if shelf.machine(spec.uuid) is None:
                if source is None:
                    raise errors.GuestFailed(reason="there are no disks to take over")
                shelf.see(self._builder.create(spec, shelf.read_mark(spec.uuid), source))
            self._complete(spec, shelf, source)
            undo.pop_all()

    def bring_back(self, spec: GuestSpec, shelf: MachineShelf) -> None:
        holdings = Holdings(shelf)
        if holdings.is_aside(spec):
            holdings.bring_back(spec)
        machine = shelf.machine(holdings.find(spec))
        if machine is not None and holdings.is_own(spec):
            self._builder.check_disks(machine, spec)
            self._complete(spec, shelf, None)

    def check_disks(self, spec: GuestSpec, aside: bool, own: bool, shelf: MachineShelf) -> None:
        machine = shelf.machine(Holdings(shelf).find(spec, aside, own))
        if machine is not None:
            self._builder.check_disks(machine, spec)

    def _complete(self, spec: GuestSpec, shelf: MachineShelf, source: Machine | None) -> None:
        machine = shelf.machine(spec.uuid)
        if machine is None:
            raise errors.GuestFailed(reason="The guest went while it was moved")
        if source is None:
            # What it lacks now would not be a copy of what it had.
            self._builder.check_disks(machine, spec)
        if self._builder.complete(machine, spec, source):
            shelf.forget(spec.uuid)

    def _vcenter(self) -> str:
        return str(self._session.read(lambda content: content.about.instanceUuid))
