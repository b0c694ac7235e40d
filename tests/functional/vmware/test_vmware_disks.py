"""Which disk is which is known when a machine is old, or when somebody has moved files in the vCenter."""

import shutil

import msgspec
import pytest
from pyVmomi import vim

from nova import errors
from nova.structs.disks import DisksId
from nova.structs.instance import PowerState
from tests.functional.driver_contract.hypervisor import HOST

_Operation = vim.vm.device.VirtualDeviceSpec.Operation


@pytest.fixture
def spec(hypervisor, driver):
    """A guest with a swap disk that is off, and has written to its disks."""
    made = hypervisor.spec(disks=hypervisor.disks("swap"))
    driver.create(made)
    driver.set_power(made.uuid, PowerState.SHUTDOWN)
    hypervisor.write(made.uuid, "on root")
    hypervisor.write(made.uuid, "on swap", "swap")
    return made


def test_machine_of_an_older_release_keeps_its_disks_apart(hypervisor, driver, spec):
    machine = hypervisor.machine(spec.uuid)
    written = [one.key for one in machine.config.extraConfig if one.key.startswith("nova.disk.")]
    emptied = [vim.option.OptionValue(key=key, value="") for key in written]
    machine.ReconfigVM_Task(vim.vm.ConfigSpec(extraConfig=emptied))

    driver.take_over(_other(spec, hypervisor.disks("ephemeral", "swap")), driver.set_aside(spec))

    assert written
    kept = {kind: hypervisor.read(spec.uuid, kind) for kind in ("root", "ephemeral", "swap")}
    assert kept == {"root": "on root", "ephemeral": "", "swap": "on swap"}


def test_swap_that_has_become_smaller_is_new(hypervisor, driver, spec):
    root, swap = hypervisor.disks("swap")

    driver.take_over(_other(spec, (root, msgspec.structs.replace(swap, size_mb=2))), driver.set_aside(spec))

    sizes = sorted(disk.capacityInKB for disk in _disks(hypervisor, spec))
    assert sizes == [1024, 2048]
    assert hypervisor.read(spec.uuid, "swap") == ""


def test_lost_disk_is_not_made_anew_for_another_size(hypervisor, driver, spec):
    swap = next(disk for disk in _disks(hypervisor, spec) if "swap-" in disk.backing.fileName)
    remove = vim.vm.device.VirtualDeviceSpec(operation=_Operation.remove, device=swap)
    facts = driver.set_aside(spec)
    aside = next(one for one in hypervisor.vcenter.machines() if one.config.uuid == spec.uuid)
    aside.ReconfigVM_Task(vim.vm.ConfigSpec(deviceChange=[remove]))

    with pytest.raises(errors.DiskMissing) as failure:
        driver.take_over(_other(spec, hypervisor.disks("ephemeral", "swap")), facts)
    assert failure.value.details["missing"] == [f"{spec.uuid}.aside: swap0"]


def test_volume_that_was_moved_in_the_vcenter_is_not_taken_for_another_disk_and_not_removed(hypervisor, driver, spec):
    volume = hypervisor.make_volume()
    driver.attach_volume(spec.uuid, volume)
    moved = _move(hypervisor, spec, _disks(hypervisor, spec)[-1])

    with pytest.raises(errors.GuestFailed, match="has been moved"):
        driver.detach_volume(spec.uuid, volume)
    with pytest.raises(errors.GuestFailed, match="has been moved"):
        driver.destroy(spec.uuid, made_by=spec.disks_id)

    assert moved.exists()
    assert len(_disks(hypervisor, spec)) == 3


def test_volume_that_an_older_release_attached_is_detached(hypervisor, driver, spec):
    volume = hypervisor.make_volume()
    driver.attach_volume(spec.uuid, volume)
    machine = hypervisor.machine(spec.uuid)
    option = next(one for one in machine.config.extraConfig if one.key.startswith("nova.volume."))
    option.value = option.value[option.value.index("[") :]
    machine.ReconfigVM_Task(vim.vm.ConfigSpec(extraConfig=[option]))

    driver.detach_volume(spec.uuid, volume)

    assert hypervisor.volumes(spec.uuid) == set()
    assert hypervisor.is_whole(volume)


def _other(spec, disks):
    """The guest, of another size with these disks."""
    return msgspec.structs.replace(
        spec, disks=disks, disks_id=DisksId(generation=2, host=HOST), moves_from=spec.disks_id
    )


def _disks(hypervisor, spec):
    devices = hypervisor.machine(spec.uuid).config.hardware.device
    return [one for one in devices if isinstance(one, vim.vm.device.VirtualDisk)]


def _move(hypervisor, spec, disk):
    """What a vCenter does that moves a machine's storage: all its disks are in the machine's directory then."""
    machine, was = hypervisor.machine(spec.uuid), disk.backing.fileName
    name = f"{machine.config.files.vmPathName.rpartition('/')[0]}/moved.vmdk"
    for end in (".vmdk", "-flat.vmdk"):
        path = hypervisor.vcenter.path(was.replace(".vmdk", end))
        shutil.copy(path, hypervisor.vcenter.path(name.replace(".vmdk", end)))
    remove = vim.vm.device.VirtualDeviceSpec(operation=_Operation.remove, device=disk)
    machine.ReconfigVM_Task(vim.vm.ConfigSpec(deviceChange=[remove]))
    disk.backing.fileName, disk.key = name, -1
    add = vim.vm.device.VirtualDeviceSpec(operation=_Operation.add, device=disk)
    machine.ReconfigVM_Task(vim.vm.ConfigSpec(deviceChange=[add]))
    return hypervisor.vcenter.path(name)
