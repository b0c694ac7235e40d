"""What daemons say of a configuration: one line on standard error and status 2 when it will not do; a warning for a slip."""

import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DAEMONS = sorted(path.stem for path in (ROOT / "etc/nova/systemd").iterdir())
CREDENTIALS = "auth_type = password\nauth_url = http://127.0.0.1:1/v3\n"


@pytest.fixture
def start(tmp_path):
    """Run a daemon to its end, as a terminal shows it."""

    def run(daemon, *words, text=""):
        path = tmp_path / f"{daemon}.conf"
        path.write_text(f"[DEFAULT]\nstate_path = {tmp_path}\ntransport_url = local:///\n{text}")
        module = daemon.removeprefix("nova-").replace("-", "_")
        code = f"from nova.cmd.{module} import main; raise SystemExit(main())"
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONWARNINGS"}
        return subprocess.run(
            [sys.executable, "-c", code, "--config-file", str(path), *words],
            capture_output=True,
            text=True,
            timeout=120,
            cwd=ROOT,
            env={**environment, "HOME": str(tmp_path), "PYTHONPATH": str(ROOT)},
        )

    return run


def test_every_daemon_names_file_and_option_of_a_wrong_value_and_what_is_right(start, tmp_path):
    parts = tmp_path / "parts"
    parts.mkdir()
    (parts / "ports.conf").write_text("[DEFAULT]\nosapi_compute_listen_port = eighty\n")

    with ThreadPoolExecutor(2) as pool:
        ended = list(pool.map(lambda daemon: start(daemon, "--config-dir", str(parts)), DAEMONS))

    right = "it must be a port from 0 to 65535"
    for daemon, done in zip(DAEMONS, ended, strict=True):
        place = f"{parts}/ports.conf: [DEFAULT] osapi_compute_listen_port = eighty"
        assert (done.returncode, done.stderr) == (2, f"{daemon}: {place}: {right}\n")


MISSING = {
    "nova-all": ("", "[database] connection"),
    "nova-api": ("", "[keystone_authtoken] auth_type"),
    "nova-compute": ("", "[glance] auth_type"),
    "nova-conductor": ("[database]\nconnection = sqlite:///never\n", "[placement] auth_type"),
    "nova-network": (f"[keystone_authtoken]\n{CREDENTIALS.splitlines()[0]}\n", "[keystone_authtoken] auth_url"),
    "nova-objectstore": ("", "[keystone] auth_type"),
    "nova-placement-api": ("", "[placement_database] connection"),
    "nova-scheduler": ("", "[placement] auth_type"),
}


def test_daemons_name_file_and_option_of_what_is_missing_and_what_is_right(start, tmp_path):
    with ThreadPoolExecutor(2) as pool:
        ended = list(pool.map(lambda daemon: start(daemon, text=MISSING[daemon][0]), MISSING))

    for (daemon, (_, option)), done in zip(MISSING.items(), ended, strict=True):
        assert done.returncode == 2
        assert done.stderr.startswith(f"{daemon}: {tmp_path}/{daemon}.conf: {option} is not set; it must be ")
        assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    "daemon, text, said",
    [
        (
            "nova-conductor",
            "[database]\nconection = sqlite:///x\n",
            "connection is not set (conection is no option); it",
        ),
        (
            "nova-conductor",
            "[database]\nconnection = mysq://u:secret@h/n\n",
            "[database] connection: it must be sqlite",
        ),
        ("nova-consoleauth", "transport_url = rabit://u:secret@h/\n", "[DEFAULT] transport_url: it must be rabbit://"),
        (
            "nova-scheduler",
            f"[placement]\n{CREDENTIALS}[oslo_messaging_rabbit]\nheartbeat_rate = x\n",
            "must be an integer",
        ),
        ("nova-scheduler", "debug = perhaps\n", "[DEFAULT] debug = perhaps: it must be true or false"),
        (
            "nova-compute",
            f"compute_driver = qemu\n[keystone_authtoken]\n{CREDENTIALS}",
            "compute_driver = qemu; it must be",
        ),
    ],
)
def test_what_will_never_do_is_one_line_without_secrets(start, daemon, text, said):
    done = start(daemon, text=text)

    assert done.returncode == 2
    assert re.fullmatch(rf"{daemon}: \S+{daemon}.conf: .*\n", done.stderr)
    assert said in done.stderr
    assert "secret" not in done.stderr + done.stdout


def test_what_is_found_late_stands_on_the_terminal_and_in_the_log(start, tmp_path):
    done = start("nova-compute", text=f"log_file = {tmp_path}/log\n[keystone_authtoken]\n{CREDENTIALS}")

    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "[DEFAULT] compute_driver is not set; it must be one of" in done.stderr
    assert done.stderr.strip() in (tmp_path / "log").read_text()


ENDING = """
import sys
from nova import cmd, daemon

class Ends:
    refusal = "enough"

    def start(self):
        pass

    def stop(self):
        pass

sys.exit(daemon.run("nova-test", lambda conf: [Ends()], lambda conf: 2))
"""


def test_a_slip_is_warned_of_once_with_the_nearest_name_wherever_it_stands(tmp_path):
    places = {
        tmp_path / ".nova/nova.conf": ("[DEFAULT]\ndebgu = true\n", "[DEFAULT] debug"),
        tmp_path / ".nova/nova.conf.d/20.conf": ("[database]\nconection = sqlite:///x\n", "[database] connection"),
        tmp_path / "other/10.conf": ("[DEFAULT]\nvirt_type = qemu\n", "[libvirt] virt_type"),
    }
    for path, (text, _) in places.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def warnings(*words):
        done = subprocess.run(
            [sys.executable, "-c", ENDING, *words],
            capture_output=True,
            text=True,
            cwd=ROOT,
            env={**os.environ, "HOME": str(tmp_path), "PYTHONPATH": str(ROOT)},
        )
        return [line for line in done.stdout.splitlines() if "WARNING" in line]

    by_itself = warnings()
    by_name = warnings("--config-dir", str(tmp_path / "other"))

    file, part, other = ((str(path), near) for path, (_, near) in places.items())
    for lines, expected in ((by_itself, (file, part)), (by_name, (file, other))):
        assert len(lines) == len(expected)
        for line, (path, near) in zip(lines, expected, strict=True):
            assert path in line
            assert line.endswith(f"is not an option of this release; is it {near}?")
