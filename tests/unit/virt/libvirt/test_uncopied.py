"""Which disks of a guest that moves its destination opens where they lie, and whether that is safe."""

import xml.etree.ElementTree as ET

import pytest

from nova import errors
from nova.virt.libvirt import uncopied

OLD, NEW = 3_001_000, 7_002_000


def disk(target, kind="file", cache=None, is_read_only=False):
    mode = f"cache='{cache}'" if cache else ""
    driver = f"<driver name='qemu' type='raw' {mode}/>"
    read_only = "<readonly/>" if is_read_only else ""
    return ET.fromstring(
        f"<disk type='{kind}'>{driver}<source {'dev' if kind == 'block' else 'file'}='/there/{target}'/>"
        f"<target dev='{target}'/>{read_only}</disk>"
    )


def test_what_is_copied_and_what_cannot_be_written_does_not_stay_behind():
    disks = [disk("vda"), disk("vdb"), disk("sda", is_read_only=True)]

    assert [one.find("target").get("dev") for one in uncopied.of(disks, ["vda"])] == ["vdb"]


def test_a_drive_without_a_medium_does_not_stay_behind():
    assert uncopied.of([ET.fromstring("<disk type='file'><target dev='sda'/></disk>")], []) == []


@pytest.mark.parametrize("cache", ["writeback", "writethrough", "unsafe", None])
def test_an_old_qemu_keeps_what_it_has_cached_of_a_file(cache):
    with pytest.raises(errors.GuestFailed, match="too old"):
        uncopied.check([disk("vdb", cache=cache)], OLD)


@pytest.mark.parametrize(
    ("left", "version"),
    [
        (disk("vdb", cache="writeback"), NEW),
        (disk("vdb", cache="none"), OLD),
        (disk("vdb", cache="directsync"), OLD),
        (disk("vdb", kind="block", cache="none"), OLD),
    ],
    ids=["new QEMU", "no cache", "direct", "device"],
)
def test_what_is_safe_is_moved(left, version):
    uncopied.check([left], version)
