"""The openstack command walks a server's life, at the version it chooses itself where no newer one is asked for.

The tests share one server and run in order; each leaves it ACTIVE. The command runs inside this process:
loading it anew takes longer than most of what it asks for.
"""

import contextlib
import io
import json

import pytest
from openstackclient.shell import OpenStackShell

from tests.e2e.running_cloud import CommandFailed, unused_name

pytestmark = pytest.mark.mode("embedded")


class Command:
    """`openstack`, with a user's environment and one version of the Compute API."""

    def __init__(self, environment, version=None):
        names = ("AUTH_URL", "USERNAME", "PASSWORD", "PROJECT_NAME", "USER_DOMAIN_NAME", "PROJECT_DOMAIN_NAME")
        self._options = [f"--os-{name.lower().replace('_', '-')}={environment[f'OS_{name}']}" for name in names]
        self._options += ["--os-region-name=RegionOne", "--os-identity-api-version=3"]
        if version is not None:
            self._options.append(f"--os-compute-api-version={version}")

    def run(self, *words):
        """What it prints."""
        out, said = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(said):
            shell = OpenStackShell()
            shell.stdout, shell.stderr = out, said
            status = shell.run([*self._options, *words])
        if status:
            raise CommandFailed(f"openstack {' '.join(words)}: status {status}\n{out.getvalue()}{said.getvalue()}")
        return out.getvalue()

    def show(self, *words):
        return json.loads(self.run(*words, "-f", "json"))


@pytest.fixture(scope="module")
def openstack(cloud):
    return Command(cloud.environment())


@pytest.fixture(scope="module")
def newest(cloud):
    return Command(cloud.environment(), "2.104")


@pytest.fixture(scope="module")
def server(cloud, openstack, tmp_path_factory):
    script = tmp_path_factory.mktemp("cli") / "script"
    script.write_text("#!/bin/sh\necho walked by the CLI\n")
    group = openstack.show("server", "group", "create", "--policy", "affinity", unused_name("group"))
    security_group = openstack.show("security", "group", "create", unused_name("open"))["id"]
    made = openstack.show(
        *("server", "create", "--image", "tiny", "--flavor", "m1.tiny", "--network", "private", "--key-name", "k1"),
        *("--user-data", str(script), "--config-drive", "True", "--property", "purpose=walk"),
        *("--hint", f"group={group['id']}", "--security-group", security_group, "--wait", unused_name("walk")),
    )
    yield made["id"]
    openstack.run("server", "delete", "--wait", made["id"])
    openstack.run("server", "group", "delete", group["id"])
    openstack.run("security", "group", "delete", security_group)
    assert cloud.leftovers() == {}


def test_a_server_has_what_it_was_created_with(cloud, openstack, server):
    shown = openstack.show("server", "show", server)

    assert (shown["status"], shown["properties"], shown["key_name"]) == ("ACTIVE", {"purpose": "walk"}, "k1")
    assert "tiny: user data: walked by the CLI" in cloud.wait_for_console(server, " login:")
    assert "login:" in openstack.run("console", "log", "show", "--lines", "5", server)
    assert "token" in openstack.show("console", "url", "show", "--novnc", server)["url"]
    [listed] = openstack.show("server", "list", "--long", "--name", shown["name"])
    assert (listed["ID"], listed["Power State"], listed["Host"]) == (server, 1, shown["OS-EXT-SRV-ATTR:host"])
    assert len(openstack.show("server", "list", "--limit", "1", "--all-projects")) == 1
    assert openstack.show("server", "list", "--status", "PAUSED") == []


def test_what_is_said_of_a_server_changes(openstack, newest, server):
    openstack.run("server", "set", "--name", unused_name("renamed"), "--property", "colour=blue", server)
    openstack.run("server", "unset", "--property", "purpose", server)
    assert openstack.show("server", "show", server)["properties"] == {"colour": "blue"}

    newest.run("server", "lock", "--reason", "walking", server)
    assert newest.show("server", "show", server)["locked_reason"] == "walking"
    newest.run("server", "unlock", server)
    newest.run("server", "set", "--tag", "a", "--description", "a walk", server)
    shown = newest.show("server", "show", server)
    assert (shown["tags"], shown["description"]) == (["a"], "a walk")
    assert [one["ID"] for one in newest.show("server", "list", "--tags", "a")] == [server]
    newest.run("server", "unset", "--tag", "a", "--description", server)


@pytest.mark.parametrize(
    "there, status, back",
    [
        ("stop", "SHUTOFF", "start"),
        ("pause", "PAUSED", "unpause"),
        ("suspend", "SUSPENDED", "resume"),
        ("rescue", "RESCUE", "unrescue"),
        ("shelve", "SHELVED_OFFLOADED", "unshelve"),
    ],
)
def test_a_server_goes_and_comes_back(cloud, openstack, server, there, status, back):
    openstack.run("server", there, server)
    assert rests(cloud, server, status) == status

    openstack.run("server", back, server)
    assert rests(cloud, server, "ACTIVE") == "ACTIVE"


