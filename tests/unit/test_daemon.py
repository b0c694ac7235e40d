"""A daemon ends when it is told to, whatever its services wait for, and stays for every other signal."""

import os
import signal
import socket
import subprocess
import sys

import pytest

DAEMON = """
import ctypes, os, sys, threading
from nova import backend
backend.choose(sys.argv[1])
from nova import daemon

class Waits:
    def start(self):
        # In one piece: workers share the pipe.
        os.write(1, b"up\\n")
        if sys.argv[3] == "starting":
            threading.Event().wait()
        if sys.argv[3] == "starting in C":
            # It comes back for no signal.
            native = backend.eventlet.patcher.original("threading") if backend.eventlet else threading
            thread = native.Thread(target=native.Event().wait, daemon=True)
            thread.start()
            ctypes.CDLL(None).pthread_join(ctypes.c_ulong(thread.ident), None)

    def report(self):
        return {"operations held": ["0f1e2d"]}

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

    def start(backend, waits_while, workers=1, **environment):
        command = [sys.executable, "-W", "ignore", "-c", DAEMON, backend, str(path), waits_while, str(workers)]
        output = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        daemon = subprocess.Popen(command, env={**os.environ, **environment}, **output)
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
    _, log = daemon.communicate(timeout=120)

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

    assert daemon.wait(120) == 0


@pytest.mark.parametrize(("backend", "workers"), [("eventlet", 1), ("threading", 1), ("threading", 2)])
def test_a_main_thread_that_hears_no_signal_does_not_keep_its_daemon(start, backend, workers):
    daemon, _ = start(backend, "starting in C", workers)

    daemon.terminate()
    daemon.communicate(timeout=120)

    assert daemon.returncode == 0


@pytest.mark.parametrize("waits_while", ["starting", "starting in C"])
@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGUSR2], ids=["SIGHUP", "SIGUSR2"])
def test_a_daemon_that_still_waits_for_its_neighbours_stays(start, number, waits_while):
    daemon, _ = start("threading", waits_while)

    daemon.send_signal(number)
    daemon.send_signal(signal.SIGUSR2)
    for line in daemon.stderr:
        if "State of nova-test" in line:
            break

    assert daemon.poll() is None


@pytest.mark.parametrize(("backend", "workers"), [("eventlet", 1), ("threading", 1), ("threading", 2)])
def test_a_daemon_that_is_asked_writes_what_it_does_into_its_log(start, backend, workers):
    daemon, _ = start(backend, "never", workers)

    daemon.send_signal(signal.SIGUSR2)
    told = ""
    for line in daemon.stderr:
        told += line
        if told.count("State of nova-test") == workers and "in _turn" in line:
            break
    daemon.terminate()

    assert told.count("State of nova-test") == workers
    assert "operations held: ['0f1e2d']" in told
    assert daemon.wait(120) == 0


@pytest.mark.parametrize(("backend", "workers"), [("eventlet", 1), ("threading", 1), ("threading", 2)])
def test_the_service_manager_hears_of_start_life_and_end(start, tmp_path, backend, workers):
    manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    manager.bind(str(tmp_path / "notify"))
    manager.settimeout(120)
    environment = {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "300000"}
    daemon, _ = start(backend, "never", workers, **environment)

    # A machine that is slow to start it is told what it waits for, in the line behind.
    heard = {manager.recv(1000).splitlines()[0]}
    while heard < {b"READY=1", b"WATCHDOG=1"}:
        heard.add(manager.recv(1000).splitlines()[0])
    assert heard == {b"READY=1", b"WATCHDOG=1"}

    daemon.terminate()
    while manager.recv(1000) != b"STOPPING=1":
        pass
    assert daemon.wait(120) == 0
    manager.close()


def test_a_worker_that_stands_still_is_replaced(start):
    daemon, _ = start("threading", "never", 2)
    [first, *_] = children(daemon.pid)

    os.kill(first, signal.SIGSTOP)
    for line in daemon.stderr:
        if f"worker {first} of nova-test does not answer" in line:
            break

    assert daemon.stdout.readline() == "up\n"
    assert first not in children(daemon.pid)
    daemon.terminate()
    assert daemon.wait(120) == 0


def children(pid):
    with open(f"/proc/{pid}/task/{pid}/children") as file:
        return [int(word) for word in file.read().split()]
