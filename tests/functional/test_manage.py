"""nova-manage, with the commands an installation guide names."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture
def manage(tmp_path):
    path = tmp_path / "nova.conf"
    path.write_text(
        f"[DEFAULT]\ntransport_url = rabbit://u:secret@mq/\n[database]\nconnection = sqlite:///{tmp_path}/nova.db\n"
    )

    def run(*words):
        code = "from nova.cmd.manage import main; raise SystemExit(main())"
        command = [sys.executable, "-W", "ignore", "-c", code, "--config-file", str(path), *words]
        return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env={**os.environ})

    return run


def test_the_guides_commands_work_in_its_order(manage):
    for words in (
        ("api_db", "sync"),
        ("cell_v2", "map_cell0"),
        ("cell_v2", "create_cell", "--name=cell1", "--verbose"),
    ):
        if words[0] == "cell_v2":
            assert manage("db", "sync").returncode == 0
        done = manage(*words)
        assert done.returncode == 0, done.stderr

    listed = manage("cell_v2", "list_cells").stdout

    assert "cell0" in listed and "cell1" in listed
    assert "secret" not in listed
    assert "Found 0 hosts" in manage("cell_v2", "discover_hosts").stdout


def test_a_cell_that_is_not_there_cannot_be_deleted(manage):
    manage("db", "sync")

    done = manage("cell_v2", "delete_cell", "--cell_uuid", "none")

    assert done.returncode == 1
    assert "was not found" in done.stderr
