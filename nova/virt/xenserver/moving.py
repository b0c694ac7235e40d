"""A guest that is off, put aside until its move to another host of the pool, or to another size, is confirmed.

What is aside is the VM as it was, with its disks, under another name; nothing of it is changed. The destination copies
its disks, wherever in the pool they lie.
"""

import contextlib
from typing import Any

import msgspec

from nova import errors
from nova.structs.guest import GuestSpec
from nova.virt.xenserver import blueprint, power
from nova.virt.xenserver.guests import Guests
from nova.virt.xenserver.identity import Record, Vm
from nova.virt.xenserver.session import GONE, Session, code_of

_MIB = 1 << 20


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """A guest that is aside, as the destination must know it: the uuids of its pool and of its VM."""

    pool: str
    vm: str


def set_aside(session: Session, guests: Guests, spec: GuestSpec) -> dict[str, Any]:
    """Undefine the guest, and put its VM aside. Raises errors.DiskMissing."""
    holdings = guests.holdings(spec)
    if not holdings.is_out_of_the_way(spec):
        guests.undefine(guests.check(spec))
        holdings.set_aside(spec)
    facts = Facts(pool=_pool(session), vm=guests.vms.get(f"{spec.uuid}.aside").uuid)
    mapping: dict[str, Any] = msgspec.to_builtins(facts)
    return mapping


def take_over(session: Session, guests: Guests, spec: GuestSpec, facts: dict[str, Any]) -> None:
    """Make the guest here, off, on copies of the disks that are aside. A complete one is kept."""
    source = msgspec.convert(facts, Facts)
    if source.pool != _pool(session):
        raise errors.HostRefused(host="", reason="the server's disks are in another pool")
    holdings = guests.holdings(spec)
    vm = guests.vms.find(spec.uuid)
    if vm is not None and vm.is_whole and holdings.is_own(spec) and not guests.missing(vm, spec):
        return
    with contextlib.ExitStack() as undo:
        holdings.claim(spec, undo, may_share=False)
        vm = guests.vms.get(spec.uuid)
        power.switch_off(session, vm)
        _copy_disks(guests, vm, spec, _vm(session, source.vm))
        guests.define(vm, spec, undo, may_make_data=True)
        undo.pop_all()


def bring_back(session: Session, guests: Guests, spec: GuestSpec) -> None:
    """What is aside is the guest again, off, defined anew. Raises errors.DiskMissing where its disks are not there."""
    holdings = guests.holdings(spec)
    if holdings.is_aside(spec):
        vm = guests.vms.find(spec.uuid)
        if vm is not None:
            guests.undefine(vm)
        holdings.bring_back(spec)
    vm = guests.vms.find(holdings.find(spec))
    if vm is None or not holdings.is_own(spec):
        return
    if missing := guests.missing(vm, spec):
        raise errors.DiskMissing(missing=missing)
    if vm.is_whole and not vm.is_off:
        return
    if vm.is_whole:
        # What it was defined with may be another host's way to its volumes.
        guests.undefine(vm)
    with contextlib.ExitStack() as undo:
        guests.define(guests.vms.get(spec.uuid), spec, undo)
        undo.pop_all()


def check_disks(guests: Guests, spec: GuestSpec, aside: bool, own: bool) -> None:
    """Raises errors.DiskMissing; changes nothing."""
    vm = guests.vms.find(guests.holdings().find(spec, aside, own))
    if vm is not None and (missing := guests.missing(vm, spec, guests.disks.seen(vm))):
        raise errors.DiskMissing(missing=missing)


def grow_disks(guests: Guests, vm: Vm, spec: GuestSpec) -> None:
    """Make the disks of a guest that is off as large as spec says; none shrinks."""
    there = guests.disks.of(vm)
    for name, disk in blueprint.disk_names(spec.disks).items():
        if name in there and disk.size_mb:
            guests.disks.grow(there[name][0], disk.size_mb * _MIB)


def _copy_disks(guests: Guests, vm: Vm, spec: GuestSpec, source: Vm) -> None:
    """Swap and config drive are made, not copied; so is a disk that the server had not before."""
    there, aside = guests.disks.of(vm), guests.disks.seen(source)
    for name, disk in blueprint.disk_names(spec.disks).items():
        if name in there or disk.kind == "swap":
            continue
        if name in aside:
            guests.disks.copy(vm, name, aside[name][0], disk.size_mb * _MIB)
        elif disk.kind == "root":
            raise errors.DiskMissing(missing=[f"{source.name} {name}"])


def _vm(session: Session, uuid: str) -> Vm:
    """Another host's VM, as that host's nova-compute has named it. Raises errors.GuestFailed."""
    try:
        ref = session.call("VM.get_by_uuid", uuid)
        record: Record = session.call("VM.get_record", ref)
    except errors.GuestFailed as error:
        if code_of(error) not in GONE:
            raise
        raise errors.DiskMissing(missing=[f"VM {uuid}"]) from error
    return Vm(ref=ref, record=record)


def _pool(session: Session) -> str:
    pools: dict[str, Record] = session.call("pool.get_all_records")
    return str(next(iter(pools.values()))["uuid"])
