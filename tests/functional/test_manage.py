"""nova-manage and nova-status, with the commands an installation guide names and those an operator needs."""

import datetime
import json
import logging
import threading
from typing import NamedTuple

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from nova import errors
from nova.cmd import manage as manage_command
from nova.cmd import status as status_command
from nova.cmd.manage import doctor, drain, operation
from nova.db import migrations, open_operations
from nova.structs.operation import OpenOperation
from tests.functional.cloud import wait
from tests.functional.invariants import leftovers, settle


class Ended(NamedTuple):
    returncode: int
    stdout: str
    stderr: str


@pytest.fixture
def run(tmp_path, capsys, monkeypatch):
    """Run a command with a file that names an empty database, as main() of a process would."""
    path = tmp_path / "nova.conf"
    path.write_text(
        "[DEFAULT]\ntransport_url = rabbit://u:secret@mq/\n"
        f"[database]\nconnection = sqlite:///{tmp_path}/nova.db\n"
        f"[placement_database]\nconnection = sqlite:///{tmp_path}/placement.db\n"
        "[placement]\nauth_type = admin_token\nendpoint = http://127.0.0.1:9\ntoken = t\n"
    )

    def run_command(module, *words, more=""):
        path.write_text(path.read_text() + more)
        monkeypatch.setattr("sys.argv", [f"nova-{module}", "--config-file", str(path), *words])
        capsys.readouterr()
        # pytest shows an exception that is not caught there; an operator would get a traceback.
        status = {"manage": manage_command, "status": status_command}[module].main()
        return Ended(status, *capsys.readouterr())

    logger = logging.getLogger("nova")
    level = logger.level
    yield run_command
    # The command silenced it, which is its process's own.
    logger.setLevel(level)


@pytest.fixture
def manage(run):
    return lambda *words: run("manage", *words)


@pytest.mark.parametrize(
    "order",
    [
        # As the guides of Ocata and later have it: the tables come last.
        ("api_db sync", "cell_v2 map_cell0", "cell_v2 create_cell --name=cell1 --verbose", "db sync"),
        ("cell_v2 map_cell0", "cell_v2 create_cell --name=cell1 --verbose", "db sync"),
        ("db sync", "cell_v2 simple_cell_setup"),
    ],
    ids=" then ".join,
)
def test_the_guides_commands_work_in_its_order(manage, order):
    for words in order:
        done = manage(*words.split())
        assert done.returncode == 0, done.stderr

    listed = manage("cell_v2", "list_cells").stdout

    assert "cell0" in listed and "cell1" in listed
    assert "secret" not in listed
    assert "Found 0 hosts" in manage("cell_v2", "discover_hosts").stdout
    assert manage("db", "version").stdout.strip() == migrations.newest()


@pytest.mark.parametrize(
    "words, status, said",
    [
        ("cell_v2 delete_cell --cell_uuid none", 1, "was not found"),
        ("cell_v2 update_cell --cell_uuid none --name other", 1, "was not found"),
        ("cell_v2 discover_hosts --strict", 1, "Found 0 hosts"),
        ("cell_v2 list_hosts", 0, "Hostname"),
        ("cell_v2 verify_instance --uuid none", 1, "is not mapped"),
        ("cell_v2 delete_host --host none", 2, "was not found"),
        ("cell_v2 map_instances --cell_uuid any", 0, "nothing to map"),
        ("db purge", 2, "--all or --before"),
        ("db purge --before yesterday", 1, "yesterday is no date"),
        ("db purge --all", 3, ""),
        ("db archive_deleted_rows --max_rows 10 --until-complete", 0, "nova-manage db purge"),
        ("db archive_deleted_rows --purge", 0, ""),
        ("db online_data_migrations --max-count 10", 0, "no data to migrate"),
        ("placement db sync", 0, ""),
        ("placement heal_allocations", 4, ""),
        ("placement heal_allocations --instance none", 1, "could not be found"),
        ("placement audit --verbose", 0, ""),
        ("placement sync_aggregates", 0, ""),
        ("image_property show none hw_disk_bus", 2, "could not be found"),
        ("image_property set none --property disk=1", 4, "no image property that can be set"),
        ("host rename one two", 1, "nova-manage: "),
        ("operation list", 0, "Waits for"),
        ("operation show none", 1, "is not under way"),
        ("operation retry none", 1, "is not under way"),
        ("operation abandon none", 1, "is not under way"),
        ("capacity show --flavor none", 1, "could not be found"),
        ("quota report", 0, "In use"),
    ],
)
def test_every_command_ends_with_upstreams_status_and_a_line(manage, words, status, said):
    manage("db", "sync")

    done = manage(*words.split())

    assert (done.returncode, said in done.stdout + done.stderr) == (status, True), done.stdout + done.stderr
    assert len((done.stdout + done.stderr).splitlines()) <= 4


