"""Images on a host: fetched once from a real Glance, and only what they say they are."""

import hashlib
import io
import os
import subprocess
import threading

import msgspec
import pytest
from prometheus_client import REGISTRY

from nova import errors
from nova.compute.image_cache import ImageCache
from nova.structs.image import Image

CONTENT = os.urandom(1 << 20)


@pytest.fixture
def cache(images, tmp_path):
    return ImageCache(tmp_path / "_base", images, host="host-1", attempts=3)


@pytest.fixture
def smuggle(images, glance_directory):
    """An image whose data were exchanged in Glance's store: Glance itself would not take them."""

    def smuggle(content, disk_format="qcow2"):
        image = upload(images, b"\0" * len(content))
        (glance_directory / "images" / image.id).write_bytes(content)
        return msgspec.structs.replace(image, disk_format=disk_format, hash_value=None, checksum=None)

    return smuggle


@pytest.fixture
def cache_over(make_images, glance, tmp_path):
    """A cache whose downloads go over a wire, in as many attempts as given."""

    def make(wire, attempts):
        images = make_images()
        images._service.adapter.session.auth.endpoint = f"http://127.0.0.1:{wire.port}"
        return ImageCache(tmp_path / "_base", images, host="host-1", attempts=attempts)

    return make


def test_raw_image_is_fetched_as_it_is(cache, images, tmp_path):
    image = upload(images, CONTENT)

    cached = cache.fetch(image)

    assert read(cached.path) == CONTENT
    assert (cached.format, cached.virtual_size) == ("raw", len(CONTENT))


def test_qcow2_image_stays_qcow2(cache, images, tmp_path):
    image = upload(images, make_qcow2(tmp_path, "64M"), disk_format="qcow2")

    cached = cache.fetch(image)

    assert (cached.format, cached.virtual_size) == ("qcow2", 64 << 20)


def test_vhd_is_for_hosts_that_make_disks_of_it(cache, images, tmp_path):
    able = ImageCache(tmp_path / "_vhd", images, host="host-2", disk_formats=frozenset({"vhd"}))
    image = upload(images, make_vhd(tmp_path, 64 << 20), disk_format="vhd")

    cached = able.fetch(image)

    assert (cached.format, cached.virtual_size) == ("vhd", 64 << 20)
    with pytest.raises(errors.ImageInvalid):
        cache.fetch(image)


@pytest.mark.parametrize("content", [CONTENT, b"conectix" + CONTENT])
def test_vhd_that_is_none_is_refused(images, smuggle, tmp_path, content):
    cache = ImageCache(tmp_path / "_vhd", images, host="host-2", disk_formats=frozenset({"vhd"}))

    with pytest.raises(errors.ImageInvalid):
        cache.fetch(smuggle(content, disk_format="vhd"))

    assert [path for path in (tmp_path / "_vhd").iterdir() if path.suffix != ".lock"] == []


def test_image_is_fetched_once(cache, images):
    image = upload(images, CONTENT)
    before = {outcome: counted(outcome) for outcome in ("brought", "cached")}
    first = cache.fetch(image)
    images.delete(image.id)

    assert cache.fetch(image) == first
    assert {outcome: counted(outcome) - before[outcome] for outcome in before} == {"brought": 1, "cached": 1}


def counted(outcome):
    return REGISTRY.get_sample_value("nova_image_cache_requests_total", {"outcome": outcome}) or 0


def test_many_builds_at_once_fetch_an_image_once(cache_over, wire, images):
    image = upload(images, CONTENT)
    cache = cache_over(wire, attempts=1)
    found = []
    threads = [threading.Thread(target=lambda: found.append(cache.fetch(image))) for _ in range(5)]

    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(found) == 5 and len(set(found)) == 1
    assert wire.bytes_brought < 2 * len(CONTENT)


def test_download_goes_on_where_it_broke_off(cache_over, wire, images):
    image = upload(images, CONTENT)
    wire.cut_after = [300_000, 400_000]

    cached = cache_over(wire, attempts=3).fetch(image)

    assert read(cached.path) == CONTENT
    assert wire.bytes_brought < 1.2 * len(CONTENT)


def test_download_goes_on_after_the_daemon_was_restarted(cache_over, wire, images, tmp_path):
    image = upload(images, CONTENT)
    wire.cut_after = [500_000]

    with pytest.raises(errors.Unavailable):
        cache_over(wire, attempts=1).fetch(image)
    assert [path.name for path in files(tmp_path)] == [f"{image.id}.part"]
    cached = cache_over(wire, attempts=1).fetch(image)

    assert read(cached.path) == CONTENT
    assert wire.bytes_brought < 1.2 * len(CONTENT)


