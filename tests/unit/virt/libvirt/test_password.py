"""When a password is written into a disk, and how; the program that does it is one that writes down what it is told."""

import pytest

from nova import errors
from nova.conf import load
from nova.structs.flavor import Flavor
from nova.structs.guest import Disk, GuestSpec
from nova.virt.libvirt.files import DiskOptions
from nova.virt.libvirt.password import inject

WANTED = "inject_password = true\ninject_partition = -1"


@pytest.fixture
def told(tmp_path, monkeypatch):
    """What virt-customize was told, and the password it read."""
    said = tmp_path / "said"
    program = tmp_path / "virt-customize"
    program.write_text(
        f'#!/bin/sh\necho "$@" > {said}\nfor word; do last=$word; done\ncat "${{last#file:}}" >> {said}\n'
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    return lambda: said.read_text() if said.exists() else None


def write(tmp_path, options=WANTED, password="open-sesame", kind="root"):
    path = tmp_path / "nova.conf"
    path.write_text(f"[libvirt]\n{options}\n")
    spec = GuestSpec(
        uuid="u",
        name="n",
        display_name="d",
        project_id="p",
        user_id="u",
        flavor=Flavor(id="1", name="f", vcpus=1, memory_mb=1),
        disks=(Disk(kind=kind, device_name="vda"),),
        password=password,
    )
    inject(spec, tmp_path, DiskOptions(), load([], [str(path)]))


def test_the_password_goes_into_the_root_disk_and_not_onto_the_command_line(tmp_path, told):
    write(tmp_path)

    command, password = told().splitlines()
    assert f"--format qcow2 --add {tmp_path}/disk --root-password file:" in command
    assert "sesame" not in command
    assert password == "open-sesame"


@pytest.mark.parametrize(
    "options, password, kind",
    [
        ("inject_partition = -1", "open-sesame", "root"),
        ("inject_password = true", "open-sesame", "root"),
        (WANTED, None, "root"),
        (WANTED, "open-sesame", "swap"),
    ],
    ids=["not wanted", "no partition", "no password", "no root disk"],
)
def test_nothing_is_written_where_nothing_is_to_be(tmp_path, told, options, password, kind):
    write(tmp_path, options, password, kind)

    assert told() is None


def test_a_host_without_libguestfs_says_so(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(errors.GuestFailed, match="virt-customize is not installed"):
        write(tmp_path)


def test_a_password_of_several_lines_is_refused(tmp_path, told):
    with pytest.raises(errors.GuestFailed, match="several lines"):
        write(tmp_path, password="two\nlines")