def test_a_database_without_tables_is_told_in_a_line(manage):
    done = manage("db", "purge", "--all")

    assert done.returncode == 1
    assert "nova-manage db sync" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_an_upgrade_check_tells_what_must_be_done_first(run):
    before = run("status", "upgrade", "check")
    run("manage", "db", "sync")
    after = run(
        "status", "upgrade", "check", "--json", more="[oslo_policy]\npolicy_file = policy.json\n[api]\nmax_limt = 5\n"
    )

    assert before.returncode == 2
    assert "| Upgrade Check Results " in before.stdout
    assert "run nova-manage db sync" in before.stdout
    assert len({len(line) for line in before.stdout.splitlines()}) == 1
    found = {one["check"]: (one["result"], one["details"]) for one in json.loads(after.stdout)["checks"]}
    assert found["Database"] == (0, None)
    assert found["Policy File"][0] == 2
    assert found["Configuration"][0] == 1 and "max_limit" in found["Configuration"][1]
    # Nobody listens where it is said to be.
    assert found["Placement API"][0] == 2 and "Placement" in found["Placement API"][1]


@pytest.fixture
def operator(request, monkeypatch, capsys):
    """Run nova-manage on a running cloud's database and Placement; its status and what it prints.

    Its parameter names the fixture that gives the cloud first.
    """
    name = getattr(request, "param", None)
    cloud = request.getfixturevalue("cloud") if name is None else request.getfixturevalue(name)[0]
    for module in (manage_command.placement, manage_command.capacity):
        monkeypatch.setattr(module, "open_placement", lambda conf: cloud.placement)
    monkeypatch.setattr(manage_command.host, "_conductor", lambda conf: cloud.conductor_calls)

    def command(*words):
        arguments = manage_command.parser().parse_args(words)
        capsys.readouterr()
        status = arguments.command(cloud.conf, arguments)
        return status, capsys.readouterr().out

    return command


def test_what_servers_should_hold_is_claimed_again(cloud, operator):
    cloud.add_host()
    server_id = cloud.client().create_server()["id"]
    held = cloud.allocations(server_id)
    cloud.placement.release(server_id)

    assert operator("placement", "heal_allocations", "--dry-run")[0] == 0
    assert cloud.allocations(server_id) == {}
    status, said = operator("placement", "heal_allocations", "--verbose")

    assert (status, cloud.allocations(server_id)) == (0, held)
    assert server_id in said
    assert operator("placement", "heal_allocations")[0] == 4


def test_what_servers_hold_wrongly_is_replaced_only_when_it_is_asked_for(cloud, operator):
    cloud.add_host()
    server_id = cloud.client().create_server()["id"]
    held = cloud.allocations(server_id)
    [provider] = held
    cloud.placement.release(server_id)
    cloud.placement.claim(server_id, {provider: {"VCPU": 2}}, "project", "user")

    assert operator("placement", "heal_allocations")[0] == 4
    assert operator("placement", "heal_allocations", "--force", "--instance", server_id)[0] == 0

    assert cloud.allocations(server_id) == held


