"""When a share is mounted and unmounted, and with what words; the programs that do it write down what they are told."""

import pytest

from nova import errors
from nova.conf import load
from nova.structs.share import Share
from nova.virt.libvirt.domain_xml.share import mount_point
from nova.virt.libvirt.share_mounts import ShareMounts, is_mounted

SHARE = Share(uuid="u", share_id="s", tag="data", export_location="192.0.2.9:/export/s")


@pytest.fixture
def told(tmp_path, monkeypatch):
    """What mount and umount were told, line by line."""
    said = tmp_path / "said"
    said.touch()
    for name in ("mount", "umount"):
        program = tmp_path / name
        program.write_text(f'#!/bin/sh\necho {name} "$@" >> {said}\n')
        program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    return lambda: said.read_text().splitlines()


def mounts(tmp_path, options=""):
    path = tmp_path / "nova.conf"
    path.write_text(f"[libvirt]\nnfs_mount_point_base = {tmp_path}/mnt\n{options}\n")
    return ShareMounts(load([], [str(path)]))


def test_a_share_is_mounted_as_the_operator_wants_it(tmp_path, told):
    mounts(tmp_path, "nfs_mount_options = vers=4.1").mount("one", SHARE)

    place = mount_point(f"{tmp_path}/mnt", SHARE)
    assert told() == [f"mount -t nfs -o vers=4.1 -- 192.0.2.9:/export/s {place}"]
    assert place.is_dir()


def test_nothing_stays_when_the_last_guest_has_gone(tmp_path, told):
    found = mounts(tmp_path)
    found.mount("one", SHARE)
    found.mount("two", SHARE)

    found.unmount("one")
    assert mount_point(f"{tmp_path}/mnt", SHARE).is_dir()

    found.unmount("two")
    found.unmount("two")
    assert list((tmp_path / "mnt").iterdir()) == []


def test_a_mount_that_fails_leaves_nothing(tmp_path, told):
    (tmp_path / "mount").write_text("#!/bin/sh\necho no such export >&2\nexit 32\n")

    with pytest.raises(errors.GuestFailed, match=r"A program on the server.s host failed \(mount: "):
        mounts(tmp_path).mount("one", SHARE)

    assert list((tmp_path / "mnt").iterdir()) == []


def test_the_kernel_knows_what_is_mounted(tmp_path):
    table = tmp_path / "mountinfo"
    table.write_text("36 35 98:0 / /mnt/one rw,noatime - nfs4 192.0.2.9:/export/s rw\n")

    assert is_mounted(tmp_path.__class__("/mnt/one"), table)
    assert not is_mounted(tmp_path.__class__("/mnt/on"), table)
