"""Files that crashes leave behind, and those that only look so."""

import os
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from nova.objectstore import files
from nova.objectstore.index import Entry
from nova.objectstore.store import Store


@pytest.fixture
def project(tmp_path):
    project = Store(tmp_path, None, 10).project("demo")
    project.add_bucket("photos")
    return project


def put(project, key, body):
    segment = project.files.write([body])
    project.put("photos", key, Entry(len(body), "etag", time.time(), (), (segment,)), lambda entry: None)
    return segment


def read(project, key):
    entry = project.object("photos", key)
    return b"".join(project.read(entry, 0, entry.size))


def test_only_what_nothing_refers_to_goes_and_only_when_it_is_old(project, monkeypatch):
    put(project, "kept", b"kept")
    unlisted = Entry(6, "", 0, (), (project.files.write([b"orphan"]),))
    (project.files._incoming / "broken").write_bytes(b"half")

    project.sweep()
    assert b"".join(project.read(unlisted, 0, 6)) == b"orphan"
    # The kernel sets when a file was last changed, and takes no other word for it.
    monkeypatch.setattr(files, "_ORPHAN_S", -1)
    project.sweep()

    assert read(project, "kept") == b"kept"
    with pytest.raises(FileNotFoundError):
        next(project.read(unlisted, 0, 6))
    assert os.listdir(project.files._incoming) == []


def test_a_new_link_to_an_old_file_is_young(project):
    [name, size] = put(project, "x", b"x")
    path = project.files._path(name)
    os.utime(path, (0, 0))

    [copy] = project.files.copy([(name, size)])

    assert copy[0] not in project.files.old()


def test_a_store_that_is_only_read_makes_nothing(tmp_path):
    store = Store(tmp_path / "buckets", None, 10)

    assert store.project("demo").buckets() == []
    store.sweep()

    assert not (tmp_path / "buckets").exists()


def test_workers_that_begin_at_once_share_one_index(tmp_path):
    def begin(number):
        # A store of its own, as each worker process has.
        Store(tmp_path, None, 10).project("demo").add_bucket(f"bucket-{number}")

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(begin, range(4)))

    assert len(Store(tmp_path, None, 10).project("demo").buckets()) == 4
