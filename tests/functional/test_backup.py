"""A cloud whose databases are dumped while it works, and later restored into empty ones, as doc/backup.md says."""

import subprocess
import sys
import threading
from pathlib import Path

import pytest
import sqlalchemy as sa

from nova import conf as configuration
from nova import placement
from nova.cmd import manage as manage_command
from nova.db.migrations import sync
from tests.functional.cloud import wait
from tests.functional.invariants import leftovers, settle

sys.path.insert(0, str(Path(__file__).parents[2] / "tools"))

from throwaway_databases import MariaDB, PostgreSQL

SETTINGS = """
[database]
connection = {nova}
[placement_database]
connection = {placement}
"""
NOTHING_TO_HEAL = 4
LIVE = {"host": None, "block_migration": "auto"}


class MariaDBBackup:
    """Both databases of one server at one moment."""

    def __init__(self, urls, file):
        self._urls = urls
        self._file = file
        server = urls[0]
        self._who = ["--no-defaults", f"--host={server.host}", f"--port={server.port}", "--user=root"]

    def dump(self):
        names = [url.database for url in self._urls]
        with self._file.open("wb") as file:
            command = ["mariadb-dump", *self._who, "--single-transaction", "--databases", *names]
            subprocess.run(command, stdout=file, check=True, timeout=120)

    def restore(self):
        for url in self._urls:
            self._say(f"DROP DATABASE {url.database}".encode())
        self._say(self._file.read_bytes())

    def _say(self, text):
        subprocess.run(["mariadb", *self._who], input=text, check=True, timeout=300)


class PostgreSQLBackup:
    """Placement's database, then Compute's: what is missing in the older one can be claimed anew."""

    def __init__(self, urls, file):
        self._urls = urls
        self._file = file
        server = urls[0]
        self._who = [f"--host={server.host}", f"--port={server.port}", "--username=postgres"]

    def dump(self):
        for url in reversed(self._urls):
            options = ["--format=custom", f"--file={self._file_of(url)}"]
            subprocess.run(["pg_dump", *self._who, *options, url.database], check=True, timeout=120)

    def restore(self):
        for url in self._urls:
            for words in (f"DROP DATABASE {url.database} WITH (FORCE)", f"CREATE DATABASE {url.database}"):
                subprocess.run(["psql", *self._who, "--quiet", "--command", words, "postgres"], check=True, timeout=120)
            command = ["pg_restore", *self._who, "--exit-on-error", f"--dbname={url.database}", self._file_of(url)]
            subprocess.run(command, check=True, timeout=300)

    def _file_of(self, url):
        return self._file.with_suffix(f".{url.database}")


KINDS = {"mariadb": (MariaDB, MariaDBBackup), "postgresql": (PostgreSQL, PostgreSQLBackup)}


@pytest.fixture(params=sorted(KINDS))
def backed_up(request, make_cloud, tmp_path):
    """A cloud with two hosts over a database server, and the tool that dumps it."""
    server_class, backup_class = KINDS[request.param]
    server = server_class()
    try:
        urls = [server.new_database() for _ in range(2)]
        settings = SETTINGS.format(nova=urls[0], placement=urls[1])
        (tmp_path / "nova.conf").write_text(settings)
        sync(urls[0])
        placement.sync_database(configuration.load([], [str(tmp_path / "nova.conf")]))
        cloud = make_cloud(settings, hosts=("host-1", "host-2"))
        yield cloud, backup_class([sa.make_url(url) for url in urls], tmp_path / "dump")
        end(cloud)
    finally:
        server.stop()


def end(cloud):
    """Stop every daemon."""
    for name in list(cloud.hosts):
        cloud.stop_host(name)
    cloud.stop_scheduler()
    while cloud.conductors:
        cloud.stop_conductor()


def begin(cloud):
    """Start every daemon anew: what they have read of the databases is of another time."""
    cloud._mount("http://placement", placement.application(cloud.conf))
    cloud.start()
    for name in ("host-1", "host-2"):
        cloud.start_host(name)


class Paused:
    """An operation that stands still before a step until it is let go on."""

    def __init__(self, cloud, operation, step):
        self._reached, self._goes_on = threading.Event(), threading.Event()
        self._name = f"{operation} reaches {step}"
        cloud.boundary.call_at(operation, step, "leased", self._wait)

    def _wait(self):
        self._reached.set()
        self._goes_on.wait()

    def reached(self):
        assert self._reached.wait(90), self._name

    def go_on(self):
        self._goes_on.set()


class Load:
    """A user who makes and deletes servers while the databases are dumped."""

    def __init__(self, user):
        self._user = user
        self._is_over = threading.Event()
        self._has_begun = threading.Event()
        self._thread = threading.Thread(target=self._work)

    def __enter__(self):
        self._thread.start()
        assert self._has_begun.wait(90)

    def __exit__(self, *_):
        self._is_over.set()
        self._thread.join()

    def _work(self):
        while not self._is_over.is_set():
            server_id = self._user.create_server(wait_for=None)["id"]
            self._has_begun.set()
            self._user.delete(f"/servers/{server_id}")


