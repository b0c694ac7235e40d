"""Manual pages and completion say what the commands take."""

import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PLACES = ("doc/man", "etc/bash-completion")


def files(root):
    return {path.relative_to(root): path.read_text() for place in PLACES for path in (root / place).iterdir()}


def test_they_are_those_the_parsers_give(tmp_path):
    subprocess.run([sys.executable, "-W", "ignore", "tools/make_manuals.py", str(tmp_path)], check=True, cwd=ROOT)

    assert files(tmp_path) == files(ROOT), "run tools/make_manuals.py"


def test_man_can_read_every_page():
    pages = sorted((ROOT / "doc/man").iterdir())

    said = subprocess.run(
        ["groff", "-man", "-Tutf8", "-wall", "-z", *pages], capture_output=True, text=True, check=True
    )

    assert said.stderr == ""


@pytest.mark.parametrize(
    "line, offered",
    [
        ("nova-manage ce", ["cell_v2"]),
        ("nova-manage --config-file /etc/nova/nova.conf db ", ["sync", "version", "--help"]),
        ("nova-manage cell_v2 delete_cell --cell", ["--cell_uuid"]),
        ("placement-manage db s", ["sync"]),
    ],
)
def test_bash_offers_what_comes_next(line, offered):
    words = [*shlex.split(line), ""] if line.endswith(" ") else shlex.split(line)
    script = f"""
        source {ROOT}/etc/bash-completion/{words[0]}
        COMP_WORDS=({shlex.join(words)}) COMP_CWORD={len(words) - 1}
        _{words[0].replace("-", "_")}
        printf '%s\\n' "${{COMPREPLY[@]}}"
    """

    said = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True).stdout

    assert said.splitlines() == offered
