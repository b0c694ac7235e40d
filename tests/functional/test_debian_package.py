"""What the Debian package puts on a machine: built as users build it, installed into an empty root directory."""

import configparser
import os
import shlex
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from tests.functional.cloud import wait
from tests.functional.nova_all import NovaAll

ROOT = Path(__file__).parents[2]
HOME = "opt/nova-control-plane"


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    made = tmp_path_factory.mktemp("made")
    environment = {**os.environ, "PYTHON": sys.executable}
    environment.pop("PYTHONPATH", None)
    run(ROOT / "tools/package.sh", "deb", made, env=environment)
    [archive] = made.glob("nova-control-plane_*.deb")
    # Some hundred megabytes, as the machine's root: pytest would keep them for two runs more.
    yield archive
    shutil.rmtree(made)


@pytest.fixture(scope="module")
def installed(archive, tmp_path_factory):
    """The root directory of a machine that has nothing else: dpkg runs the package's scripts for it."""
    root = tmp_path_factory.mktemp("machine")
    for part in ("info", "updates", "triggers"):
        (root / "var/lib/dpkg" / part).mkdir(parents=True)
    (root / "var/lib/dpkg/status").touch()
    (root / "etc").mkdir()
    (root / "etc/group").write_text("adm:x:4:\n")
    dpkg = ("dpkg", f"--root={root}", "--log=/dev/null", "--force-script-chrootless", "--force-depends")
    run(*dpkg, "--install", archive)
    yield root
    shutil.rmtree(root)


def test_the_user_and_directories_are_there(installed):
    _, _, uid, gid, _, home, shell = line_of(installed / "etc/passwd", "nova")

    assert (home, shell) == ("/var/lib/nova", "/usr/sbin/nologin")
    group = int(gid)
    for place, owner, mode in (
        ("var/lib/nova", int(uid), 0o711),
        ("var/log/nova", int(uid), 0o750),
        ("etc/nova/nova.conf", 0, 0o640),
    ):
        found = (installed / place).stat()
        assert (found.st_uid, stat.S_IMODE(found.st_mode)) == (owner, mode), place
    assert (installed / "etc/nova/nova.conf").stat().st_gid == group


def test_dpkg_keeps_what_an_operator_writes_in_etc(installed):
    shown = run(
        "dpkg-query", f"--admindir={installed}/var/lib/dpkg", "-W", "-f=${Status}\n${Conffiles}", "nova-control-plane"
    )

    assert shown.startswith("install ok installed")
    listed = {line.split()[0] for line in shown.splitlines() if line.startswith(" /")}
    in_etc = {f"/{path.relative_to(installed)}" for path in (installed / "etc/nova").rglob("*") if path.is_file()}
    assert listed == in_etc
    assert "/etc/nova/nova.conf" in listed


def test_each_unit_starts_a_command_of_the_package(installed):
    units = sorted((installed / "lib/systemd/system").glob("*.service"))

    assert {unit.name for unit in units} == {path.name for path in (ROOT / "etc/nova/systemd").iterdir()}
    for unit in units:
        parsed = configparser.RawConfigParser(strict=False)
        parsed.read(unit)
        command = shlex.split(parsed["Service"]["ExecStart"])[0]
        assert os.readlink(installed / command[1:]) == f"/{HOME}/bin/{unit.stem}"
        assert (installed / HOME / "bin" / unit.stem).exists()


def test_every_command_runs_from_where_it_lies(installed):
    names = sorted(path.name for path in (installed / "usr/bin").iterdir())

    said = on_the_machine(
        installed, f"printf '%s\\n' {installed}/usr/bin/* | xargs -P 2 -I COMMAND sh -c 'COMMAND --version'"
    )

    assert {"nova-api", "nova-compute", "nova-manage", "placement-manage"} <= set(names)
    shown = run("dpkg-query", f"--admindir={installed}/var/lib/dpkg", "-W", "-f=${Version}", "nova-control-plane")
    assert said.splitlines() == [shown] * len(names)


def test_a_database_is_filled_and_a_server_boots(installed, image_service, tmp_path):
    nova = NovaAll(tmp_path, "threading", image_service.port, python=str(installed / HOME / "bin/python"))
    path = tmp_path / "nova.conf"
    manage = f"{installed}/usr/bin/nova-manage --config-file {path}"
    assert on_the_machine(installed, f"{manage} db version").strip() != "none"

    nova.start()
    try:
        nova.add_flavor()
        nova.create_server(image_service.image)
        wait(lambda: nova.statuses() == ["ACTIVE"], "the server is active", timeout_s=60)
    finally:
        nova.kill()


def test_the_code_is_compiled_for_where_it_lies(installed):
    """Units may not write there, and a traceback names the files."""
    [package] = (installed / HOME).glob("lib/python3*/site-packages/nova")
    [compiled] = (package / "__pycache__").glob("durable.*.pyc")

    assert f"/{HOME}/lib/".encode() in compiled.read_bytes()
    assert str(installed).encode() not in compiled.read_bytes()


def test_a_purge_leaves_the_disks_of_guests(archive, tmp_path):
    run("dpkg-deb", "--control", archive, tmp_path / "control")
    for place in ("var/lib/nova/instances", "var/log/nova"):
        (tmp_path / "machine" / place).mkdir(parents=True)

    run(tmp_path / "control/postrm", "purge", env={**os.environ, "DPKG_ROOT": str(tmp_path / "machine")})

    assert (tmp_path / "machine/var/lib/nova/instances").exists()
    assert not (tmp_path / "machine/var/log/nova").exists()


def on_the_machine(root, script):
    """What a shell prints for which /opt is the machine's."""
    environment = {"PATH": "/usr/bin:/bin:/usr/sbin:/sbin"}
    return run("unshare", "--mount", "sh", "-ec", f"mount --bind {root}/opt /opt; {script}", env=environment)


def line_of(path, name):
    [line] = [line for line in path.read_text().splitlines() if line.startswith(f"{name}:")]
    return line.split(":")


def run(*words, env=None):
    """What a command prints; it must end well."""
    done = subprocess.run(words, capture_output=True, text=True, env=env)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