@pytest.mark.parametrize("fact", ["hash", "checksum"])
def test_data_other_than_the_hash_says_are_refused(cache, images, tmp_path, fact):
    image = upload(images, CONTENT)
    wrong = {
        "hash": {"hash_value": hashlib.sha512(b"other").hexdigest()},
        "checksum": {"hash_value": None, "checksum": hashlib.md5(b"other").hexdigest()},
    }

    with pytest.raises(errors.ImageInvalid, match="do not have the"):
        cache.fetch(msgspec.structs.replace(image, **wrong[fact]))

    assert files(tmp_path) == []


def test_spoiled_part_of_a_download_is_not_built_upon(cache, images, tmp_path):
    image = upload(images, CONTENT)
    (tmp_path / "_base").mkdir()
    (tmp_path / "_base" / f"{image.id}.part").write_bytes(b"wrong" * 100)

    with pytest.raises(errors.ImageInvalid):
        cache.fetch(image)

    assert read(cache.fetch(image).path) == CONTENT


def test_image_that_stands_on_a_file_of_the_host_is_refused(cache, smuggle, tmp_path):
    image = smuggle(make_qcow2(tmp_path, "1M", "-b", "/etc/passwd", "-F", "raw"))

    with pytest.raises(errors.ImageInvalid, match="backing file"):
        cache.fetch(image)

    assert files(tmp_path) == []


def test_image_whose_data_are_a_file_of_the_host_is_refused(cache, smuggle, tmp_path):
    options = f"data_file={tmp_path / 'data'},data_file_raw=on"
    image = smuggle(make_qcow2(tmp_path, "1M", "-o", options))

    with pytest.raises(errors.ImageInvalid):
        cache.fetch(image)

    assert files(tmp_path) == []


@pytest.mark.parametrize("said, is_qcow2", [("raw", True), ("qcow2", False)])
def test_image_of_another_format_than_it_says_is_refused(cache, smuggle, tmp_path, said, is_qcow2):
    image = smuggle(make_qcow2(tmp_path, "1M") if is_qcow2 else CONTENT, disk_format=said)

    with pytest.raises(errors.ImageInvalid, match="is called"):
        cache.fetch(image)

    assert files(tmp_path) == []


def test_format_no_guest_can_use_is_refused_before_it_is_fetched(cache, images):
    with pytest.raises(errors.ImageInvalid, match="vhdx"):
        cache.fetch(Image(id="11111111-1111-4111-8111-111111111111", disk_format="vhdx"))


def test_broken_qcow2_is_refused(cache, smuggle, tmp_path):
    image = smuggle(b"QFI\xfb\x00\x00\x00\x03" + b"\xff" * 4096)

    with pytest.raises(errors.ImageInvalid):
        cache.fetch(image)

    assert files(tmp_path) == []


def test_full_disk_is_reported_and_freed(images, tmp_path):
    image = upload(images, CONTENT * 3)
    small = tmp_path / "small"
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", small], check=True)
    try:
        with pytest.raises(errors.DiskFull):
            ImageCache(small / "_base", images, host="host-1").fetch(image)

        assert files(small) == []
    finally:
        subprocess.run(["umount", small], check=True)


def test_image_that_is_gone_is_not_found(cache, images, tmp_path):
    image = upload(images, CONTENT)
    images.delete(image.id)

    with pytest.raises(errors.ImageNotFound):
        cache.fetch(image)

    assert [path for path in files(tmp_path) if path.stat().st_size] == []


def test_unused_images_go_after_a_while_and_used_ones_stay(cache, images, tmp_path):
    used, old, fresh = (cache.fetch(upload(images, CONTENT)) for _ in range(3))
    for cached in (used, old):
        os.utime(cached.path, (0, 0))

    removed = cache.prune({used.path}, min_age_s=3600)

    assert removed == [os.path.basename(old.path)]
    assert sorted(str(path) for path in files(tmp_path)) == sorted([used.path, fresh.path])


def files(directory):
    """What the cache holds; the files it locks images with hold nothing."""
    return [path for path in (directory / "_base").glob("*") if path.suffix != ".lock"]


def upload(images, content, disk_format="raw"):
    wanted = Image(id="", name="tiny", disk_format=disk_format, visibility="public")
    return images.upload(images.create(wanted).id, io.BytesIO(content))


def make_qcow2(directory, size, *options):
    path = directory / "made.qcow2"
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", *options, path, size], check=True)
    return path.read_bytes()


def read(path):
    with open(path, "rb") as file:
        return file.read()


def make_vhd(directory, size):
    path = directory / "made.vhd"
    subprocess.run(["qemu-img", "create", "-q", "-f", "vpc", "-o", "force_size=on", path, str(size)], check=True)
    return path.read_bytes()
