"""A daemon ends when it is told to, whatever its services wait for, and stays when it is told to read its files."""

import os
import signal
import subprocess
import sys

import pytest

DAEMON = """
import os, sys, threading
from nova import backend
backend.choose(sys.argv[1])
from nova import daemon

class Waits:
    def start(self):
        # At once: print() writes the end of the line by itself, between the lines of other workers.
        os.write(1, b"up\\n")
        if sys.argv[3] == "starting":
            threading.Event().wait()

    def stop(self):
        if sys.argv[3] == "stopping":
            threading.Event().wait()

workers = int(sys.argv[4])
sys.exit(daemon.run("nova-test", lambda conf: [Waits()], lambda conf: workers, ["--config-file", sys.argv[2]]))
"""


@pytest.fixture
def start(tmp_path):
    path = tmp_path / "nova.conf"
    path.write_text(f"[DEFAULT]\nstate_path = {tmp_path}\nuse_stderr = true\n")
    started = []

    def start(backend, waits_while, workers=1):
        command = [sys.executable, "-W", "ignore", "-c", DAEMON, backend, str(path), waits_while, str(workers)]
        daemon = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ)
        started.append(daemon)
        for _ in range(workers):
            assert daemon.stdout.readline() == "up\n"
        return daemon, path

    yield start
    for daemon in started:
        daemon.kill()


@pytest.mark.parametrize("backend", ["eventlet", "threading"])
@pytest.mark.parametrize("waits_while", ["starting", "stopping"])
def test_a_service_that_waits_for_ever_does_not_keep_its_daemon(start, backend, waits_while):
    daemon, _ = start(backend, waits_while)

    daemon.terminate()
    _, log = daemon.communicate(timeout=60)

    assert daemon.returncode == 0
    assert "did not stop" in log


@pytest.mark.parametrize("workers", [1, 2])
def test_a_daemon_that_is_told_to_reads_its_files_again_and_goes_on(start, workers):
    daemon, path = start("threading", "never", workers)

    for text in ("debug = true\n", "debug = nonsense\n"):
        path.write_text(path.read_text() + text)
        daemon.send_signal(signal.SIGHUP)
        for line in daemon.stderr:
            if "configuration again; changed: [DEFAULT] debug" in line or "keeps its configuration" in line:
                break
    with pytest.raises(subprocess.TimeoutExpired):
        daemon.wait(1)
    daemon.terminate()

    assert daemon.wait(30) == 0
