"""Live migration between two hosts of a pool, whose storage both see.

The VM is one object for both hosts: where it runs is where the guest is. Its source says on it where it is to go before it
goes, so that either host can finish what the other has begun, and neither begins it twice.
"""

from collections.abc import Callable
from typing import Any

import msgspec

from nova import concurrency, errors
from nova.structs.disks import DisksId, Mark
from nova.structs.guest import GuestSpec
from nova.virt.holdings import Finding
from nova.virt.xenserver import identity
from nova.virt.xenserver.guests import Guests
from nova.virt.xenserver.host import HostFacts
from nova.virt.xenserver.identity import Record, Vm
from nova.virt.xenserver.session import Session

_OWN_RUN_S = 6 * 3600.0
_SETTLES_S = 30.0


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """A destination, as the source must know it: the uuids of its pool and host, and whose the guest's disks will be."""

    pool: str
    host: str
    disks_id: DisksId


class LiveMigrations:
    def __init__(self, session: Session, facts: HostFacts, guests: Guests, host: str) -> None:
        self._session = session
        self._facts = facts
        self._guests = guests
        self._host = host

    def prepare(self, spec: GuestSpec) -> Facts:
        """On the destination. Nothing is made. Raises errors.HostRefused."""
        if spec.disks_id is None or any(disk.kind == "volume" for disk in spec.disks):
            raise errors.HostRefused(host=self._host, reason="XenServer moves no guest with volumes while it runs")
        holdings = self._guests.holdings(spec)
        finding = holdings.finding(spec)
        if finding is Finding.LEFT_OVER:
            holdings.put_away(spec.uuid)
        elif finding is not Finding.NOTHING:
            raise errors.HostRefused(host=self._host, reason="a guest of this server is here already")
        record: Record = self._session.call("host.get_record", self._facts.ref())
        if not record["enabled"]:
            raise errors.HostRefused(host=self._host, reason="it is in maintenance")
        return Facts(pool=self._facts.pool_uuid(), host=record["uuid"], disks_id=spec.disks_id)

    def migrate(self, spec: GuestSpec, facts: Facts, progress: Callable[[int], bool]) -> None:
        """On the source. Returns when the guest is on the destination; raises errors.GuestStays, Cancelled, Unavailable."""
        vm = self._guests.vms.find(spec.uuid)
        if vm is None:
            if self._find_at(spec.uuid, facts.disks_id.host) is None:
                raise errors.GuestNotFound(guest=spec.uuid)
            return
        wanted = msgspec.json.encode(facts).decode()
        failure: errors.DomainError | None = None
        if identity.MOVING not in vm.config:
            failure = self._begin(vm, facts, wanted, progress)
        self._wait(vm)
        if self._is_at(vm, self._session.call("host.get_by_uuid", facts.host)):
            self._hand_over(vm, facts.disks_id)
            return
        if isinstance(failure, errors.Unavailable):
            # The order may still be on its way: the next call begins nothing, and looks again.
            raise failure
        self._guests.vms.set_config(vm, **{identity.MOVING: None})
        if isinstance(failure, errors.Cancelled):
            raise failure
        raise (failure or errors.GuestFailed(reason="The live migration broke off")).turned_into(errors.GuestStays)

    def has_arrived(self, uuid: str) -> bool:
        """On the destination: whether the guest runs here; it is this host's from then on."""
        if self._guests.vms.find(uuid) is not None:
            return True
        for ref, record in self._guests.vms.everyone().items():
            config = record["other_config"]
            vm = identity.own_vm(ref, record, config.get(identity.HOST, ""))
            if vm is None or vm.name != uuid or identity.MOVING not in config:
                continue
            facts = msgspec.json.decode(config[identity.MOVING], type=Facts)
            if facts.disks_id.host != self._host:
                continue
            self._wait(vm)
            if self._is_at(vm, self._facts.ref()):
                self._hand_over(vm, facts.disks_id)
                return True
        return False

    def abort(self, spec: GuestSpec) -> None:
        """On the destination. Raises errors.PointPassed for a guest that has arrived."""
        if self.has_arrived(spec.uuid):
            raise errors.PointPassed(reason="The guest has arrived: there is nothing to abort")

    def _begin(self, vm: Vm, facts: Facts, wanted: str, progress: Callable[[int], bool]) -> errors.DomainError | None:
        """What came of it, as far as that is known. Raises errors.GuestStays when nothing was begun."""
        if vm.record["power_state"] != "Running":
            raise errors.GuestStays(reason="A guest that does not run cannot be moved live")
        if facts.pool != self._facts.pool_uuid():
            raise errors.GuestStays(reason="The destination is in another pool")
        target = self._session.call("host.get_by_uuid", facts.host)
        is_wanted = True

        def watch(share: float) -> bool:
            nonlocal is_wanted
            is_wanted = is_wanted and progress(round(share * 100))
            return is_wanted

        self._guests.vms.set_config(vm, **{identity.MOVING: wanted})
        try:
            words = (vm.ref, target, {"live": "true"})
            self._session.run("VM.pool_migrate", *words, timeout_s=_OWN_RUN_S, watch=watch)
        except errors.DomainError as error:
            return error if is_wanted else errors.Cancelled("The live migration was aborted.", stays=True)
        return None

    def _wait(self, vm: Vm) -> None:
        """Until nothing moves the VM any more, also what a nova-compute has begun that was killed."""

        def is_settled() -> bool:
            return "pool_migrate" not in self._session.call("VM.get_current_operations", vm.ref).values()

        if not concurrency.wait_for(is_settled, _SETTLES_S, interval_s=0.2):
            raise errors.Unavailable(service="The guest", reason="its migration goes on")

    def _is_at(self, vm: Vm, host: str) -> bool:
        return bool(self._session.call("VM.get_resident_on", vm.ref) == host)

    def _hand_over(self, vm: Vm, disks_id: DisksId) -> None:
        """The guest is the other host's, with its disks, all at once."""
        mark = Mark(server=vm.name, made_by=disks_id)
        changes = {identity.HOST: disks_id.host, identity.MARK: identity.mark_text(mark), identity.MOVING: None}
        self._guests.vms.set_config(vm, **changes)

    def _find_at(self, uuid: str, host: str) -> Vm | None:
        found = (identity.own_vm(ref, record, host) for ref, record in self._guests.vms.everyone().items())
        return next((vm for vm in found if vm is not None and vm.name == uuid), None)


def as_facts(mapping: dict[str, Any]) -> Facts:
    return msgspec.convert(mapping, Facts)


def as_dict(facts: Facts) -> dict[str, Any]:
    mapping: dict[str, Any] = msgspec.to_builtins(facts)
    return mapping
