"""nova-manage run on the database of a cloud that runs, and on one of nobody's."""

import logging
from typing import NamedTuple

import pytest

from nova.cmd import manage as manage_command
from nova.cmd import status as status_command
from tests.functional.operation_set_ups import a_server_with_a_volume, swaps_a_volume


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
    monkeypatch.setattr(manage_command.networking, "_conductor", lambda conf: cloud.conductor_calls)

    def command(*words):
        arguments = manage_command.parser().parse_args(words)
        capsys.readouterr()
        status = arguments.command(cloud.conf, arguments)
        return status, capsys.readouterr().out

    return command


@pytest.fixture
def waiting(make_cloud):
    """A cloud with a server whose volume is swapped for another, which cannot be undone: its host refuses either."""
    cloud = make_cloud("\n[conductor]\npoll_interval_s = 0.1\nstep_pauses_s = 0.01\nleft_pauses_s = 36000\n")
    cloud.add_host()
    cloud.add_network()
    user = cloud.client("admin", "project")
    server_id = a_server_with_a_volume(user)
    [hypervisor] = [cloud.hypervisor(name) for name in cloud.hosts]
    hypervisor.fail("swap_volume", times=1000)
    assert swaps_a_volume(user, server_id).status_code == 202
    return cloud, user, server_id