def test_an_audit_finds_what_nobody_has_and_gives_back_what_is_ours(cloud, operator):
    cloud.add_host()
    user = cloud.client()
    kept, gone = user.create_server()["id"], user.create_server()["id"]
    user.delete(f"/servers/{gone}")
    user.wait_gone(gone)
    [provider] = cloud.allocations(kept)
    cloud.placement.claim(gone, {provider: {"VCPU": 1}}, "project", "user")
    other = "5d0c7e93-b1f2-4846-8f41-55f8e2b9d8a1"
    cloud.placement.claim(other, {provider: {"VCPU": 1}}, "project", "user", "RESERVATION")

    status, said = operator("placement", "audit")
    assert status == 3 and gone in said and other in said and kept not in said
    status, said = operator("placement", "audit", "--delete")

    assert status == 4
    assert cloud.allocations(gone) == {}
    assert cloud.allocations(other) == {provider: {"VCPU": 1}}
    assert cloud.allocations(kept) != {}


def test_records_of_deleted_servers_are_purged_and_no_others(cloud, operator):
    cloud.add_host()
    user = cloud.client()
    kept, gone = user.create_server()["id"], user.create_server()["id"]
    user.delete(f"/servers/{gone}")
    user.wait_gone(gone)

    assert operator("db", "purge", "--before", "2020-01-01")[0] == 3
    status, said = operator("db", "purge", "--all", "--verbose")

    assert (status, said.strip()) == (0, "The records of 1 deleted servers are purged.")
    shown = cloud.client("admin", "admin").get("/servers?all_tenants=1&deleted=1").json()["servers"]
    assert shown == []
    assert user.server(kept)["status"] == "ACTIVE"


def test_image_properties_change_while_there_is_no_guest(cloud, operator):
    cloud.add_host()
    user = cloud.client()
    server_id = user.create_server()["id"]
    change = ("image_property", "set", server_id, "--property", "hw_disk_bus=sata")

    assert operator(*change)[0] == 3
    user.act(server_id, "os-stop")
    user.wait(server_id, "SHUTOFF")
    assert operator(*change[:-1], "hw_disk_bus=floppy")[0] == 5
    assert operator(*change)[0] == 0

    assert operator("image_property", "show", server_id, "hw_disk_bus") == (0, "sata\n")


# Day by day


def table(said):
    """The rows of the last table that was printed, as dictionaries."""
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in said.splitlines() if line[0] == "|"]
    head, *rows = [row for row in cells if len(row) == len(cells[-1])]
    return [dict(zip(head, row, strict=True)) for row in rows]


def fit(operator, *words):
    return {row["Flavor"]: row for row in table(operator("capacity", "show", *words)[1])}


