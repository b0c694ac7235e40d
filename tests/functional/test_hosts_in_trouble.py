"""A host that lives and can do nothing: operators read why, no server is sent there, and it comes back by itself."""

import threading

from nova import concurrency
from nova.compute.step_pool import StepPool
from tests.functional.cloud import wait


def service(admin, host):
    [found] = admin.get(f"/os-services?binary=nova-compute&host={host.name}").json()["services"]
    return found


def test_a_host_whose_hypervisor_does_not_answer_is_disabled_until_it_does(cloud):
    sick, well = cloud.add_host("host-1"), cloud.add_host("host-2")
    user, admin = cloud.client(), cloud.client("admin", "admin")

    sick.trouble = "it has not answered for 90 s"
    wait(lambda: service(admin, sick)["status"] == "disabled", "the host is disabled")

    found = service(admin, sick)
    assert found["state"] == "up"
    assert found["disabled_reason"].startswith("AUTO: ")
    assert "has not answered for 90 s" in found["disabled_reason"]
    for _ in range(3):
        assert user.create_server()["id"] in well.guests

    sick.trouble = None
    wait(lambda: service(admin, sick)["status"] == "enabled", "the host is enabled")
    assert service(admin, sick)["disabled_reason"] is None


def test_a_host_that_an_operator_disabled_stays_so_whatever_its_hypervisor_does(cloud):
    host = cloud.add_host("host-1")
    admin = cloud.client("admin", "admin")
    found = service(admin, host)
    admin.put(f"/os-services/{found['id']}", {"status": "disabled", "disabled_reason": "new disks"})

    host.trouble = "it has not answered for 90 s"
    wait(lambda: cloud.conductors[0].core.liveness.troubles.get(host.name), "the trouble is heard")
    host.trouble = None
    wait(lambda: cloud.conductors[0].core.liveness.troubles.get(host.name) == "", "the end of it is heard")

    assert service(admin, host)["status"] == "disabled"
    assert service(admin, host)["disabled_reason"] == "new disks"


def test_steps_that_hang_take_no_other_steps_place():
    pool, hang, done = StepPool(2, slow_after_s=0.1), threading.Event(), threading.Event()
    for number in range(2):
        pool.submit(f"server-{number}", lambda: hang.wait(120))
    pool.submit("server-2", done.set)

    assert wait(lambda: pool.look() or done.is_set(), "the third step is done beside the two that hang")

    wait(lambda: set(pool.slow()) == {"server-0", "server-1"}, "both have lasted long")
    hang.set()
    assert concurrency.wait_for(lambda: not pool.slow(), 90)


def test_pool_with_as_many_steps_that_hang_as_it_may_have_says_so():
    pool, hang, last = StepPool(1, slow_after_s=0.1), threading.Event(), threading.Event()
    for number in range(2):
        pool.submit(f"server-{number}", lambda: hang.wait(120))
    pool.submit("server-2", last.set)

    wait(lambda: pool.look() or len(pool.slow()) == 2, "both hang")

    assert pool.is_stuck
    assert not last.is_set()
    hang.set()
    assert last.wait(90)
    assert not pool.is_stuck
