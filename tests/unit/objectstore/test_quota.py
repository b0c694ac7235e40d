"""What an earlier release counted, and what a crash left held."""

import sqlite3
import time
from contextlib import closing

import pytest

from nova.objectstore import files
from nova.objectstore.errors import S3Error
from nova.objectstore.index import Entry, Upload
from nova.objectstore.store import Store

BLOCK = 4096


@pytest.fixture
def project(tmp_path):
    project = Store(tmp_path, 100_000, 10).project("demo")
    project.add_bucket("photos")
    return project


def put(project, key, size):
    entry = Entry(size, "etag", time.time(), (), (("file", size),), {"content-type": "text/plain"})
    project.put("photos", key, entry, lambda entry: None)


def used(project):
    return project.buckets()[0].used


def test_an_index_of_an_earlier_release_is_counted_again(project, tmp_path):
    put(project, "key", 1000)
    project.add_upload(Upload("id", "photos", "upload", time.time(), {"content-type": "x"}, None))
    with project.room("photos", 10) as room:
        part = Entry(10, "etag", time.time(), (), (("part", 10),))
        project.put_part(Upload("id", "photos", "upload", time.time(), {}, None), 1, part, room)
    counted = used(project)
    project.index.close()
    with closing(sqlite3.connect(next(tmp_path.glob("*/index.sqlite")), isolation_level=None)) as connection:
        connection.execute("UPDATE bucket SET used = 1010")
        connection.execute("PRAGMA user_version = 0")

    assert used(Store(tmp_path, 100_000, 10).project("demo")) == counted > 1010 + 3 * BLOCK


def test_everything_deleted_leaves_nothing_used(project):
    put(project, "key", 1000)
    put(project, "key", 10)
    upload = Upload("id", "photos", "é", time.time(), {"x-amz-meta-a": "é"}, None)
    project.add_upload(upload)

    project.delete("photos", ["key"], lambda entry: None)
    project.abort(upload)

    assert used(project) == 0


def test_room_that_a_crash_left_held_is_free_when_its_file_may_go(project, monkeypatch):
    crashed = project.room("photos", 90_000)
    crashed.__enter__()
    with pytest.raises(S3Error, match="QuotaExceeded"), project.room("photos", 10_000):
        pass

    project.sweep()
    assert used(project) > 90_000
    monkeypatch.setattr(files, "_ORPHAN_S", -1)
    project.sweep()

    assert used(project) == 0


def test_room_that_is_held_in_a_bucket_that_is_deleted_counts_in_those_that_are_left(project):
    project.add_bucket("others")
    with project.room("photos", 90_000):
        project.delete_bucket("photos")

        assert project.buckets()[0].used > 90_000
        with pytest.raises(S3Error, match="QuotaExceeded"), project.room("others", 10_000):
            pass
        project.add_bucket("photos")
        assert {bucket.name: bucket.used > 90_000 for bucket in project.buckets()} == {"others": False, "photos": True}

    assert [bucket.used for bucket in project.buckets()] == [0, 0]
