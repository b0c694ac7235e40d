"""Servers of the Compute API on a pool of XenServer: the whole way, from the request to the guest and back."""

import hashlib
import shutil

import pytest

from nova.compute.service import Compute
from tests.functional.cloud import wait
from tests.functional.xenserver.conftest import GUEST


@pytest.fixture
def user(cloud, pool, tmp_path):
    """A user of a cloud whose one host is the pool's, and whose one image boots the tests' operating system."""
    for name, value, group in (
        ("compute_driver", "xenapi.XenAPIDriver", None),
        ("instances_path", str(tmp_path / "instances"), None),
        ("allow_resize_to_same_host", True, None),
        ("connection_url", pool.url, "xenserver"),
        ("connection_password", pool.password, "xenserver"),
    ):
        cloud.conf.set_override(name, value, group)
    cloud.hosts["xen1"] = host = Compute(cloud.conf, cloud.bus, cloud.transport, name="xen1")
    host.start()
    wait(lambda: host.agent.is_registered, "the host is registered")
    content = GUEST.read_bytes().ljust(1 << 20, b"\0")
    cloud.glance.images.clear()
    image = cloud.glance.add(size=len(content), checksum=hashlib.md5(content).hexdigest())
    cloud.glance.data[image] = content
    return cloud.client()


def test_server_lives_on_xenserver(cloud, pool, user):
    server = user.create_server(flavor="m1.tiny")

    # What it says
    wait(lambda: "guest is up" in output(user, server), "the guest is up")
    diagnostics = cloud.client("admin", "admin").get(f"/servers/{server['id']}/diagnostics")
    assert diagnostics.status_code == 200 and diagnostics.json()["driver"] == "xenapi"
    # Its disk as an image, which another server boots
    answer = user.post(f"/servers/{server['id']}/action", {"createImage": {"name": "copy"}})
    copy = answer.json()["image_id"]
    wait(lambda: cloud.glance.images[copy]["status"] == "active", "the copy is an image")
    # What this Image service does not reckon by itself.
    cloud.glance.images[copy]["checksum"] = hashlib.md5(cloud.glance.data[copy]).hexdigest()
    second = user.create_server(image=copy)
    wait(lambda: "guest is up" in output(user, second), "the copy boots")
    # Off and on, by itself and by its user
    act(user, server, {"pause": None}, "PAUSED")
    act(user, server, {"unpause": None}, "ACTIVE")
    act(user, server, {"suspend": None}, "SUSPENDED")
    act(user, server, {"resume": None}, "ACTIVE")
    vm = next(ref for ref, r in pool.store.all("VM").items() if r["other_config"].get("nova:name") == server["id"])
    pool.vms.guests[vm].order("quit")
    user.wait(server["id"], "SHUTOFF")
    act(user, server, {"os-start": None}, "ACTIVE")
    # Gone
    for one in (server, second):
        user.delete(f"/servers/{one['id']}")
    wait(lambda: len([r for r in pool.store.all("VM").values() if not r["is_control_domain"]]) == 0, "both are gone")
    assert all("nova:image" in record["other_config"] for record in pool.store.all("VDI").values())


def test_server_whose_image_is_gone_is_booted_hard(cloud, pool, user, tmp_path):
    server = user.create_server(flavor="m1.tiny")
    cloud.glance.images.clear()
    shutil.rmtree(tmp_path / "instances" / "_base")

    act(user, server, {"reboot": {"type": "HARD"}}, "ACTIVE")
    wait(lambda: "guest is up" in output(user, server), "the guest is up")
    assert pool.calls.count("VM.start_on") == 2


def act(user, server, action, status):
    assert user.post(f"/servers/{server['id']}/action", action).status_code == 202
    user.wait(server["id"], status)


def output(user, server):
    return user.post(f"/servers/{server['id']}/action", {"os-getConsoleOutput": {}}).json().get("output", "")
