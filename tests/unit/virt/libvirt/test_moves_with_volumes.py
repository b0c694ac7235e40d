"""What a guest that comes back is defined with: its volumes as they are connected now."""

import types

import pytest

from nova.conf import load
from nova.structs.disks import DisksId
from nova.structs.flavor import Flavor
from nova.structs.guest import Disk, GuestSpec
from nova.structs.instance import BlockDevice
from nova.virt.libvirt import driver as libvirt_driver


def spec(lun):
    """A guest that boots from a volume, which its host reaches at a LUN."""
    info = {"driver_volume_type": "iscsi", "data": {"target_lun": lun}}
    device = BlockDevice(id="d", source="volume", destination="volume", volume_id="v", connection_info=info)
    return GuestSpec(
        uuid="u",
        name="n",
        display_name="x",
        project_id="p",
        user_id="q",
        flavor=Flavor(id="1", name="f", vcpus=1, memory_mb=32),
        disks=(Disk(kind="volume", device_name="vda", volume=device),),
        disks_id=DisksId(generation=1, host="h"),
    )


@pytest.mark.parametrize("is_active", [False, True])
def test_a_guest_that_is_off_is_defined_anew_where_it_was_defined_with_another_hosts_connection(
    tmp_path, monkeypatch, is_active
):
    path = tmp_path / "nova.conf"
    path.write_text(f"[DEFAULT]\ninstances_path = {tmp_path}/instances\n")
    driver = libvirt_driver.LibvirtDriver(load([], [str(path)]), "h")
    domain = types.SimpleNamespace(isActive=lambda: is_active)
    done = []
    monkeypatch.setattr(driver._connection, "find", lambda uuid: domain)
    monkeypatch.setattr(driver._volumes, "disconnect_all", lambda uuid: done.append("disconnected"))
    monkeypatch.setattr(libvirt_driver.vif, "plug", lambda vifs: None)

    def define(spec, undo):
        done.append(spec.disks[0].volume.connection_info["data"]["target_lun"])

    monkeypatch.setattr(driver._definitions, "define", define)

    driver.bring_back(spec(lun=3))

    assert done == ([] if is_active else ["disconnected", 3])
