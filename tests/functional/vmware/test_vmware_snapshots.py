"""Copies of a guest's root disk: what they hold, what makes a guest again, and that nothing is left of one that failed."""

import subprocess

import msgspec
import pytest

from nova import errors, image_format
from nova.structs.image import Image
from nova.structs.instance import PowerState
from tests.functional.driver_contract.faults import Fault

WRITTEN = "what the user wrote"
# More changes than a copy makes.
_MANY = 30


@pytest.fixture
def spec(hypervisor, driver):
    """A guest that is off, and has written to its disk."""
    made = hypervisor.spec()
    driver.create(made)
    driver.set_power(made.uuid, PowerState.SHUTDOWN)
    hypervisor.write(made.uuid, WRITTEN)
    return made


@pytest.mark.parametrize("wanted", ["vmdk", "raw", "qcow2"])
def test_copy_is_of_the_format_that_was_asked_for(hypervisor, driver, spec, tmp_path, wanted):
    properties = driver.snapshot(spec.uuid, tmp_path / "copy", wanted)

    image = Image(id="copy", disk_format=wanted, properties=properties)
    image_format.check(tmp_path / "copy", image_format.content_of(image))
    words = ["qemu-img", "convert", "-f", wanted, "-O", "raw", tmp_path / "copy", tmp_path / "raw"]
    subprocess.run(words, check=True)
    assert (tmp_path / "raw").read_bytes() == hypervisor._root(spec.uuid).read_bytes()


def test_guest_of_a_copy_has_its_content(hypervisor, driver, spec, tmp_path):
    properties = driver.snapshot(spec.uuid, tmp_path / "copy", "vmdk")

    image = Image(id="copy", disk_format="vmdk", properties=properties)
    disk = msgspec.structs.replace(hypervisor.root(), image_path=str(tmp_path / "copy"))
    again = hypervisor.spec(image=image, disks=(disk,))
    driver.create(again)

    assert hypervisor.read(again.uuid) == WRITTEN
    assert [path.name for path in tmp_path.glob("copy*")] == ["copy"]


def test_guest_goes_on_with_its_own_file(hypervisor, driver, spec, tmp_path):
    driver.set_power(spec.uuid, PowerState.RUNNING)
    before, files = hypervisor._root(spec.uuid), hypervisor.leftovers()

    driver.snapshot(spec.uuid, tmp_path / "copy", "vmdk")

    assert hypervisor._root(spec.uuid) == before
    assert hypervisor.snapshots(spec.uuid) == []
    assert sorted(path.name for path in before.parent.glob("*.vmdk")) == ["root-0-flat.vmdk", "root-0.vmdk"]
    assert hypervisor.leftovers() == files


def test_snapshot_that_an_operator_has_made_stays(hypervisor, driver, spec, tmp_path):
    hypervisor.machine(spec.uuid).CreateSnapshot_Task("before the upgrade", "", False, False)
    hypervisor.write(spec.uuid, "what came later")

    driver.snapshot(spec.uuid, tmp_path / "copy", "raw")

    assert b"what came later" in (tmp_path / "copy").read_bytes()
    assert hypervisor.snapshots(spec.uuid) == ["before the upgrade"]
    assert hypervisor.read(spec.uuid) == "what came later"


@pytest.mark.parametrize("fault", [Fault.REFUSED, Fault.ANSWER_LOST])
def test_nothing_is_left_of_a_copy_that_failed_anywhere(hypervisor, driver, spec, tmp_path, fault):
    before = hypervisor._root(spec.uuid), hypervisor.leftovers()

    for number in range(1, _MANY):
        hypervisor.faults.fail(number, fault)
        try:
            driver.snapshot(spec.uuid, tmp_path / "copy", "vmdk")
        except errors.DomainError:
            assert not list(tmp_path.glob("copy*"))
        else:
            (tmp_path / "copy").unlink()
        has_met = hypervisor.faults.has_met()
        hypervisor.faults.clear()
        driver = hypervisor.driver()

        assert (hypervisor._root(spec.uuid), hypervisor.leftovers()) == before
        assert hypervisor.snapshots(spec.uuid) == []
        assert hypervisor.read(spec.uuid) == WRITTEN
        if not has_met:
            return
    pytest.fail(f"after {_MANY} changes it was not done")


def test_guest_is_removed_with_what_a_copy_has_left(hypervisor, driver, spec, tmp_path):
    for number in range(1, _MANY):
        hypervisor.faults.fail(number, Fault.REFUSED)
        with pytest.raises(errors.DomainError):
            driver.snapshot(spec.uuid, tmp_path / "copy", "vmdk")
        hypervisor.faults.clear()
        if any(".snapshot" in name for name in hypervisor.leftovers()):
            break

    driver.destroy(spec.uuid, spec.vifs, made_by=spec.disks_id)

    assert hypervisor.leftovers() == []


def test_copy_in_a_format_that_is_not_written_begins_nothing(hypervisor, driver, spec, tmp_path):
    before = len(hypervisor.faults.changes)

    with pytest.raises(errors.GuestFailed, match="not as vdi"):
        driver.snapshot(spec.uuid, tmp_path / "copy", "vdi")

    assert len(hypervisor.faults.changes) == before