def written_server(cloud, user, **options):
    server_id = user.create_server(networks="auto", **options)["id"]
    cloud.write(server_id, f"what the user of {server_id} wrote")
    return server_id


def content(cloud, server_id):
    """What the host that has the server's guest has on its disk."""
    [hypervisor] = [cloud.hypervisor(name) for name in cloud.hosts if server_id in cloud.hypervisor(name).guests]
    return hypervisor.shelf.content(server_id)


def places(cloud, server_id):
    """The hosts that have a guest of the server's."""
    hypervisors = [cloud.hypervisor(name) for name in cloud.hosts]
    return [one.name for one in hypervisors if server_id in one.guests]


@pytest.fixture
def manage(monkeypatch, capsys):
    """Run nova-manage beside a cloud; what it ends with, and prints."""

    def run(cloud, *words):
        monkeypatch.setattr(manage_command.host, "_conductor", lambda conf: cloud.conductor_calls)
        monkeypatch.setattr(manage_command.placement, "open_placement", lambda conf: cloud.placement)
        arguments = manage_command.parser().parse_args(words)
        capsys.readouterr()
        return arguments.command(cloud.conf, arguments), capsys.readouterr().out

    return run


def test_a_cloud_goes_on_from_a_backup_and_loses_no_server(backed_up, manage):
    cloud, backup = backed_up
    user = cloud.client("admin", "project")
    kept, deleted, migrating, resized, moved = (written_server(cloud, user) for _ in range(5))
    operations = [
        Paused(cloud, "create", "spawn"),
        Paused(cloud, "live-migration", "migrate_guest"),
        Paused(cloud, "resize", "set_aside"),
    ]
    begun = user.create_server(wait_for=None)["id"]
    assert user.act(migrating, "os-migrateLive", LIVE).status_code == 202
    assert user.act(resized, "resize", {"flavorRef": "m1.small"}).status_code == 202
    for one in operations:
        one.reached()

    with Load(cloud.client("admin", "another")):
        backup.dump()

    # What the backup does not know of: what was under way comes to its end, and users go on.
    for one in operations:
        one.go_on()
    user.wait(begun, "ACTIVE")
    user.wait(migrating, "ACTIVE")
    user.wait(resized, "VERIFY_RESIZE")
    later = written_server(cloud, user)
    assert user.act(moved, "os-migrateLive", LIVE).status_code == 202
    user.wait(moved, "ACTIVE")
    user.delete(f"/servers/{deleted}")
    user.wait_gone(deleted)
    settle(cloud)
    end(cloud)
    backup.restore()
    begin(cloud)

    # What was under way ends as it did, and nothing that a guest wrote is lost.
    settle(cloud)
    statuses = {"ACTIVE": (kept, begun, migrating), "VERIFY_RESIZE": (resized,)}
    for status, servers in statuses.items():
        assert [user.wait(one, status)["status"] for one in servers] == [status] * len(servers)
    for server_id in (kept, migrating, resized, moved, later):
        assert content(cloud, server_id) == cloud.written[server_id]
    # What the records cannot know is named, and kept, also when hosts look for what is nobody's.
    for server_id in (moved, deleted):
        assert "has no guest" in user.wait(server_id, "ERROR")["fault"]["message"]
    cloud.reap()
    status, said = manage(cloud, "host", "audit")
    differences = {tuple(cell.strip() for cell in line.split("|")[2:4]) for line in said.splitlines()[3:-1]}
    host = user.server(moved)["OS-EXT-SRV-ATTR:host"]
    assert status == 3
    assert differences == {
        (later, "a guest without a record, running"),
        (moved, f"a guest whose server is on {host} by its record"),
        (moved, "a server without its guest"),
        (deleted, "a server without its guest"),
    }
    assert {content(cloud, server_id) for server_id in (later, moved)} == {cloud.written[one] for one in (later, moved)}
    # All else is in order, once Placement and the records are of one moment.
    assert manage(cloud, "placement", "heal_allocations")[0] in (0, NOTHING_TO_HEAL)
    manage(cloud, "placement", "audit", "--delete")
    assert [one for one in leftovers(cloud) if not any(uuid in one for uuid in (later, moved, deleted))] == []
    # A guest that is not where its record says is made an image of, and its server made from that where the record has it.
    assert user.act(moved, "rebuild", {"imageRef": cloud.glance.add("saved")}).status_code == 202
    user.wait(moved, "ACTIVE")
    cloud.reap()
    wait(lambda: len(places(cloud, moved)) == 1, "the guest that nobody needs is gone")
    assert places(cloud, moved) == [user.server(moved)["OS-EXT-SRV-ATTR:host"]]


def test_an_audit_finds_nothing_in_a_cloud_in_order_and_names_a_silent_host(cloud, manage):
    cloud.add_host("host-1")
    cloud.client("admin", "project").create_server()

    assert manage(cloud, "host", "audit") == (
        0,
        "Every guest has its record, and every server on a host its guest.\n",
    )

    cloud.stop_host("host-1")
    status, said = manage(cloud, "host", "audit")
    assert status == 2
    assert said.startswith(f"Host {cloud.name}-host-1 does not tell: ")
