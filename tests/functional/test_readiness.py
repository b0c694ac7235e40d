"""A daemon as its operator sees it while what it needs goes and comes back: one process, one page, a line of the log each."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import requests
import sqlalchemy as sa

from tests.functional.cloud import wait
from tests.functional.tcp_proxy import TcpProxy

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tools"))

from throwaway_databases import database, free_port

CONF = """
[DEFAULT]
transport_url = {bus}
host = controller
state_path = {home}
health_port = {port}
log_file = {home}/log
{more}
[conductor]
workers = 1
[database]
connection = {database}
[placement]
auth_type = none
endpoint_override = http://127.0.0.1:{image}
[glance]
auth_type = none
endpoint_override = http://127.0.0.1:{image}
"""


class Daemon:
    """nova-conductor as a process of its own."""

    def __init__(self, home, **settings):
        self._home = home
        self.port = free_port()
        self._conf = home / "nova.conf"
        self._conf.write_text(CONF.format(home=home, port=self.port, **{"more": "", **settings}))

    def run(self, module, *words):
        code = f"from {module} import main; raise SystemExit(main())"
        command = [sys.executable, "-W", "ignore", "-c", code, "--config-file", str(self._conf), *words]
        output = (self._home / "output").open("ab")
        # A group of its own, as a service manager gives it.
        return subprocess.Popen(command, stdout=output, stderr=output, cwd=ROOT, env=os.environ, start_new_session=True)

    def start(self):
        self.process = self.run("nova.cmd.conductor")

    def asks(self, path):
        try:
            return requests.get(f"http://127.0.0.1:{self.port}{path}", timeout=60)
        except requests.ConnectionError:
            return None

    def failing(self):
        """The checks that fail; None as long as nobody answers."""
        answer = self.asks("/readyz")
        if answer is None:
            return None
        assert answer.status_code == (503 if answer.json()["failing"] else 200)
        return answer.json()["failing"]

    def told(self, *words):
        lines = (self._home / "log").read_text().splitlines()
        return [line for line in lines if all(word in line for word in words)]


@pytest.fixture
def make_daemon(tmp_path):
    made = []

    def make(**settings):
        made.append(Daemon(tmp_path, **settings))
        return made[-1]

    yield make
    for daemon in made:
        daemon.process.kill()
        daemon.process.wait()


@pytest.fixture(scope="module")
def url():
    with database("mariadb") as url:
        yield sa.make_url(url)


def test_a_database_that_goes_is_named_and_told_of_once_until_it_is_back(make_daemon, url, image_service):
    proxy = TcpProxy(url.port)
    through_proxy = url.set(port=proxy.port).render_as_string(hide_password=False)
    daemon = make_daemon(bus="local:///", database=through_proxy, image=image_service.port)
    assert daemon.run("nova.cmd.manage", "db", "sync").wait() == 0
    daemon.start()
    wait(lambda: daemon.failing() == [], "the daemon is ready", timeout_s=120)

    proxy.close()
    proxy.end_connections()

    wait(lambda: "database" in (daemon.failing() or []), "the database is missed", timeout_s=120)
    assert daemon.asks("/healthz").status_code == 200
    # Long enough for every part of the conductor to ask for the database several times.
    wait(lambda: daemon.failing() == ["database", "operations"], "everything that needs it is named", timeout_s=120)

    back = TcpProxy(url.port, proxy.port)
    wait(lambda: daemon.failing() == [], "the daemon is ready again", timeout_s=120)
    back.close()
    assert len(daemon.told("The database", "is away")) == 1
    assert len(daemon.told("The database", "is back")) == 1
    assert daemon.told("Traceback") == daemon.told("has to wait: The database") == []


@pytest.mark.parametrize("backend", ["eventlet", "threading"])
def test_a_daemon_says_what_it_waits_for_before_anything_is_there(make_daemon, backend):
    nobody = free_port()
    daemon = make_daemon(
        bus=f"rabbit://guest:guest@127.0.0.1:{nobody}/",
        database=f"mysql+pymysql://nova@127.0.0.1:{nobody}/nova",
        image=nobody,
        more=f"concurrency_backend = {backend}",
    )
    daemon.start()

    missing = {"start", "database", "bus-conductor", "glance", "placement"}
    wait(lambda: missing <= set(daemon.failing() or []), "all that is missing is named", timeout_s=120)

    assert daemon.asks("/healthz").json()["healthy"] is True
    assert daemon.asks("/metrics").status_code == 200
    daemon.process.terminate()
    assert daemon.process.wait(60) == 0