def test_capacity_is_what_can_be_built(cloud, operator):
    user = cloud.client("admin", "project")
    for name in ("host-1", "host-2", "host-3"):
        cloud.add_host(name)
    [service] = [
        one
        for one in user.get("/os-services?binary=nova-compute").json()["services"]
        if one["host"] == cloud.hypervisor("host-3").name
    ]
    assert user.put(f"/os-services/{service['id']}", {"status": "disabled"}).status_code == 200
    flavor = {"name": "third", "vcpus": 1, "ram": cloud.hypervisor("host-1").memory_mb // 3, "disk": 1, "id": "third"}
    assert user.post("/flavors", {"flavor": flavor}).status_code == 200
    unlimited = {"instances": -1, "cores": -1, "ram": -1}
    assert user.put("/os-quota-sets/project", {"quota_set": unlimited}).status_code == 200

    before = fit(operator, "--flavor", "third")["third"]
    made = [user.create_server(flavor="third") for _ in range(int(before["Fit"]))]
    after = fit(operator, "--flavor", "third")["third"]
    refused = user.create_server("ERROR", flavor="third")

    assert before["Hosts"] == "2" and int(before["Fit"]) > 0
    assert before["Ends first"] == "MEMORY_MB"
    assert {one["status"] for one in made} == {"ACTIVE"}
    assert (after["Fit"], after["Hosts"], after["Ends first"]) == ("0", "0", "-")
    assert refused["status"] == "ERROR"


def test_quotas_that_are_nearly_used_up_are_reported(cloud, operator):
    cloud.add_host()
    user = cloud.client("admin", "project")
    user.create_server()
    assert user.put("/os-quota-sets/project", {"quota_set": {"instances": 1, "cores": -1}}).status_code == 200

    everything = {row["Resource"]: row for row in table(operator("quota", "report")[1])}
    full = table(operator("quota", "report", "--above", "100")[1])

    assert (everything["cores"]["Limit"], everything["cores"]["Used"]) == ("unlimited", "-")
    assert [(one["Project"], one["Resource"], one["In use"], one["Limit"]) for one in full] == [
        ("project", "instances", "1", "1")
    ]
    assert table(operator("quota", "report", "--project", "nobody")[1]) == []


@pytest.fixture
def waiting(make_cloud):
    """A cloud with a server whose attachment cannot be undone: its host refuses to unplug the volume."""
    cloud = make_cloud("\n[conductor]\npoll_interval_s = 0.1\nstep_pauses_s = 0.01\nleft_pauses_s = 36000\n")
    cloud.add_host()
    user = cloud.client("admin", "project")
    server_id = user.create_server()["id"]
    [hypervisor] = [cloud.hypervisor(name) for name in cloud.hosts]
    hypervisor.fail("attach_volume")
    hypervisor.fail("detach_volume", times=1000)
    attachment = {"volumeAttachment": {"volumeId": cloud.cinder.add()}}
    assert user.post(f"/servers/{server_id}/os-volume_attachments", attachment).status_code in (200, 202)
    return cloud, user, server_id


def paused(operator):
    def is_paused():
        rows = table(operator("operation", "list")[1])
        return rows if rows and "next look in 9 h" in rows[0]["Waits for"] else None

    return wait(is_paused, "the undo waits for its next try")


@pytest.mark.parametrize("operator", ["waiting"], indirect=True)
def test_an_operator_sees_what_an_operation_waits_for_and_has_it_tried_now(waiting, operator):
    cloud, _, server_id = waiting
    [row] = paused(operator)
    uuid = row["Operation"]

    _, said = operator("operation", "show", uuid)
    cloud.hypervisor(next(iter(cloud.hosts))).mend()
    assert operator("operation", "retry", uuid)[0] == 0
    settle(cloud)

    assert (row["Name"], row["Server"], row["State"]) == ("attach_volume", server_id, "unwinding")
    assert "has to fail detach_volume" in row["Waits for"]
    assert {(run["Result"], run["Reason"]) for run in table(said) if run["Step"] == "unplug"} == {
        ("Error", "the fake driver has to fail detach_volume")
    }
    assert [volume["status"] for volume in cloud.cinder.volumes.values()] == ["available"]
    assert table(operator("operation", "list")[1]) == []


@pytest.mark.parametrize("operator", ["waiting"], indirect=True)
def test_an_operation_that_waits_on_its_way_back_is_not_abandoned(waiting, operator):
    cloud, user, server_id = waiting
    [row] = paused(operator)

    with pytest.raises(errors.Conflict, match="force that down"):
        operator("operation", "abandon", row["Operation"])

    assert [one["Operation"] for one in table(operator("operation", "list", "--server", server_id)[1])] == [
        row["Operation"]
    ]
    assert [volume["status"] for volume in cloud.cinder.volumes.values()] != ["available"]
    assert user.server(server_id)["status"] == "ACTIVE"


def test_an_operation_that_is_abandoned_goes_back(make_cloud, request, monkeypatch, capsys):
    cloud = make_cloud("\n[conductor]\npoll_interval_s = 0.1\nstep_pauses_s = 36000\n")
    cloud.add_host()
    cloud.add_network()
    user = cloud.client("admin", "project")
    cloud.boundary.call_at("create", "claim_host", "committed", lambda: refuses(cloud, "http://network"))
    server_id = user.post("/servers", {"server": user.wanted(networks="auto")}).json()["server"]["id"]

    def waiting():
        found = cloud.db.read(open_operations.find)
        return found if found and found[0].wake_at and found[0].lease_owner is None and found[0].reason else None

    [found] = wait(waiting, "the build pauses")
    cloud.adapters["http://network"].fault = None
    arguments = manage_command.parser().parse_args(("operation", "abandon", found.uuid))
    assert arguments.command(cloud.conf, arguments) == 0
    settle(cloud)

    assert user.server(server_id)["OS-EXT-STS:task_state"] is None
    assert cloud.allocations(server_id) == {}
    assert cloud.guests() == {}


def refuses(cloud, address):
    cloud.adapters[address].fault = "refuses"


def test_an_operation_behind_its_point_of_no_return_is_not_abandoned():
    now = datetime.datetime(2026, 1, 1)
    one = OpenOperation(
        uuid="1", name="resize", instance_uuid="2", project_id="3", state="running", step="disconnect_source",
        waiting_host=None, lease_owner=None, is_ordered=False, is_cancelled=False, created_at=now, wake_at=now,
        deadline_at=now, left=(), reason=None,
    )  # fmt: skip

    with pytest.raises(errors.Conflict, match="goes forward"):
        operation._check_way_back(one)


@pytest.fixture
def source(cloud):
    """The full name of the host that has all servers; there are two others."""
    cloud.add_host("source")
    yield cloud.hypervisor("source").name


def moved(cloud, user, server_id):
    return user.server(server_id)["OS-EXT-SRV-ATTR:host"] != cloud.hypervisor("source").name


def test_a_host_is_drained_of_what_can_move_and_what_stays_is_named(cloud, operator, source):
    user = cloud.client("admin", "project")
    running, paused_, off, rescued = (user.create_server()["id"] for _ in range(4))
    user.act(paused_, "pause")
    user.act(off, "os-stop")
    user.act(rescued, "rescue")
    for server_id, status in ((paused_, "PAUSED"), (off, "SHUTOFF"), (rescued, "RESCUE")):
        user.wait(server_id, status)
    cloud.add_host("other-1")
    cloud.add_host("other-2")

    status, said = operator("host", "drain", source)

    assert status == 3
    assert f"{rescued}, -: stays: it is rescued" in said
    [service] = user.get(f"/os-services?binary=nova-compute&host={source}").json()["services"]
    assert (service["status"], service["disabled_reason"]) == ("disabled", "drained by nova-manage")
    assert [moved(cloud, user, one) for one in (running, paused_, off, rescued)] == [True, True, True, False]
    assert [user.server(one)["status"] for one in (running, paused_, off)] == ["ACTIVE", "PAUSED", "SHUTOFF"]
    assert cloud.hypervisor("source").shelf.names() == [rescued]
    user.act(rescued, "unrescue")
    user.wait(rescued, "ACTIVE")
    assert operator("host", "drain", source, "--to", cloud.hypervisor("other-2").name)[0] == 0
    assert user.server(rescued)["OS-EXT-SRV-ATTR:host"] == cloud.hypervisor("other-2").name
    settle(cloud)
    assert leftovers(cloud) == []


def test_a_drain_stops_servers_only_when_it_may(cloud, operator, source):
    user = cloud.client("admin", "project")
    server_id = user.create_server()["id"]
    cloud.add_host("other-1")
    cloud.hypervisor("source").fail("migrate", times=1000)

    status, said = operator("host", "drain", source)
    assert (status, moved(cloud, user, server_id)) == (3, False)
    assert f"{server_id}, live-migration: stays: " in said
    assert user.wait(server_id, "ACTIVE")["status"] == "ACTIVE"
    status, said = operator("host", "drain", source, "--cold")

    assert (status, moved(cloud, user, server_id)) == (0, True)
    assert "migrate, as live-migration failed" in said
    assert user.server(server_id)["status"] == "ACTIVE"


def test_a_drain_that_was_broken_off_is_gone_on_with(cloud, operator, source):
    """It was ended between a cold migration and its confirmation, and while another server moved."""
    user = cloud.client("admin", "project")
    off, running = user.create_server()["id"], user.create_server()["id"]
    user.act(off, "os-stop")
    user.wait(off, "SHUTOFF")
    cloud.add_host("other-1")
    work = drain.Drain(cloud.conductor_calls, source, at_once=1)
    work.conductor = BreaksOff(cloud.conductor_calls)
    with pytest.raises(KeyboardInterrupt):
        list(work.run())
    user.wait(off, "VERIFY_RESIZE")
    cloud.hypervisor("source").hold("migrate")
    user.act(running, "os-migrateLive", {"host": None, "block_migration": "auto"})
    wait(lambda: user.server(running)["OS-EXT-STS:task_state"] == "migrating", "it is on its way")

    threading.Timer(1, cloud.hypervisor("source").release, ["migrate"]).start()
    status, said = operator("host", "drain", source)

    assert status == 0, said
    assert [user.server(one)["status"] for one in (off, running)] == ["SHUTOFF", "ACTIVE"]
    assert cloud.hypervisor("source").shelf.names() == []


class BreaksOff:
    """A conductor whose asker is interrupted when it asks what became of a migration."""

    def __init__(self, conductor):
        self._conductor = conductor

    def __getattr__(self, name):
        return getattr(self._conductor, name)

    def outcome(self, *arguments):
        raise KeyboardInterrupt


@pytest.mark.parametrize("words", [("nobody",), ("source", "--to", "nobody")])
def test_no_host_is_disabled_for_a_drain_that_cannot_be(cloud, operator, source, words):
    user = cloud.client("admin", "project")

    with pytest.raises(errors.HostNotFound):
        operator("host", "drain", *(source if word == "source" else word for word in words))

    assert {one["status"] for one in user.get("/os-services?binary=nova-compute").json()["services"]} == {"enabled"}


@pytest.fixture
def findings(run):
    """What doctor finds beside an empty cloud whose Placement and bus nobody answers for, by subject."""

    def look(more=""):
        done = run("manage", "doctor", "check", "--json", more=more)
        return done.returncode, {one["subject"]: one for one in json.loads(done.stdout)}

    run("manage", "db", "sync")
    return look


def test_a_doctor_says_what_is_wrong_and_what_to_do(findings, tmp_path):
    status, found = findings("[wsgi]\nssl_cert_file = /nowhere.pem\n[api]\nmax_limt = 5\n")

    assert status == 2
    assert found["Placement API"]["is_failure"] and found["Placement"]["is_failure"]
    assert found["nova-conductor"]["is_failure"] and found["nova-scheduler"]["is_failure"]
    assert "No such file" in found["/nowhere.pem"]["text"]
    assert "max_limit" in found["Configuration"]["text"] and not found["Configuration"]["is_failure"]
    assert all(one["remedy"] for one in found.values())


@pytest.mark.parametrize("days, words", [(-1, "has expired"), (10, "expires at"), (100, None)])
def test_a_doctor_looks_at_the_certificate(findings, tmp_path, days, words):
    path = tmp_path / "api.pem"
    path.write_bytes(certificate(days))

    _, found = findings(f"[wsgi]\nssl_cert_file = {path}\n")

    assert words in found[str(path)]["text"] if words else str(path) not in found
    assert found.get(str(path), {"is_failure": days < 0})["is_failure"] == (days < 0)


def certificate(days):
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "api")])
    now = datetime.datetime.now(datetime.UTC)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(1).not_valid_before(now - datetime.timedelta(days=2))
    made = builder.not_valid_after(now + datetime.timedelta(days=days)).sign(key, hashes.SHA256())
    return made.public_bytes(serialization.Encoding.PEM)


@pytest.mark.parametrize("operator", ["waiting"], indirect=True)
def test_a_doctor_sees_who_is_silent_and_what_waits(waiting, operator, monkeypatch):
    cloud, user, server_id = waiting
    paused(operator)
    monkeypatch.setattr(doctor, "_LONG", datetime.timedelta(0))

    [operation] = doctor._operations(cloud.conf)
    [service] = user.get("/os-services?binary=nova-compute").json()["services"]
    user.put(f"/os-services/{service['id']}", {"forced_down": True})
    daemons = {one.subject: one for one in doctor._daemons(cloud.conf)}

    assert operation.subject == f"attach_volume of server {server_id}"
    assert operation.remedy.startswith("nova-manage operation show ")
    assert "openstack compute service set --up" in daemons[f"nova-compute on {service['host']}"].remedy
    user.put(f"/os-services/{service['id']}", {"forced_down": False})
