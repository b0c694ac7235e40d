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


def put_file(project, key, size):
    """An object that has a file, and its entry."""
    entry = Entry(size, "etag", time.time(), (), (project.files.write([bytes(size)]),))
    project.put("photos", key, entry, lambda entry: None)
    return entry


def reader_of(project, entry):
    """Somebody who has got the first byte of an object."""
    reading = project.read(entry, 0, entry.size)
    next(reading)
    return reading


def delete(project, *keys):
    project.delete("photos", keys, lambda entry: None)


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


def test_an_object_that_is_deleted_while_it_is_read_counts_until_its_last_reader_ends(project):
    entry = put_file(project, "key", 60_000)
    readers = [reader_of(project, entry), reader_of(project, entry)]

    delete(project, "key")

    for reader in readers:
        assert used(project) == 60_000 + BLOCK
        with pytest.raises(S3Error, match="QuotaExceeded"), project.room("photos", 40_000):
            pass
        reader.close()
    assert used(project) == 0


def test_an_object_that_is_overwritten_while_it_is_read_counts_beside_the_new_one(project):
    reader = reader_of(project, put_file(project, "key", 60_000))

    put_file(project, "key", 10_000)

    assert used(project) > 70_000
    reader.close()
    assert used(project) < 20_000


def test_a_copy_of_what_is_read_counts_once(project):
    entry = put_file(project, "key", 60_000)
    copied = Entry(entry.size, "etag", time.time(), (), tuple(project.files.copy(entry.segments)))
    delete(project, "key")
    project.put("photos", "copy", copied, lambda entry: None)
    reader = reader_of(project, copied)

    delete(project, "copy")

    assert used(project) == 60_000 + BLOCK
    reader.close()
    assert used(project) == 0


def test_a_reader_of_another_link_to_the_same_bytes_keeps_nothing_counted_twice(project):
    entry = put_file(project, "key", 30_000)
    copied = Entry(entry.size, "etag", time.time(), (), tuple(project.files.copy(entry.segments)))
    project.put("photos", "copy", copied, lambda entry: None)
    reader, counted = reader_of(project, entry), used(project)

    delete(project, "copy")

    assert used(project) < counted - 30_000
    reader.close()
    delete(project, "key")
    assert used(project) == 0


def test_what_a_reader_that_crashed_held_is_free_a_day_later(project, monkeypatch):
    reader = reader_of(project, put_file(project, "key", 60_000))
    delete(project, "key")

    project.sweep()
    assert used(project) > 60_000
    monkeypatch.setattr(files, "_ORPHAN_S", -1)
    project.sweep()

    assert used(project) == 0
    reader.close()


def test_a_reader_of_a_deleted_object_is_sent_away_after_a_day(project, monkeypatch):
    monkeypatch.setattr(files, "_LONGEST_READ_S", -1)
    entry = put_file(project, "key", 60_000)

    with pytest.raises(OSError, match="for a day"):
        reader_of(project, entry)


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
