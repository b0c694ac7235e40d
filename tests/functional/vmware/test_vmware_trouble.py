"""What others do in a vCenter, and what breaks: no guest's data are lost, and nothing that is not ours is touched."""

import datetime
import shutil

import msgspec
import pytest
from pyVmomi import vim

from nova import errors
from nova.conf import BadConfiguration, load
from nova.structs.guest import RebootKind
from nova.structs.image import Image
from nova.structs.instance import PowerState
from nova.virt.vmware import VMwareVCDriver
from tests.functional.driver_contract.faults import Fault

NOW = datetime.timedelta()
WRITTEN = "what the user wrote"


@pytest.fixture
def spec(hypervisor, driver):
    """A guest that is off, and has written to its disk."""
    made = hypervisor.spec()
    driver.create(made)
    driver.set_power(made.uuid, PowerState.SHUTDOWN)
    hypervisor.write(made.uuid, WRITTEN)
    return made


def test_guest_that_was_renamed_and_moved_to_a_folder_is_the_same(vcenter, driver, spec):
    machine = _machine(vcenter, spec)
    folder = vcenter.datacenter().vmFolder.CreateFolder("elsewhere")
    folder.MoveIntoFolder_Task([machine])
    machine.Rename_Task("web server, do not touch")

    driver.set_power(spec.uuid, PowerState.RUNNING)

    assert machine.runtime.powerState == "poweredOn"
    driver.destroy(spec.uuid, spec.vifs, made_by=spec.disks_id)
    assert driver.guests() == ()


def test_machine_that_bears_a_guests_name_and_uuid_is_not_it(vcenter, driver, hypervisor):
    spec = hypervisor.spec()
    (stranger,) = vcenter.machines()
    stranger.ReconfigVM_Task(vim.vm.ConfigSpec(uuid=spec.uuid))
    stranger.Rename_Task(f"first ({spec.uuid})")
    state = stranger.runtime.powerState

    assert driver.guests() == ()
    driver.destroy(spec.uuid, spec.vifs, made_by=spec.disks_id)
    driver.destroy(spec.uuid)
    with pytest.raises(errors.GuestNotFound):
        driver.set_power(spec.uuid, PowerState.SHUTDOWN)

    assert stranger.runtime.powerState == state
    assert vcenter.path(stranger.config.files.vmPathName).exists()


def test_two_computes_see_their_own_guests_only(hypervisor, driver, spec):
    other = hypervisor.driver(host="host-2")

    assert other.guests() == ()
    other.destroy(spec.uuid, spec.vifs)
    other.destroy(spec.uuid, spec.vifs, made_by=spec.disks_id)

    assert [guest.uuid for guest in driver.guests()] == [spec.uuid]
    assert hypervisor.read(spec.uuid) == WRITTEN


def test_files_of_a_guest_that_somebody_unregistered_are_kept(vcenter, hypervisor, driver, spec):
    root = hypervisor._root(spec.uuid)
    _machine(vcenter, spec).UnregisterVM()

    driver.destroy(spec.uuid, spec.vifs, made_by=spec.disks_id)
    with pytest.raises(errors.DiskMissing):
        driver.reboot(spec, RebootKind.HARD, NOW)
    driver.create(spec)

    assert hypervisor.read(spec.uuid) == ""
    kept = next(root.parent.parent.glob(f"{root.parent.name}.left-*")) / root.name
    assert WRITTEN.encode() in kept.read_bytes()


def test_lost_root_disk_is_not_replaced_by_a_new_one(vcenter, hypervisor, driver, spec):
    machine = _machine(vcenter, spec)
    disk = next(one for one in machine.config.hardware.device if isinstance(one, vim.vm.device.VirtualDisk))
    remove = vim.vm.device.VirtualDeviceSpec(operation="remove", device=disk)
    machine.ReconfigVM_Task(vim.vm.ConfigSpec(deviceChange=[remove]))

    with pytest.raises(errors.DiskMissing):
        driver.reboot(spec, RebootKind.HARD, NOW)

    disks = [one for one in machine.config.hardware.device if isinstance(one, vim.vm.device.VirtualDisk)]
    assert disks == []