def test_a_server_is_rebooted_rebuilt_and_resized(cloud, openstack, server):
    openstack.run("server", "reboot", "--hard", server)
    assert rests(cloud, server, "ACTIVE") == "ACTIVE"
    openstack.run("server", "rebuild", "--image", "tiny", server)
    assert rests(cloud, server, "ACTIVE") == "ACTIVE"
    assert "tiny: boot 1 of this disk" in cloud.wait_for_console(server, " login:")
    openstack.run("server", "reboot", "--soft", server)
    assert rests(cloud, server, "ACTIVE") == "ACTIVE"

    for decide, flavor in (("revert", "m1.tiny"), ("confirm", "m1.small")):
        cloud.wait_for_console(server, " login:")
        openstack.run("server", "resize", "--flavor", "m1.small", server)
        assert rests(cloud, server, "VERIFY_RESIZE") == "VERIFY_RESIZE"
        openstack.run("server", "resize", decide, server)
        assert rests(cloud, server, "ACTIVE") == "ACTIVE"
        assert flavor in json.dumps(openstack.show("server", "show", server)["flavor"])
    assert {one["Status"] for one in openstack.show("server", "migration", "list")} >= {"confirmed", "reverted"}


def test_an_image_of_a_server_is_made_and_deleted(openstack, server):
    name = unused_name("snapshot")

    openstack.run("server", "image", "create", "--wait", "--name", name, server)

    assert openstack.show("image", "show", name)["status"] == "active"
    openstack.run("image", "delete", name)


def test_interfaces_addresses_and_groups_come_and_go(cloud, openstack, server):
    def addresses():
        return openstack.show("server", "show", server)["addresses"]["private"]

    [own] = addresses()
    # A guest that boots lets no device go.
    cloud.wait_for_console(server, " login:")
    openstack.run("server", "add", "network", server, "private")
    assert len(addresses()) == 2
    [added] = [one for one in openstack.show("port", "list", "--server", server) if own not in json.dumps(one)]
    openstack.run("server", "remove", "port", server, added["ID"])
    assert cloud.wait_for(lambda: addresses() == [own])

    group = openstack.show("security", "group", "create", unused_name("extra"))["name"]
    openstack.run("server", "add", "security", "group", server, group)
    assert group in json.dumps(openstack.show("server", "show", server)["security_groups"])
    openstack.run("server", "remove", "security", "group", server, group)
    openstack.run("security", "group", "delete", group)

    address = openstack.show("floating", "ip", "create", cloud.external_network().name)["floating_ip_address"]
    openstack.run("server", "add", "floating", "ip", server, address)
    assert cloud.wait_for(lambda: addresses() == [own, address])
    openstack.run("server", "remove", "floating", "ip", server, address)
    assert cloud.wait_for(lambda: addresses() == [own])
    openstack.run("floating", "ip", "delete", address)


def test_history_limits_and_usage_can_be_read(openstack, server):
    events = openstack.show("server", "event", "list", server)
    create = openstack.show("server", "event", "show", server, events[-1]["Request ID"])
    assert (create["action"], {one["result"] for one in create["events"]}) == ("create", {"Success"})

    limits = {one["Name"]: one["Value"] for one in openstack.show("limits", "show", "--absolute")}
    assert limits["instances_used"] >= 2
    assert len(openstack.show("usage", "show")["Servers"]) >= 2
    assert openstack.show("usage", "list")
    quotas = {one["Resource"]: one["Limit"] for one in openstack.show("quota", "show", "--compute")}
    assert quotas["instances"] == limits["instances"]


def test_an_operator_looks_after_flavors_hosts_and_aggregates(openstack):
    flavor = unused_name("flavor")
    openstack.run("flavor", "create", "--ram", "64", "--disk", "1", "--private", "--property", "a:b=c", flavor)
    openstack.run("flavor", "set", "--project", "demo", flavor)
    assert openstack.show("flavor", "show", flavor)["properties"] == {"a:b": "c"}
    openstack.run("flavor", "delete", flavor)

    [hypervisor] = openstack.show("hypervisor", "list")
    assert openstack.show("hypervisor", "show", hypervisor["Hypervisor Hostname"])["state"] == "up"
    [service] = openstack.show("compute", "service", "list", "--service", "nova-compute")
    for change, status in (("--disable", "disabled"), ("--enable", "enabled")):
        openstack.run("compute", "service", "set", change, service["Host"], "nova-compute")
        [service] = openstack.show("compute", "service", "list", "--service", "nova-compute")
        assert service["Status"] == status

    rack = unused_name("rack")
    openstack.run("aggregate", "create", "--property", "ssd=true", rack)
    openstack.run("aggregate", "add", "host", rack, service["Host"])
    assert openstack.show("aggregate", "show", rack)["hosts"] == [service["Host"]]
    openstack.run("aggregate", "remove", "host", rack, service["Host"])
    openstack.run("aggregate", "delete", rack)
    assert {one["Zone Name"] for one in openstack.show("availability", "zone", "list", "--compute")} >= {"nova"}


def test_key_pairs_are_made_and_deleted(openstack, tmp_path):
    name = unused_name("key")
    (tmp_path / "key.pub").write_text(openstack.run("keypair", "show", "--public-key", "k1"))

    openstack.run("keypair", "create", "--public-key", str(tmp_path / "key.pub"), name)

    assert {"k1", name} <= {one["Name"] for one in openstack.show("keypair", "list")}
    openstack.run("keypair", "delete", name)


def rests(cloud, server, status):
    """The server's status, once it is that (or ERROR) and nothing is under way."""

    def now():
        shown = cloud.sdk().compute.get_server(server)
        return shown.status if shown.task_state is None and shown.status in (status, "ERROR") else None

    return cloud.wait_for(now)
