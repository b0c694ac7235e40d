"""A stack's life, as Heat leads it on behalf of a user: everything it orchestrates, and that nothing of it stays."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.running_cloud import run, unused_name

pytestmark = pytest.mark.mode("neutron")

TEMPLATE = Path(__file__).parent / "heat" / "stack.yaml"
# Heat and its client are not in the environment of the tests: tools/cloud/heat.sh says why.
CLIENT = (str(Path(sys.prefix) / "heat" / "bin" / "python"), "-m", "openstackclient.shell", "stack")


@pytest.fixture
def stacks(cloud):
    """Heat's client, used by a member of the project demo."""
    member = {"OS_USERNAME": "demo", "OS_PROJECT_NAME": "demo"}

    def stack(*arguments):
        return run([*CLIENT, *arguments], cloud.environment() | member, 240)

    return stack


def test_a_stack_is_created_updated_and_deleted(cloud, stacks):
    name = unused_name("stack")
    before = belongings(cloud)
    key = f"public_key={cloud.sdk().compute.find_keypair('k1').public_key}"

    stacks("create", "--wait", "--template", str(TEMPLATE), "--parameter", key, name)

    made = outputs(stacks, name)
    server = cloud.sdk().compute.get_server(made["server"])
    assert (server.status, server.flavor["original_name"], server.metadata) == ("ACTIVE", "m1.tiny", {"role": "blue"})
    assert server.key_name == name
    assert len(server.server_groups) == 1
    assert attachments(cloud, made["volume"]) == [server.id]
    assert "tiny: user data: I am of a stack" in cloud.wait_for_console(server.id, " login:")
    assert cloud.wait_for(lambda: answers(made["address"]))

    changes = ("flavor=m1.small", "role=green", "volume_size=2")
    stacks("update", "--wait", "--existing", *(word for change in changes for word in ("--parameter", change)), name)

    server = cloud.sdk().compute.get_server(server.id)
    assert (server.status, server.flavor["original_name"], server.metadata) == ("ACTIVE", "m1.small", {"role": "green"})
    assert cloud.sdk().block_storage.get_volume(made["volume"]).size == 2
    assert attachments(cloud, made["volume"]) == [server.id]
    assert cloud.wait_for(lambda: answers(made["address"]))

    stacks("delete", "--yes", "--wait", name)

    assert cloud.wait_for(lambda: belongings(cloud) == before), belongings(cloud)
    assert cloud.wait_for(lambda: cloud.leftovers() == {}), cloud.leftovers()


def outputs(stacks, name):
    shown = json.loads(stacks("output", "show", "--all", "--format", "json", name))
    return {
        key: json.loads(value)["output_value"] if isinstance(value, str) else value["output_value"]
        for key, value in shown.items()
    }


def belongings(cloud):
    """Ids of all that a stack is made of, by kind. A project's default group comes with its first port, and stays."""
    client = cloud.sdk()
    listed = {
        "servers": client.compute.servers(all_projects=True),
        "server groups": client.compute.server_groups(all_projects=True),
        "ports": client.network.ports(),
        "security groups": (group for group in client.network.security_groups() if group.name != "default"),
        "floating IPs": client.network.ips(),
        "volumes": client.block_storage.volumes(details=False, all_projects=True),
    }
    return {kind: {each.id for each in found} for kind, found in listed.items()}


def attachments(cloud, volume):
    """The servers that a volume is attached to."""
    return [each["server_id"] for each in cloud.sdk().block_storage.get_volume(volume).attachments]


def answers(address):
    done = subprocess.run(["busybox", "ping", "-c", "1", "-W", "1", address], capture_output=True, check=False)
    return done.returncode == 0
