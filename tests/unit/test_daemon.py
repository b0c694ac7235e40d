"""A daemon ends when it is told to, whatever its services wait for."""

import os
import subprocess
import sys

import pytest

DAEMON = """
import sys, threading
from nova import backend
backend.choose(sys.argv[1])
from nova import daemon

class Waits:
    def start(self):
        print("up", flush=True)

    def stop(self):
        threading.Event().wait()

sys.exit(daemon.run("nova-test", lambda conf: [Waits()], argv=["--config-file", sys.argv[2]]))
"""


@pytest.mark.parametrize("backend", ["eventlet", "threading"])
def test_a_service_that_never_stops_does_not_keep_its_daemon(tmp_path, backend):
    path = tmp_path / "nova.conf"
    path.write_text(f"[DEFAULT]\nstate_path = {tmp_path}\nuse_stderr = true\n")
    command = [sys.executable, "-W", "ignore", "-c", DAEMON, backend, str(path)]
    daemon = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ)
    assert daemon.stdout.readline() == "up\n"

    daemon.terminate()
    _, log = daemon.communicate(timeout=60)

    assert daemon.returncode == 0
    assert "did not stop" in log