def test_guests_of_an_image_that_somebody_removed_from_the_cache_are_made(vcenter, hypervisor, driver, spec):
    for store in vcenter.datastores.values():
        shutil.rmtree(store / "host-1_base")

    again = hypervisor.spec()
    driver.create(again)

    assert driver.guest(again.uuid).power_state == PowerState.RUNNING


def test_full_datastore_refuses_a_guest_and_keeps_nothing_of_it(vcenter, hypervisor, driver):
    vcenter.control("datastore-size?bytes=4096")

    with pytest.raises(errors.DiskFull):
        driver.create(hypervisor.spec())

    assert hypervisor.leftovers() == []


def test_session_that_expired_is_begun_anew(vcenter, driver, spec):
    vcenter.control("sessions")

    driver.set_power(spec.uuid, PowerState.RUNNING)

    assert driver.guest(spec.uuid).power_state == PowerState.RUNNING


@pytest.mark.parametrize("fault", [Fault.REFUSED, Fault.ANSWER_LOST])
def test_change_that_was_not_answered_is_found_out_by_the_next_attempt(hypervisor, driver, spec, fault):
    hypervisor.faults.fail(1, fault)

    with pytest.raises(errors.Unavailable):
        driver.set_power(spec.uuid, PowerState.RUNNING)
    hypervisor.faults.clear()
    driver.set_power(spec.uuid, PowerState.RUNNING)

    assert driver.guest(spec.uuid).power_state == PowerState.RUNNING
    assert hypervisor.read(spec.uuid) == WRITTEN


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"host_password": "wrong"}, "credentials"),
        ({"ca_file": None}, "does not answer.*certificate"),
        ({"host_port": 1}, "does not answer"),
        ({"cluster_name": "none of this name"}, "no clusters"),
        ({"datastore_regex": "^none$"}, "no datastore"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_what_keeps_a_compute_from_its_cluster_is_told(hypervisor, options, reason):
    with pytest.raises(errors.Unavailable, match=reason):
        hypervisor.driver(**options)


def test_compute_without_a_vcenter_does_not_start():
    with pytest.raises(BadConfiguration, match=r"\[vmware\] host_ip"):
        VMwareVCDriver(load([], []), "host-1")


@pytest.mark.parametrize("disk_type", ["twoGbMaxExtentSparse", "something"])
def test_image_of_a_type_that_cannot_be_used_is_refused_before_anything_is_made(hypervisor, driver, disk_type):
    image = Image(id="image", disk_format="vmdk", properties={"vmware_disktype": disk_type})

    with pytest.raises(errors.ImageInvalid):
        driver.create(hypervisor.spec(image=image))

    assert hypervisor.leftovers() == []


def test_guest_of_a_cached_image_is_made_with_six_requests(hypervisor, driver, spec):
    before = hypervisor.proxy.requests

    driver.create(hypervisor.spec())

    assert hypervisor.proxy.requests - before <= 6


def test_state_of_all_guests_is_one_request(hypervisor, driver, spec):
    second = hypervisor.spec()
    driver.create(second)
    before = hypervisor.proxy.requests

    assert {guest.uuid for guest in driver.guests()} == {spec.uuid, second.uuid}

    assert hypervisor.proxy.requests - before == 1


def test_extra_spec_that_nobody_would_honour_is_refused(hypervisor, driver):
    spec = hypervisor.spec()
    flavor = msgspec.structs.replace(spec.flavor, extra_specs={"vmware:storage_policy": "gold"})

    with pytest.raises(errors.HostRefused, match="vmware:storage_policy"):
        driver.create(msgspec.structs.replace(spec, flavor=flavor))


def _machine(vcenter, spec):
    return next(one for one in vcenter.machines() if one.config.uuid == spec.uuid)
