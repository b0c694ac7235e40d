"""What users install is the package: sdist and wheel, built and installed where no source tree is near."""

import subprocess
import sys
import sysconfig
import venv
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests

from tests.functional.cloud import wait
from tests.functional.nova_all import NovaAll

ROOT = Path(__file__).parents[2]
COMMANDS = (
    *(
        "nova-all",
        "nova-api",
        "nova-api-metadata",
        "nova-cert",
        "nova-compute",
        "nova-conductor",
        "nova-consoleauth",
        "nova-dhcpbridge",
        "nova-manage",
    ),
    *(
        "nova-network",
        "nova-novncproxy",
        "nova-objectstore",
        "nova-placement-api",
        "nova-policy",
        "nova-scheduler",
        "nova-serialproxy",
        "nova-status",
    ),
    *("nova-spicehtml5proxy", "nova-xvpvncproxy", "placement-manage"),
)


@pytest.fixture(scope="module", params=["wheel", "sdist"])
def installed(request, tmp_path_factory):
    """An environment that has the package from this kind of archive, and its requirements."""
    made = tmp_path_factory.mktemp("dist")
    run(ROOT / "tools/package.sh", request.param, made, cwd=made, PYTHON=sys.executable)
    [archive] = made.iterdir()
    environment = tmp_path_factory.mktemp("installed") / "env"
    venv.create(environment)
    # The requirements are those of the tests: only the package itself is in question.
    [site] = environment.glob("lib/python3*/site-packages")
    (site / "requirements.pth").write_text(sysconfig.get_path("purelib"))
    pip = (sys.executable, "-m", "pip", "--python", environment / "bin" / "python", "install")
    run(*pip, "--no-deps", "--no-build-isolation", "--no-index", "--ignore-installed", archive, cwd=made)
    return environment


def test_every_command_says_its_version(installed):
    with ThreadPoolExecutor(2) as pool:
        said = pool.map(lambda command: run(installed / "bin" / command, "--version", cwd=installed), COMMANDS)

    [version] = set(said)
    assert version[0].isdigit()
    assert version.count("\n") == 1
    [metadata] = installed.glob("lib/python3*/site-packages/nova_control_plane-*.dist-info")
    assert metadata.name == f"nova_control_plane-{version.strip()}.dist-info"
    assert (metadata / "licenses" / "LICENSE").exists()


def test_samples_units_manuals_and_the_licence_come_with_it(installed):
    assert (installed / "etc/nova/nova.conf.sample").read_text() == (ROOT / "etc/nova/nova.conf.sample").read_text()
    assert (installed / "etc/nova/policy.yaml.sample").exists()
    for name in (
        "etc/nova/nova.conf.d/README",
        "share/nova/monitoring/nova-alerts.yaml",
        "share/nova/systemd/nova-compute.service",
        "share/nova/sysusers.d/nova.conf",
        "share/nova/tmpfiles.d/nova.conf",
        "share/man/man1/nova-policy.1",
        "share/man/man8/nova-compute.8",
        "share/bash-completion/completions/nova-manage",
        "share/doc/nova-control-plane/LICENSE",
    ):
        assert (installed / name).exists(), name


def test_an_empty_database_is_filled_and_a_server_boots(installed, image_service, tmp_path):
    nova = NovaAll(tmp_path, "threading", image_service.port, python=str(installed / "bin" / "python"))
    assert nova.run("nova.cmd.manage", "cell_v2", "list_cells").startswith("+--")
    nova.start()
    try:
        nova.add_flavor()
        nova.create_server(image_service.image)
        wait(lambda: nova.statuses() == ["ACTIVE"], "the server is active", timeout_s=60)
        # Pages are files of the package.
        page = requests.get(f"http://127.0.0.1:{nova.port}/status", headers={"X-Auth-Token": "admin:admin"}, timeout=60)
        assert (page.status_code, "Hosts" in page.text) == (200, True)
        assert requests.get(f"http://127.0.0.1:{nova.port}/status/style.css", timeout=60).status_code == 200
    finally:
        nova.kill()


def test_a_package_without_its_migrations_is_not_called_in_order(installed, tmp_path):
    path = tmp_path / "nova.conf"
    path.write_text(
        f"[database]\nconnection = sqlite:///{tmp_path}/n.db\n[placement_database]\nconnection = sqlite:///{tmp_path}/p.db\n"
    )
    [package] = installed.glob("lib/python3*/site-packages/nova")
    for command, migrations in (("nova-manage", "db/migrations"), ("placement-manage", "placement/migrations")):
        versions = package / migrations / "versions"
        versions.rename(versions.with_name("elsewhere"))
        try:
            words = [installed / "bin" / command, "--config-file", path, "db", "sync"]
            done = call(*words, cwd=tmp_path)
        finally:
            versions.with_name("elsewhere").rename(versions)

        assert done.returncode == 1
        assert "has no migrations" in done.stderr


def run(*words, cwd, **environment):
    """What a command prints; it must end well."""
    done = call(*words, cwd=cwd, **environment)
    assert done.returncode == 0, done.stderr
    return done.stdout


def call(*words, cwd, **environment):
    """Run a command that knows nothing of the tree."""
    environment["PATH"] = "/usr/bin:/bin:/usr/sbin:/sbin"
    return subprocess.run(words, capture_output=True, text=True, cwd=cwd, env=environment)
