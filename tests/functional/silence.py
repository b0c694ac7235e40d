"""How hosts fall silent, and answer again: the steps of stories that tests tell of them."""

import time

from nova.conductor.reconcilers import liveness
from nova.rpc.local import bus_of
from tests.functional.cloud import wait
from tests.functional.invariants import leftovers, settle

SETTINGS = """
[DEFAULT]
shelved_offload_time = 0
service_down_time = 3600
[conductor]
poll_interval_s = 0.1
step_pauses_s = 0.01, 0.1
left_pauses_s = 0.1, 0.3
"""
HOSTS = ("host-1", "host-2", "host-3")


def name_of_host(cloud, server_id):
    """The host that has the server's guest, or would have it running."""
    return next(name for name in cloud.hosts if server_id in cloud.hypervisor(name).guests)


def falls_silent(cloud, name):
    """Nobody hears of a host any more, not even what it said before; its guests run."""
    full = cloud.hypervisor(name).name
    cloud.stop_host(name)
    core = cloud.conductors[0].core
    hear = core.liveness.hear

    def hear_others(sign):
        if name in cloud.hosts or full not in sign.hosts:
            hear(sign)

    core.liveness.hear = hear_others
    core.liveness._heard[full, "nova-compute"] = time.monotonic() - cloud.conf.service_down_time
    liveness.reconcile(core)


def force_down(cloud, user, name, is_down=True):
    full = cloud.hypervisor(name).name
    [service] = [one for one in user.get("/os-services?binary=nova-compute").json()["services"] if one["host"] == full]
    assert user.put(f"/os-services/{service['id']}", {"forced_down": is_down}).status_code == 200


def answers_are_lost(cloud, operation, step):
    """From this step on no conductor hears what hosts have done."""
    lose = bus_of(f"local:///{cloud.name}").lose
    # Before the order is written: a host that asks for it by itself may have done it as soon as that is.
    cloud.boundary.call_at(operation, step, "done", lambda: lose("conductor", 10_000, "step_answered"))


def falls_silent_with(cloud, name, is_done):
    """The host has done the step, falls silent before anybody hears of it, and the operation waits for it."""
    wait(is_done, "the host has done it")
    falls_silent(cloud, name)
    cloud.calm()


def waits_for(cloud, user, server_id, undo):
    """The operation says what it waits for, and tries it again and again."""
    wait(lambda: len(tries(user, server_id, undo)) > 3, f"{undo} waits for the host")
    assert tries(user, server_id, undo)[0]["result"] == "Error"
    assert "A guest on it may run" in tries(user, server_id, undo)[0]["details"]


def tries(user, server_id, step):
    [action, *_] = user.get(f"/servers/{server_id}/os-instance-actions").json()["instanceActions"]
    path = f"/servers/{server_id}/os-instance-actions/{action['request_id']}"
    return [one for one in user.get(path).json()["instanceAction"]["events"] if one["event"] == step]


def guests_of(cloud, server_id):
    """The hosts where a server has a guest, silent ones included."""
    return [name for name in HOSTS if server_id in cloud.hypervisor(name).guests]


def statuses(cloud):
    return [volume["status"] for volume in cloud.cinder.volumes.values()]


def answers_again(cloud, user, name):
    cloud.start_host(name)


def is_forced_down(cloud, user, name):
    force_down(cloud, user, name)


def is_whole(cloud, user, name):
    """Everything is in order once the host is back, wherever it was meanwhile."""
    for one in sorted({name} | (set(HOSTS) - set(cloud.hosts))):
        if one not in cloud.hosts:
            cloud.start_host(one)
        force_down(cloud, user, one, is_down=False)
    settle(cloud)
    wait(lambda: leftovers(cloud) == [], "the host has looked through its guests")
