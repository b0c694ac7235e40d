"""What a driver is asked for, each with how it begins and what holds when it is reached, however often it is asked."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import msgspec

from nova.structs.disks import DisksId
from nova.structs.guest import Disk, GuestSpec, RebootKind
from nova.structs.instance import PowerState
from nova.virt.driver import Driver
from tests.functional.driver_contract.hypervisor import HOST, NOW, Hypervisor

WRITTEN = "what the user wrote"


@dataclasses.dataclass(frozen=True)
class Scene:
    """needs: what a driver that lacks it cannot be asked for. begin makes the guest; act may be done again.

    before, after: the kinds of the disks that the guest has beside its root disk, and those of its other size.
    """

    name: str
    begin: Callable[["Stage"], None]
    act: Callable[["Stage", Driver], None]
    check: Callable[["Stage", Driver], None]
    needs: str = ""
    before: tuple[str, ...] = ()
    after: tuple[str, ...] = ()

    def stage(self, hypervisor: Hypervisor) -> "Stage":
        """A new guest for it."""
        spec = hypervisor.spec(disks=hypervisor.disks(*self.before))
        return Stage(hypervisor, spec, hypervisor.disks(*self.after)[1:])


@dataclasses.dataclass
class Stage:
    """A scene's hypervisor, guest and things."""

    hypervisor: Hypervisor
    spec: GuestSpec
    more_disks: tuple[Disk, ...] = ()

    def __post_init__(self) -> None:
        self.vif = self.hypervisor.vif()
        self.volume = self.hypervisor.make_volume()
        self.larger = msgspec.structs.replace(
            self.spec,
            flavor=msgspec.structs.replace(self.spec.flavor, memory_mb=64, vcpus=2, root_gb=1),
            disks=(msgspec.structs.replace(self.spec.disks[0], size_mb=1024), *self.more_disks),
            disks_id=DisksId(generation=2, host=HOST),
            moves_from=self.spec.disks_id,
        )

    @property
    def uuid(self) -> str:
        return self.spec.uuid

    @property
    def file(self) -> Path:
        return self.hypervisor.directory / f"nova-snapshot-{self.uuid}"

    def power_state(self, driver: Driver) -> PowerState:
        return driver.guest(self.uuid).power_state

    def volume_id(self) -> str:
        assert self.volume.volume is not None
        return str(self.volume.volume.volume_id)


def _nothing(stage: Stage) -> None:
    """There is no guest yet."""


def _off(stage: Stage) -> None:
    driver = stage.hypervisor.driver()
    driver.create(stage.spec)
    driver.set_power(stage.uuid, PowerState.SHUTDOWN)
    stage.hypervisor.write(stage.uuid, WRITTEN)
    for disk in stage.spec.disks[1:]:
        stage.hypervisor.write(stage.uuid, _written(disk.kind), disk.kind)


def _runs(stage: Stage) -> None:
    _off(stage)
    stage.hypervisor.driver().set_power(stage.uuid, PowerState.RUNNING)


def _suspended(stage: Stage) -> None:
    _runs(stage)
    stage.hypervisor.driver().set_power(stage.uuid, PowerState.SUSPENDED)


def _has_devices(stage: Stage) -> None:
    _runs(stage)
    driver = stage.hypervisor.driver()
    driver.attach_vif(stage.uuid, stage.vif)
    driver.attach_volume(stage.uuid, stage.volume)  # type: ignore[attr-defined]


def _rescued(stage: Stage) -> None:
    _runs(stage)
    _rescue(stage, stage.hypervisor.driver())


def _aside(stage: Stage) -> None:
    _off(stage)
    stage.hypervisor.driver().set_aside(stage.spec)  # type: ignore[attr-defined]


def _resized(stage: Stage) -> None:
    _aside(stage)
    _take_over(stage, stage.hypervisor.driver())


def _create(stage: Stage, driver: Driver) -> None:
    driver.create(stage.spec)


def _destroy(stage: Stage, driver: Driver) -> None:
    driver.destroy(stage.uuid, stage.spec.vifs, made_by=stage.spec.disks_id)


def _reach(target: PowerState) -> Callable[[Stage, Driver], None]:
    return lambda stage, driver: driver.set_power(stage.uuid, target)


def _reboot(stage: Stage, driver: Driver) -> None:
    driver.reboot(stage.spec, RebootKind.HARD, NOW)


def _attach(stage: Stage, driver: Driver) -> None:
    driver.attach_vif(stage.uuid, stage.vif)
    driver.attach_volume(stage.uuid, stage.volume)  # type: ignore[attr-defined]


def _detach(stage: Stage, driver: Driver) -> None:
    driver.detach_vif(stage.uuid, stage.vif)
    driver.detach_volume(stage.uuid, stage.volume)  # type: ignore[attr-defined]


def _snapshot(stage: Stage, driver: Driver) -> None:
    driver.snapshot(stage.uuid, stage.file, stage.hypervisor.snapshot_format)  # type: ignore[attr-defined]


def _rescue(stage: Stage, driver: Driver) -> None:
    rescue_disk = stage.hypervisor.root()
    driver.rescue(stage.spec, rescue_disk)  # type: ignore[attr-defined]


def _unrescue(stage: Stage, driver: Driver) -> None:
    driver.unrescue(stage.spec)  # type: ignore[attr-defined]


def _set_aside(stage: Stage, driver: Driver) -> None:
    driver.set_aside(stage.spec)  # type: ignore[attr-defined]


def _take_over(stage: Stage, driver: Driver) -> None:
    driver.take_over(stage.larger, driver.set_aside(stage.spec))  # type: ignore[attr-defined]


