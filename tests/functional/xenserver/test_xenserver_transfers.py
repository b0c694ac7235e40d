"""The content of disks on its way: what did not arrive whole is no image and no disk."""

import pytest

from nova import concurrency, errors
from nova.structs.instance import PowerState
from tests.simulators.xenserver.model import Failure

FAILURE = Failure("VDI_IO_ERROR", "the storage is away")


@pytest.fixture
def spec(driver, make_spec):
    """A guest that runs."""
    spec = make_spec()
    driver.create(spec)
    return spec


@pytest.mark.parametrize("image_format", ["raw", "vhd"])
@pytest.mark.parametrize(("share", "failure"), [(0.5, FAILURE), (1.0, FAILURE), (0.5, None)])
def test_part_of_a_disk_is_no_copy_of_it(driver, pool, spec, tmp_path, image_format, share, failure):
    pool.exported_share, pool.transfer_failure = share, failure
    target = tmp_path / "copy"

    with pytest.raises(errors.GuestFailed):
        driver.snapshot(spec.uuid, target, image_format)

    assert not target.exists()
    assert pool.store.all("task") == {}


@pytest.mark.parametrize("image_format", ["raw", "vhd"])
def test_whole_disk_is_copied(driver, pool, spec, image_file, tmp_path, image_format):
    target = tmp_path / "copy"
    driver.snapshot(spec.uuid, target, image_format)

    assert image_file.read_bytes()[:512] in target.read_bytes()
    assert pool.store.all("task") == {}


def test_why_a_copy_failed_is_told(driver, pool, spec, tmp_path):
    pool.transfer_failure = FAILURE

    with pytest.raises(errors.GuestFailed, match="VDI_IO_ERROR"):
        driver.snapshot(spec.uuid, tmp_path / "copy", "raw")


def test_guest_does_not_run_from_a_part_of_its_image(driver, pool, make_spec):
    spec = make_spec()
    pool.transfer_failure = FAILURE
    with pytest.raises(errors.GuestFailed):
        driver.create(spec)
    with pytest.raises(errors.GuestNotFound):
        driver.guest(spec.uuid)

    pool.transfer_failure = None
    driver.create(spec)

    assert concurrency.wait_for(lambda: b"." in driver.console_output(spec.uuid, 65536), 60)
    assert driver.guest(spec.uuid).power_state is PowerState.RUNNING


def test_storage_without_room_for_an_image_is_told_as_such(driver, pool, make_spec):
    pool.transfer_failure = Failure("SR_BACKEND_FAILURE_44", "", "There is insufficient space", "")

    with pytest.raises(errors.DiskFull):
        driver.create(make_spec())
