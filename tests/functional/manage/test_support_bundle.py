"""What an operator sends to somebody who is to help: all that is needed, and no secret."""

import json
import stat
import tarfile
import threading
from urllib.parse import quote
from wsgiref.simple_server import make_server

import pytest
from oslo_config import types

from nova.cmd.manage import log_tails, support_bundle
from nova.conf import files
from nova.http import health
from nova.readiness import Readiness
from tests.functional.manage.printed import paused

# What a secret may hold that is written in another way in URLs, JSON and XML.
AWKWARD = "&%\"é'<"


def read(path):
    """The text of each member, by its name without the directory's."""
    with tarfile.open(path) as archive:
        return {
            member.name.partition("/")[2]: archive.extractfile(member).read().decode()
            for member in archive.getmembers()
        }


@pytest.fixture
def bundled(run, tmp_path):
    """Run the command with more lines in the configuration; what is in its file."""

    def make(more=""):
        done = run("manage", "support-bundle", "--output", str(tmp_path / "out.tar.gz"), more=more)
        assert done.returncode == 0, done.stderr
        return read(tmp_path / "out.tar.gz")

    run("manage", "db", "sync")
    return make


def secret_options():
    """(group, name) of every option of text that says of itself that it is secret."""
    setting = files.Setting("", "neutron", "auth_type", "v3oidcpassword")
    for group, options in sorted(support_bundle._options([setting]).items()):
        for name, option in sorted(options.items()):
            # Those of authentication plugins have Python's own type.
            is_text = option.type is str or (isinstance(option.type, types.String) and not option.type.regex)
            if option.secret and is_text and (group, name) not in (("database", "connection"), ("placement", "token")):
                yield group, name


def test_no_secret_of_any_option_is_in_the_bundle_nor_in_the_logs_that_are(bundled, tmp_path, monkeypatch):
    planted = {place: f"planted-{number}-{AWKWARD}" for number, place in enumerate(secret_options())}
    assert {("DEFAULT", "transport_url"), ("neutron", "password"), ("vmware", "host_password")} <= planted.keys()
    log = tmp_path / "nova.log"
    monkeypatch.setenv("OS_VMWARE__HOST_PASSWORD", "of-the-environment")
    secrets = [*planted.values(), "of-the-url", "of-another", "of-nobody", "of-the-environment"]
    written = [form for secret in secrets for form in (secret, quote(secret, safe=""), json.dumps({"x": secret}))]
    log.write_text("begun\n" + "".join(f"it said {form} and went\n" for form in written))

    more = "[neutron]\nauth_type = v3oidcpassword\n" + "".join(
        f"[{group}]\n{name} = {value}\n" for (group, name), value in planted.items()
    )
    more += f"[DEFAULT]\nlog_file = {log}\nmy_pasword = of-nobody\n"
    more += "[cache]\nmemcache_servers = a\n[glance]\nendpoint_override = http://user:of-the-url@glance/\n"
    more += "[oslo_messaging_notifications]\ntransport_url = rabbit://a:of-another@one,b:of-another@two/\n"
    members = bundled(more)

    everything = "\n".join(members.values())
    leaked = [form for form in written if form in everything] + [one for one in planted.values() if one in everything]
    assert leaked == []
    assert "planted-" not in everything and "of-the-url" not in everything and "of-another" not in everything
    [log_name] = [name for name in members if name.startswith("logs/")]
    assert members[log_name].startswith("begun\nit said ")
    assert "endpoint_override = http://***@glance/" in members["configuration.txt"]


def test_each_part_that_cannot_be_gathered_says_why_and_the_others_are_there(run, tmp_path):
    # There are no tables.
    assert run("manage", "support-bundle", "--output", str(tmp_path / "out.tar.gz")).returncode == 0

    members = read(tmp_path / "out.tar.gz")
    assert set(members) == {
        "versions.txt",
        "configuration.txt",
        "services.json",
        "operations.json",
        "capacity.txt",
        "doctor.json",
        "readyz.json",
    }
    for name in ("services.json", "operations.json", "capacity.txt"):
        assert members[name].startswith("This could not be gathered: ") and "tables are missing" in members[name]
    assert members["versions.txt"].startswith("nova ")
    assert "SQLAlchemy " in members["versions.txt"]
    assert "transport_url = ***" in members["configuration.txt"]
    assert {"nova-conductor", "operations"} <= {one["subject"] for one in json.loads(members["doctor.json"])}
    assert "health_port" in members["readyz.json"]


def test_the_file_is_its_owners_alone_and_replaces_none(run, tmp_path):
    run("manage", "db", "sync")
    path = tmp_path / "out.tar.gz"

    assert run("manage", "support-bundle", "--output", str(path)).returncode == 0
    before = path.read_bytes()
    again = run("manage", "support-bundle", "--output", str(path))

    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert again.returncode == 1 and "File exists" in again.stderr
    assert path.read_bytes() == before


def test_of_a_long_log_the_last_whole_lines_are_taken(bundled, tmp_path, monkeypatch):
    monkeypatch.setattr(log_tails, "_TAIL_BYTES", 100)
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "nova-api.log").write_text("".join(f"line {number:03}\n" for number in range(1000)))

    members = bundled(f"[DEFAULT]\nlog_dir = {tmp_path}/logs\n")

    [log] = [text for name, text in members.items() if name.endswith("nova-api.log")]
    assert log.splitlines() == [f"line {number:03}" for number in range(989, 1000)]


def test_a_link_in_the_place_of_a_log_is_not_followed(bundled, tmp_path):
    (tmp_path / "private").write_text("of somebody else\n")
    (tmp_path / "nova.log").symlink_to(tmp_path / "private")

    members = bundled(f"[DEFAULT]\nlog_file = {tmp_path}/nova.log\n")

    assert "of somebody else" not in "".join(members.values())


def test_daemons_beside_are_asked_whether_they_are_ready(bundled, tmp_path):
    readiness = Readiness()
    readiness.hold("database", "rabbit://a:of-the-url@mq/ is away")
    server = make_server("127.0.0.1", 0, health.page(readiness.state))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    port = server.server_address[1]
    (tmp_path / "nova-conductor.conf").write_text(f"[DEFAULT]\nhealth_port = {port}\n")

    members = bundled()
    server.shutdown()
    server.server_close()

    answer = json.loads(members["readyz.json"])[f"http://127.0.0.1:{port}/readyz"]
    assert answer["status"] == 503
    assert json.loads(answer["body"])["failing"] == ["database"]
    assert "of-the-url" not in members["readyz.json"]
    assert f"health_port = {port}" in members["configuration.txt"]


@pytest.mark.parametrize("operator", ["waiting"], indirect=True)
def test_services_operations_and_room_of_a_cloud_are_there(waiting, operator, tmp_path):
    cloud, _, server_id = waiting
    paused(operator)

    status, _ = operator("support-bundle", "--output", str(tmp_path / "out.tar.gz"))

    members = read(tmp_path / "out.tar.gz")
    assert status == 0
    assert cloud.hypervisor("host-1").name in {one["host"] for one in json.loads(members["services.json"])}
    [operation] = json.loads(members["operations.json"])
    assert (operation["name"], operation["instance_uuid"]) == ("swap_volume", server_id)
    assert "m1.tiny" in members["capacity.txt"]
