"""What the vCenter's machines are made of, from the words of images, flavors and ports."""

import subprocess

import msgspec
import pytest
from pyVmomi import vim

from nova import errors
from nova.structs.guest import Disk
from nova.structs.image import Image

_device = vim.vm.device


def _devices(hypervisor, spec, kind):
    return [one for one in hypervisor.machine(spec.uuid).config.hardware.device if isinstance(one, kind)]


def _root(hypervisor, spec):
    return next(one for one in _devices(hypervisor, spec, _device.VirtualDisk) if one.unitNumber == 0)


def _changed(spec, extra_specs=None, properties=None, **image):
    flavor = msgspec.structs.replace(spec.flavor, extra_specs=extra_specs or {})
    return msgspec.structs.replace(
        spec, flavor=flavor, image=msgspec.structs.replace(spec.image, properties=properties or {}, **image)
    )


@pytest.mark.parametrize("is_linked", [True, False])
def test_root_disk_stands_on_the_cached_image_or_is_a_copy_of_it(hypervisor, is_linked):
    driver = hypervisor.driver(use_linked_clone=is_linked)
    spec = hypervisor.spec()

    driver.create(spec)

    root = _root(hypervisor, spec)
    assert (root.backing.parent is not None) == is_linked
    assert hypervisor._root(spec.uuid).read_bytes() == hypervisor.image_file().read_bytes()


@pytest.mark.parametrize("is_linked", ["true", "false"])
def test_root_disk_has_the_flavors_size(hypervisor, driver, is_linked):
    spec = _changed(hypervisor.spec(disks=(hypervisor.root(size_mb=8),)), properties={"vmware_linked_clone": is_linked})

    driver.create(spec)

    content = hypervisor._root(spec.uuid).read_bytes()
    assert len(content) == 8 << 20
    assert content.startswith(b"an image that boots")
    assert _root(hypervisor, spec).capacityInKB == 8 << 10


def test_image_that_is_larger_than_the_flavor_is_refused(hypervisor, driver):
    hypervisor.image_file().write_bytes(b"\0" * (2 << 20))

    with pytest.raises(errors.ImageInvalid, match="needs a disk"):
        driver.create(hypervisor.spec(disks=(hypervisor.root(size_mb=1),)))

    assert hypervisor.leftovers() == []


def test_sparse_image_is_converted_by_the_vcenter(hypervisor, driver, tmp_path):
    sparse = tmp_path / "sparse.vmdk"
    words = ["qemu-img", "convert", "-q", "-f", "raw", "-O", "vmdk", "-o", "subformat=monolithicSparse"]
    subprocess.run([*words, hypervisor.image_file(), sparse], check=True)
    root = msgspec.structs.replace(hypervisor.root(), image_path=str(sparse))
    spec = _changed(hypervisor.spec(disks=(root,)), properties={"vmware_disktype": "sparse"}, id="sparse")

    driver.create(spec)

    assert hypervisor._root(spec.uuid).read_bytes() == hypervisor.image_file().read_bytes()


def test_guest_boots_from_an_iso_image_and_has_a_disk_to_install_on(hypervisor, driver):
    spec = hypervisor.spec(disks=(hypervisor.root(size_mb=4),), image=Image(id="installer", disk_format="iso"))

    driver.create(spec)

    (drive,) = _devices(hypervisor, spec, _device.VirtualCdrom)
    assert hypervisor.vcenter.path(drive.backing.fileName).read_bytes() == hypervisor.image_file().read_bytes()
    assert set(hypervisor._root(spec.uuid).read_bytes()) == {0}


def test_config_drive_is_a_cd_with_its_files(hypervisor, driver, tmp_path):
    spec = hypervisor.spec(config_drive={"openstack/latest/meta_data.json": b"{'what': 'it says'}"})

    driver.create(spec)
    driver.create(spec)

    (drive,) = _devices(hypervisor, spec, _device.VirtualCdrom)
    path = hypervisor.vcenter.path(drive.backing.fileName)
    words = ["isoinfo", "-J", "-i", path, "-x", "/openstack/latest/meta_data.json"]
    assert subprocess.run(words, check=True, capture_output=True).stdout == b"{'what': 'it says'}"


def test_guest_has_its_ephemeral_and_swap_disks_beside_the_root_disk(hypervisor, driver):
    others = [Disk(kind="ephemeral", device_name="/dev/sdb", size_mb=2), Disk(kind="swap", device_name="c", size_mb=1)]

    spec = hypervisor.spec(disks=(hypervisor.root(), *others))
    driver.create(spec)

    sizes = {disk.unitNumber: disk.capacityInKB for disk in _devices(hypervisor, spec, _device.VirtualDisk)}
    assert sizes == {0: 1024, 1: 2048, 2: 1024}


def test_flavor_limits_and_reserves_processors_and_memory(hypervisor, driver):
    words = {"cpu_limit": "2000", "cpu_reservation": "500", "cpu_shares_level": "custom", "cpu_shares_share": "77"}
    extra_specs = {f"quota:{key}": value for key, value in (words | {"memory_reservation": "16"}).items()}

    spec = _changed(hypervisor.spec(), extra_specs)
    driver.create(spec)

    config = hypervisor.machine(spec.uuid).config
    assert (config.cpuAllocation.limit, config.cpuAllocation.reservation) == (2000, 500)
    assert (config.cpuAllocation.shares.level, config.cpuAllocation.shares.shares) == ("custom", 77)
    assert config.memoryAllocation.reservation == 16


@pytest.mark.parametrize(
    "extra_specs",
    [{"quota:cpu_limit": "much"}, {"quota:cpu_shares_level": "some"}, {"hw:cpu_cores": "3"}],
    ids=lambda value: next(iter(value)),
)
def test_flavor_that_makes_no_sense_makes_nothing(hypervisor, driver, extra_specs):
    with pytest.raises(errors.GuestFailed):
        driver.create(_changed(hypervisor.spec(), extra_specs))

    assert hypervisor.leftovers() == []


def test_network_devices_are_of_the_images_model_also_those_that_come_later(hypervisor, driver):
    spec = _changed(hypervisor.spec(), properties={"hw_vif_model": "VirtualVmxnet3"})
    later = msgspec.structs.replace(hypervisor.vif(), details={"bridge_name": "VM Network"})

    driver.create(spec)
    driver.attach_vif(spec.uuid, later)

    first, second = _devices(hypervisor, spec, _device.VirtualVmxnet3)
    assert isinstance(first.backing, _device.VirtualEthernetCard.DistributedVirtualPortBackingInfo)
    assert second.backing.deviceName == "VM Network"


def test_network_that_the_cluster_does_not_know_makes_nothing(hypervisor, driver):
    vif = msgspec.structs.replace(hypervisor.vif(), details={"bridge_name": "nowhere"})

    with pytest.raises(errors.GuestFailed, match="network"):
        driver.create(hypervisor.spec(vifs=(vif,)))

    assert hypervisor.leftovers() == []


def test_cluster_is_the_node_with_what_its_hosts_have_that_are_in_use(hypervisor, driver):
    (before,) = driver.nodes()
    (cluster,) = hypervisor.vcenter.datacenter().hostFolder.childEntity
    cluster.host[0].EnterMaintenanceMode_Task(0, False, None)

    (after,) = driver.nodes()

    assert after.vcpus == before.vcpus // 2
    assert after.memory_mb == before.memory_mb // 2
    assert after.disk_gb == before.disk_gb == 64
    assert after.hypervisor_hostname == before.hypervisor_hostname
