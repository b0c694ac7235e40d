"""Servers of the Compute API on a cluster of a vCenter: the whole way, from the request to the machine and back."""

import hashlib

import pytest

from nova.compute.service import Compute
from tests.functional.cloud import wait


@pytest.fixture
def user(cloud, hypervisor, tmp_path):
    """A user of a cloud whose one host is the cluster's, and whose one image is a flat VMDK."""
    options = {
        "host_ip": "localhost",
        "host_port": hypervisor.proxy.port,
        "host_username": "user",
        "host_password": "pass",
        "cluster_name": "DC0_C0",
        "ca_file": str(hypervisor.certificate),
        "task_poll_interval": 0.05,
    }
    cloud.conf.set_override("compute_driver", "vmwareapi.VMwareVCDriver")
    cloud.conf.set_override("instances_path", str(tmp_path / "instances"))
    for name, value in options.items():
        cloud.conf.set_override(name, value, "vmware")
    cloud.hosts["vc1"] = host = Compute(cloud.conf, cloud.bus, cloud.transport, name="vc1")
    host.start()
    wait(lambda: host.agent.is_registered, "the host is registered")
    content = hypervisor.image_file().read_bytes()
    cloud.glance.images.clear()
    facts = {"disk_format": "vmdk", "vmware_disktype": "preallocated", "hw_vif_model": "vmxnet3"}
    image = cloud.glance.add(size=len(content), checksum=hashlib.md5(content).hexdigest(), **facts)
    cloud.glance.data[image] = content
    return cloud.client()


def test_image_of_a_server_is_of_the_type_that_another_is_made_of(cloud, hypervisor, user):
    server = user.create_server(flavor="m1.tiny")
    act(user, server, {"os-stop": None}, "SHUTOFF")
    hypervisor.write(server["id"], "what the user wrote")

    answer = user.post(f"/servers/{server['id']}/action", {"createImage": {"name": "copy"}})
    copy = answer.json()["image_id"]
    wait(lambda: cloud.glance.images[copy]["status"] == "active", "the copy is an image")
    # What this Image service does not reckon by itself.
    cloud.glance.images[copy]["checksum"] = hashlib.md5(cloud.glance.data[copy]).hexdigest()
    second = user.create_server(image=copy)

    facts = {key: cloud.glance.images[copy][key] for key in ("disk_format", "vmware_disktype")}
    assert facts == {"disk_format": "vmdk", "vmware_disktype": "streamOptimized"}
    assert hypervisor.read(second["id"]) == "what the user wrote"


def test_server_is_rescued_and_told_about(cloud, hypervisor, user):
    server = user.create_server(flavor="m1.tiny")

    act(user, server, {"rescue": None}, "RESCUE")
    diagnostics = cloud.client("admin", "admin").get(f"/servers/{server['id']}/diagnostics")
    act(user, server, {"unrescue": None}, "ACTIVE")

    assert diagnostics.json()["num_disks"] == 2
    assert len(list(hypervisor._root(server["id"]).parent.glob("*-flat.vmdk"))) == 1


def act(user, server, action, status):
    assert user.post(f"/servers/{server['id']}/action", action).status_code in (200, 202)
    user.wait(server["id"], status)