def _take_back(stage: Stage, driver: Driver) -> None:
    driver.destroy(stage.uuid, stage.spec.vifs, made_by=stage.larger.disks_id)
    driver.bring_back(stage.spec)  # type: ignore[attr-defined]


def _confirm(stage: Stage, driver: Driver) -> None:
    driver.forget_aside(stage.uuid)  # type: ignore[attr-defined]


def _is(state: PowerState, data: str = WRITTEN) -> Callable[[Stage, Driver], None]:
    def check(stage: Stage, driver: Driver) -> None:
        assert stage.power_state(driver) == state
        assert [guest.uuid for guest in driver.guests()] == [stage.uuid]
        assert stage.hypervisor.read(stage.uuid) == data
        assert {vif.mac for vif in stage.spec.vifs} <= stage.hypervisor.macs(stage.uuid)

    return check


def _is_gone(stage: Stage, driver: Driver) -> None:
    assert driver.guests() == ()
    assert stage.hypervisor.leftovers() == []


def _has_own_disks(kinds: tuple[str, ...], is_back: bool) -> Callable[[Stage, Driver], None]:
    """Each disk has its own content. A swap of another size may be new; what is back is what it was."""

    def check(stage: Stage, driver: Driver) -> None:
        _is(PowerState.SHUTDOWN)(stage, driver)
        for kind in kinds:
            was_there = kind in [disk.kind for disk in stage.spec.disks]
            possible = [_written(kind)] if was_there else [""]
            if kind == "swap" and not is_back:
                possible.append("")
            assert stage.hypervisor.read(stage.uuid, kind) in possible, kind

    return check


def _written(kind: str) -> str:
    return f"what is on the {kind} disk"


def _is_attached(stage: Stage, driver: Driver) -> None:
    _is(PowerState.RUNNING)(stage, driver)
    assert stage.vif.mac in stage.hypervisor.macs(stage.uuid)
    assert stage.hypervisor.volumes(stage.uuid) == {stage.volume_id()}


def _is_detached(stage: Stage, driver: Driver) -> None:
    _is(PowerState.RUNNING)(stage, driver)
    assert stage.vif.mac not in stage.hypervisor.macs(stage.uuid)
    assert stage.hypervisor.volumes(stage.uuid) == set()


def _is_copied(stage: Stage, driver: Driver) -> None:
    _is(PowerState.RUNNING)(stage, driver)
    assert stage.hypervisor.holds(stage.file, WRITTEN)


def _is_rescued(stage: Stage, driver: Driver) -> None:
    assert stage.power_state(driver) == PowerState.RUNNING


def _is_aside(stage: Stage, driver: Driver) -> None:
    assert driver.guests() == ()
    assert stage.hypervisor.leftovers() != []


def _of_other_disks(name: str, before: tuple[str, ...], after: tuple[str, ...]) -> tuple[Scene, Scene]:
    """A resize to a flavor with other disks, and its revert."""
    there, back = _has_own_disks(after, False), _has_own_disks(before, True)
    return (
        Scene(f"take over with {name}", _aside, _take_over, there, _MOVING, before, after),
        Scene(f"take back from {name}", _resized, _take_back, back, _MOVING, before, after),
    )


_VOLUMES, _SNAPSHOTS, _RESCUE, _MOVING = "Volumes", "Snapshots", "Rescue", "Moving"

SCENES = (
    Scene("create", _nothing, _create, _is(PowerState.RUNNING, "")),
    Scene("create what is off", _off, _create, _is(PowerState.RUNNING)),
    Scene("destroy", _runs, _destroy, _is_gone),
    Scene("destroy what never was", _nothing, _destroy, _is_gone),
    Scene("stop", _runs, _reach(PowerState.SHUTDOWN), _is(PowerState.SHUTDOWN)),
    Scene("start", _off, _reach(PowerState.RUNNING), _is(PowerState.RUNNING)),
    Scene("pause", _runs, _reach(PowerState.PAUSED), _is(PowerState.PAUSED), needs="pause"),
    Scene("suspend", _runs, _reach(PowerState.SUSPENDED), _is(PowerState.SUSPENDED), needs="suspend"),
    Scene("resume", _suspended, _reach(PowerState.RUNNING), _is(PowerState.RUNNING), needs="suspend"),
    Scene("reboot", _runs, _reboot, _is(PowerState.RUNNING)),
    Scene("attach", _runs, _attach, _is_attached, needs=_VOLUMES),
    Scene("detach", _has_devices, _detach, _is_detached, needs=_VOLUMES),
    Scene("destroy with a volume", _has_devices, _destroy, _is_gone, needs=_VOLUMES),
    Scene("snapshot", _runs, _snapshot, _is_copied, needs=_SNAPSHOTS),
    Scene("rescue", _runs, _rescue, _is_rescued, needs=_RESCUE),
    Scene("unrescue", _rescued, _unrescue, _is(PowerState.RUNNING), needs=_RESCUE),
    Scene("set aside", _off, _set_aside, _is_aside, needs=_MOVING),
    Scene("take over", _aside, _take_over, _is(PowerState.SHUTDOWN), needs=_MOVING),
    Scene("take back", _resized, _take_back, _is(PowerState.SHUTDOWN), needs=_MOVING),
    Scene("confirm", _resized, _confirm, _is(PowerState.SHUTDOWN), needs=_MOVING),
    *_of_other_disks("an ephemeral disk more", ("swap",), ("ephemeral", "swap")),
    *_of_other_disks("an ephemeral disk less", ("ephemeral", "swap"), ("swap",)),
    *_of_other_disks("swap more", ("ephemeral",), ("ephemeral", "swap")),
)
