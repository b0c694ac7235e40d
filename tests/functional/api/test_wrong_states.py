"""What may be done to a server in which state: everything else is refused in upstream's words, and changes nothing.

The table is the API guide's ("Server concepts") and the API reference's preconditions, not the product's.
"""

import pytest

from tests.functional.cloud import wait
from tests.functional.invariants import settle

ON_A_HOST = ("active", "stopped", "paused", "suspended")
# Action: its argument, the name it has in messages, the vm_states it may be asked for in.
ACTIONS = {
    "os-start": (None, "start", ("stopped",)),
    "os-stop": (None, "stop", ("active", "error")),
    "pause": (None, "pause", ("active",)),
    "unpause": (None, "unpause", ("paused",)),
    "suspend": (None, "suspend", ("active",)),
    "resume": (None, "resume", ("suspended",)),
    "soft reboot": ({"reboot": {"type": "SOFT"}}, "reboot", ("active",)),
    "hard reboot": ({"reboot": {"type": "HARD"}}, "reboot", (*ON_A_HOST, "error")),
    "rebuild": (lambda cloud: {"imageRef": next(iter(cloud.glance.images))}, "rebuild", ("active", "stopped", "error")),
    "resize": ({"flavorRef": "m1.small"}, "resize", ("active", "stopped")),
    "migrate": (None, "migrate", ("active", "stopped")),
    "confirmResize": (None, "confirmResize", ("resized",)),
    "revertResize": (None, "revertResize", ("resized",)),
    "os-migrateLive": ({"host": None, "block_migration": "auto"}, "os-migrateLive", ("active", "paused")),
    "rescue": ({}, "rescue", ("active", "stopped", "error")),
    "unrescue": (None, "unrescue", ("rescued",)),
    "shelve": (None, "shelve", ON_A_HOST),
    "shelveOffload": (None, "shelveOffload", ("shelved",)),
    "unshelve": (None, "unshelve", ("shelved", "shelved_offloaded")),
    "createImage": ({"name": "copy"}, "createImage", ON_A_HOST),
    "createBackup": ({"name": "copy", "backup_type": "daily", "rotation": 1}, "createBackup", ON_A_HOST),
    "changePassword": ({"adminPass": "word"}, "changePassword", ("active",)),
    "trigger_crash_dump": (None, "trigger_crash_dump", ("active", "paused", "rescued", "resized", "error")),
    "restore": (None, "restore", ("soft-delete",)),
}
# How a server comes into a state: the actions one after another.
WAYS = {
    "active": (),
    "stopped": ("os-stop",),
    "paused": ("pause",),
    "suspended": ("suspend",),
    "rescued": ("rescue",),
    "resized": ("resize",),
    "error": (("os-resetState", {"state": "error"}),),
    "shelved": ("shelve",),
    "shelved_offloaded": ("shelve", "shelveOffload"),
    "soft-delete": ("delete",),
}
SETTINGS = """
[DEFAULT]
shelved_offload_time = -1
reclaim_instance_interval = 3600
[quota]
instances = -1
cores = -1
ram = -1
"""


@pytest.fixture(scope="module")
def user(make_module_cloud):
    cloud = make_module_cloud(SETTINGS)
    for name in ("host-1", "host-2"):
        cloud.add_host(name, vcpus=1000, memory_mb=1 << 22, disk_gb=10000)
    return cloud.client("admin", "project")


@pytest.fixture(scope="module")
def in_state(user):
    """A server in a state; one that nothing has changed since is given again."""
    known = {}

    def make(state, is_new=False):
        if is_new or state not in known:
            server_id = user.create_server()["id"]
            for step in WAYS[state]:
                come(user, server_id, *((step,) if isinstance(step, str) else step))
            if is_new:
                return server_id
            known[state] = server_id
        return known[state]

    return make


def come(user, server_id, name, argument=None):
    if name == "delete":
        answer = user.delete(f"/servers/{server_id}")
    else:
        answer = ask(user, server_id, name) if argument is None else user.act(server_id, name, argument)
    assert answer.status_code < 300, answer.text
    settle(user.cloud)


def ask(user, server_id, name):
    argument = ACTIONS[name][0]
    argument = argument(user.cloud) if callable(argument) else argument
    if "reboot" in name:
        return user.post(f"/servers/{server_id}/action", argument)
    return user.act(server_id, name, argument)


@pytest.mark.parametrize("state", WAYS)
@pytest.mark.parametrize("name", ACTIONS)
def test_an_action_is_accepted_in_its_states_and_refused_in_all_others(user, in_state, name, state):
    _, called, states = ACTIONS[name]
    is_allowed = state in states
    server_id = in_state(state, is_new=is_allowed)
    before = user.server(server_id)

    answer = ask(user, server_id, name)

    if is_allowed:
        assert answer.status_code < 300, answer.text
        return
    assert (answer.status_code, answer.json()) == (
        409,
        {
            "conflictingRequest": {
                "code": 409,
                "message": f"Cannot '{called}' instance {server_id} while it is in vm_state {state}",
            }
        },
    )
    assert user.server(server_id) == before


@pytest.mark.parametrize("name", ACTIONS)
def test_a_server_that_is_being_built_is_left_alone(user, name):
    [host] = [user.cloud.hypervisor(one) for one in ("host-1",)]
    host.hold("create")
    server_id = user.create_server(wait_for=None, host=host.name)["id"]
    wait(lambda: user.server(server_id)["OS-EXT-STS:task_state"] == "spawning", "it is being built")

    answer = ask(user, server_id, name)

    host.release("create")
    assert (answer.status_code, answer.json()["conflictingRequest"]["message"]) == (
        409,
        f"Cannot '{ACTIONS[name][1]}' instance {server_id} while it is in vm_state building",
    )
    assert user.wait(server_id, "ACTIVE")


@pytest.mark.parametrize("name", ["os-stop", "pause", "resize", "createImage"])
def test_a_server_at_work_says_what_it_is_doing(user, name):
    server_id = user.create_server(host=user.cloud.hypervisor("host-1").name)["id"]
    host = user.cloud.hypervisor("host-1")
    host.hold("reboot")
    user.act(server_id, "reboot", {"type": "SOFT"})

    answer = ask(user, server_id, name)

    host.release("reboot")
    assert (answer.status_code, answer.json()["conflictingRequest"]["message"]) == (
        409,
        f"Cannot '{ACTIONS[name][1]}' instance {server_id} while it is in task_state rebooting",
    )
    assert user.wait(server_id, "ACTIVE")


@pytest.mark.parametrize("name", ACTIONS)
def test_a_locked_server_obeys_nobody_but_administrators(user, name):
    owner = user.cloud.client("user", "project", roles=["member"])
    server_id = user.create_server()["id"]
    user.act(server_id, "lock")

    answer = ask(owner, server_id, name)

    # What is for administrators is forbidden before anything else is looked at.
    assert answer.status_code in (403, 409)
    if answer.status_code == 409:
        assert answer.json()["conflictingRequest"]["message"] in (
            f"Instance {server_id} is locked",
            f"Cannot '{ACTIONS[name][1]}' instance {server_id} while it is in vm_state active",
        )
    assert user.server(server_id)["status"] == "ACTIVE"
