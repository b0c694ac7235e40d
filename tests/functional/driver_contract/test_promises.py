"""Every driver keeps these promises: what is asked for is reached, once and twice, and after a death in between."""

import pytest

from nova import errors
from nova.structs.guest import RebootKind
from nova.structs.instance import PowerState
from nova.virt.driver import abilities
from tests.functional.driver_contract.hypervisor import NOW
from tests.functional.driver_contract.scenes import SCENES, Stage

# No scene takes so many changes: more are a driver that does not come to an end.
_MOST_CHANGES = 60


@pytest.fixture(params=SCENES, ids=lambda scene: scene.name.replace(" ", "-"))
def scene(request):
    return request.param


def test_what_is_asked_for_twice_is_reached_once(hypervisor, driver, scene):
    if scene.needs in hypervisor.lacks:
        _check_refusal(hypervisor, driver, scene)
        return
    stage = scene.stage(hypervisor)
    scene.begin(stage)

    for _ in range(2):
        driver = hypervisor.driver()
        scene.act(stage, driver)
        scene.check(stage, driver)

    _end(stage)


def test_whoever_died_after_any_change_is_followed_by_one_that_reaches_it(hypervisor, scene):
    if scene.needs in hypervisor.lacks:
        return
    for number in range(_MOST_CHANGES):
        stage = scene.stage(hypervisor)
        scene.begin(stage)

        has_died = hypervisor.killed_after(number, lambda driver, stage=stage: scene.act(stage, driver))

        driver = hypervisor.driver()
        scene.act(stage, driver)
        scene.check(stage, driver)
        _end(stage)
        if not has_died:
            return
    pytest.fail(f"after {_MOST_CHANGES} changes it was not done")


@pytest.mark.parametrize(
    "scene", [one for one in SCENES if one.name in ("create", "take over")], ids=lambda one: one.name
)
def test_what_was_begun_by_one_that_died_is_undone_by_the_next(hypervisor, scene):
    if scene.needs in hypervisor.lacks:
        return
    for number in range(_MOST_CHANGES):
        stage = scene.stage(hypervisor)
        scene.begin(stage)

        has_died = hypervisor.killed_after(number, lambda driver, stage=stage: scene.act(stage, driver))

        _end(stage)
        if not has_died:
            return
    pytest.fail(f"after {_MOST_CHANGES} changes it was not done")


def test_guest_that_is_not_there_is_not_found(driver, hypervisor):
    uuid = hypervisor.spec().uuid

    for call in (
        lambda: driver.guest(uuid),
        lambda: driver.set_power(uuid, PowerState.RUNNING),
        lambda: driver.attach_vif(uuid, hypervisor.vif()),
    ):
        with pytest.raises(errors.GuestNotFound):
            call()

    assert hypervisor.leftovers() == []


def test_soft_reboot_ends_with_a_guest_that_runs(driver, hypervisor):
    stage = Stage(hypervisor, hypervisor.spec())
    driver.create(stage.spec)

    driver.reboot(stage.spec, RebootKind.SOFT, NOW)

    assert stage.power_state(driver) == PowerState.RUNNING
    _end(stage)


def test_what_there_is_of_the_hypervisor_is_told(driver, hypervisor):
    (node,) = driver.nodes()

    assert node.hypervisor_hostname and node.hypervisor_type and node.hypervisor_version
    assert node.vcpus > 0 and node.memory_mb > 0 and node.disk_gb > 0
    assert node.supported_instances
    assert set(hypervisor.lacks).isdisjoint(abilities(driver))


def test_two_guests_of_one_name_are_two(driver, hypervisor):
    first, second = (Stage(hypervisor, hypervisor.spec(display_name="web")) for _ in range(2))
    driver.create(first.spec)
    driver.create(second.spec)

    driver.destroy(first.uuid, first.spec.vifs, made_by=first.spec.disks_id)

    assert [guest.uuid for guest in driver.guests()] == [second.uuid]
    _end(second)


@pytest.mark.parametrize("lost", ["aside", "own"])
def test_disks_that_are_not_there_are_missed_before_anything_is_removed_for_them(hypervisor, driver, lost):
    if not {"Moving", "DiskChecks"}.isdisjoint(hypervisor.lacks):
        return
    stage = Stage(hypervisor, hypervisor.spec())
    driver.create(stage.spec)
    driver.set_power(stage.uuid, PowerState.SHUTDOWN)
    driver.check_disks(stage.spec)
    driver.take_over(stage.larger, driver.set_aside(stage.spec))
    driver.check_disks(stage.spec, aside=True, own=False)
    driver.check_disks(stage.larger)
    there = hypervisor.leftovers()
    if lost == "aside":
        driver.forget_aside(stage.uuid)
    else:
        driver.destroy(stage.uuid, stage.larger.vifs, made_by=stage.larger.disks_id)

    with pytest.raises(errors.DiskMissing):
        if lost == "aside":
            driver.check_disks(stage.spec, aside=True, own=False)
        else:
            driver.check_disks(stage.larger)

    assert len(hypervisor.leftovers()) < len(there)
    if lost == "aside":
        with pytest.raises(errors.DiskMissing):
            driver.bring_back(stage.spec)
        driver.check_disks(stage.larger)
    else:
        driver.bring_back(stage.spec)
        driver.check_disks(stage.spec, aside=True)
    _end(stage)


def _check_refusal(hypervisor, driver, scene):
    """Whatever a driver lacks is refused, and the guest is what it was."""
    stage = scene.stage(hypervisor)
    if scene.needs in ("pause", "suspend") and scene.name != "resume":
        scene.begin(stage)
        with pytest.raises(errors.NotImplementedHere):
            scene.act(stage, driver)
        assert stage.power_state(driver) == PowerState.RUNNING
    else:
        assert scene.needs not in abilities(driver)
    _end(stage)


def _end(stage):
    """Nothing is left, but for the volume, which is whole."""
    driver = stage.hypervisor.driver()
    for spec in (stage.larger, stage.spec):
        driver.destroy(spec.uuid, spec.vifs, made_by=spec.disks_id)
    if "Moving" not in stage.hypervisor.lacks:
        driver.forget_aside(stage.uuid)
    stage.file.unlink(missing_ok=True)
    assert stage.hypervisor.leftovers() == []
    assert stage.hypervisor.is_whole(stage.volume)
