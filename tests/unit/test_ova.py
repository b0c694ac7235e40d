"""An OVA is a tenant's archive: its disk is found without a name, and what is none is said to be."""

import io
import tarfile

import pytest

from nova import image_format, ova
from nova.structs.image import Image

DISK = b"KDMV" + bytes(1000)


def _archive(path, *members, format=tarfile.USTAR_FORMAT):
    with tarfile.open(path, "w", format=format) as archive:
        for name, content, kind in members:
            member = tarfile.TarInfo(name)
            member.size, member.type = len(content), kind
            archive.addfile(member, io.BytesIO(content))
    return path


def _file(name, content):
    return name, content, tarfile.REGTYPE


def test_disk_is_found_by_what_it_is(tmp_path):
    path = _archive(tmp_path / "ova", _file("a.ovf", b"<Envelope/>"), _file("../../etc/passwd", DISK))

    offset, size = ova.find_disk(path)

    assert path.read_bytes()[offset : offset + size] == DISK


@pytest.mark.parametrize("format", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT], ids=["pax", "gnu"])
def test_long_names_do_not_hide_a_disk(tmp_path, format):
    path = _archive(tmp_path / "ova", _file("a" * 300, DISK), format=format)
    if format == tarfile.GNU_FORMAT:
        # Not what an OVA may be: its magic is another one's, up to the fifth letter.
        assert path.read_bytes()[257:262] == b"ustar"

    offset, size = ova.find_disk(path)

    assert path.read_bytes()[offset : offset + size] == DISK


@pytest.mark.parametrize(
    ("members", "why"),
    [
        ([], "no disks"),
        ([_file("a.ovf", b"<Envelope/>")], "no disks"),
        ([_file("a.vmdk", DISK), _file("b.vmdk", DISK)], "2 disks"),
        ([("a.vmdk", b"", tarfile.SYMTYPE)], "no disks"),
        ([_file(f"{number}", b"x") for number in range(70)], "more than 64"),
    ],
    ids=["empty", "without", "two", "link", "many"],
)
def test_archive_without_exactly_one_disk_is_refused(tmp_path, members, why):
    path = _archive(tmp_path / "ova", *members)

    with pytest.raises(ova.NoDisk, match=why):
        ova.find_disk(path)


def test_archive_that_is_cut_off_is_refused(tmp_path):
    path = _archive(tmp_path / "ova", _file("a.vmdk", DISK))
    path.write_bytes(path.read_bytes()[:700])

    with pytest.raises(ova.NoDisk, match="cut off"):
        ova.find_disk(path)


def test_what_is_no_archive_is_refused_as_an_image(tmp_path):
    path = tmp_path / "ova"
    path.write_bytes(b"KDMV" + bytes(4096))
    content = image_format.content_of(Image(id="a", disk_format="vmdk", container_format="ova"))

    with pytest.raises(image_format.UnsafeImage, match="called an OVA and is none"):
        image_format.check(path, content)


def test_member_whose_size_is_nonsense_is_refused(tmp_path):
    path = _archive(tmp_path / "ova", _file("a.vmdk", DISK))
    content = bytearray(path.read_bytes())
    content[124:136] = b"\x80" + b"\xff" * 11
    content[148:156] = b"%06o\0 " % (sum(content[:148]) + sum(content[156:512]) + 8 * 32)
    path.write_bytes(content)

    with pytest.raises(ova.NoDisk, match="cut off"):
        ova.find_disk(path)
