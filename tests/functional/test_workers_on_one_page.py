"""A daemon with several workers as its operator and Prometheus see it: one port, one daemon, whole."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
import requests
from prometheus_client.parser import text_string_to_metric_families

from tests.functional.cloud import wait
from tests.functional.nova_all import free_port

ROOT = Path(__file__).parents[2]
WORKERS = 3
CONF = """
[DEFAULT]
state_path = {home}
log_file = {home}/log
health_port = {health}
concurrency_backend = {backend}
[api]
auth_strategy = noauth2
[placement]
listen = 127.0.0.1
listen_port = {port}
workers = {workers}
[placement_database]
connection = sqlite:///{home}/placement.db
"""


class PlacementDaemon:
    """nova-placement-api with several workers."""

    def __init__(self, home, backend):
        self.port, self.health = free_port(), free_port()
        self._home = home
        self._conf = home / "nova.conf"
        self._conf.write_text(
            CONF.format(home=home, health=self.health, port=self.port, backend=backend, workers=WORKERS)
        )
        assert self._run("nova.cmd.placement_manage", "db", "sync").wait() == 0
        self.process = self._run("nova.cmd.placement_api")

    def _run(self, module, *words):
        code = f"from {module} import main; raise SystemExit(main())"
        command = [sys.executable, "-W", "ignore", "-c", code, "--config-file", str(self._conf), *words]
        with (self._home / "output").open("ab") as output:
            return subprocess.Popen(command, stdout=output, stderr=output, cwd=ROOT, start_new_session=True)

    def workers(self):
        """The processes that listen on the port of the API."""
        children = psutil.Process(self.process.pid).children()
        return [child.pid for child in children if self.port in listened_to(child)]

    def failing(self):
        try:
            answer = requests.get(f"http://127.0.0.1:{self.health}/readyz", timeout=60)
        except requests.ConnectionError:
            return None
        assert answer.status_code == (503 if answer.json()["failing"] else 200)
        return answer.json()["failing"]

    def is_whole(self):
        return len(self.workers()) == WORKERS and self.failing() == []

    def ask(self, times):
        """Each over a connection of its own, which some worker gets."""
        for _ in range(times):
            assert requests.get(f"http://127.0.0.1:{self.port}/", timeout=60).status_code == 200

    def metric(self, sample, **labels):
        """The sum of a sample's values with these labels."""
        page = requests.get(f"http://127.0.0.1:{self.health}/metrics", timeout=60)
        assert page.status_code == 200
        samples = [one for family in text_string_to_metric_families(page.text) for one in family.samples]
        series = [(one.name, tuple(sorted(one.labels.items()))) for one in samples]
        assert len(set(series)) == len(series), "a series is there once"
        return sum(one.value for one in samples if one.name == sample and labels.items() <= one.labels.items())

    def requests_answered(self):
        return self.metric("nova_http_requests_total", route="/")

    def wait_for_requests(self, count):
        # A request is counted when it is over, which its client may be the first to see.
        wait(lambda: self.requests_answered() == count, f"{count} requests are counted")


def listened_to(process):
    try:
        return {one.laddr.port for one in process.net_connections("tcp") if one.status == psutil.CONN_LISTEN}
    except psutil.NoSuchProcess:
        return set()


@pytest.fixture(scope="module", params=["threading", "eventlet"])
def daemon(tmp_path_factory, request):
    """Each test leaves it whole."""
    daemon = PlacementDaemon(tmp_path_factory.mktemp("placement"), request.param)
    try:
        wait(daemon.is_whole, "all workers are ready", timeout_s=120)
        yield daemon
    finally:
        # What was stopped hears SIGTERM when it goes on.
        for process in psutil.Process(daemon.process.pid).children():
            process.resume()
        daemon.process.terminate()
        assert daemon.process.wait(60) == 0


def test_what_all_workers_count_is_one_figure_and_none_is_lost_with_a_worker(daemon):
    before = daemon.requests_answered()
    daemon.ask(30)

    daemon.wait_for_requests(before + 30)
    assert daemon.metric("nova_check_passes", check="database") == 1
    assert daemon.metric("nova_database_connections", database="placement", state="most") == WORKERS * 55

    for pid in daemon.workers()[:2]:
        os.kill(pid, signal.SIGKILL)
        wait(lambda pid=pid: pid not in daemon.workers() and daemon.is_whole(), "another takes its place", 60)
        assert daemon.requests_answered() == before + 30
    daemon.ask(5)
    daemon.wait_for_requests(before + 35)


def test_a_worker_that_stands_still_is_missed_and_no_figure_falls(daemon):
    before = daemon.requests_answered()
    daemon.ask(30)
    daemon.wait_for_requests(before + 30)

    still = daemon.workers()[0]
    os.kill(still, signal.SIGSTOP)
    wait(lambda: daemon.failing() == ["workers"], "the worker is missed")
    assert daemon.requests_answered() == before + 30
    assert daemon.metric("nova_check_passes", check="workers") == 0
    os.kill(still, signal.SIGCONT)

    wait(lambda: daemon.failing() == [], "the daemon is ready again", timeout_s=60)
    assert daemon.metric("nova_check_passes", check="workers") == 1


def test_the_page_comes_back_when_its_process_dies(daemon):
    [page] = [
        child.pid for child in psutil.Process(daemon.process.pid).children() if daemon.health in listened_to(child)
    ]

    os.kill(page, signal.SIGKILL)

    wait(lambda: page not in [one.pid for one in psutil.Process(daemon.process.pid).children()], "it is gone")
    wait(lambda: daemon.failing() == [], "the page answers again", timeout_s=60)
