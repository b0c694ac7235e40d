"""What a project has: its buckets, objects and unfinished uploads, in a SQLite database of the project's own.

Each change is one transaction: after a crash an object is the old one or the new one. Keys are bytes, so that they
sort as S3 sorts them. Quota is counted where the thing it counts changes.
"""

import json
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from nova.objectstore.errors import S3Error
from nova.objectstore.files import Segment

_SCHEMA = """
CREATE TABLE IF NOT EXISTS bucket (name TEXT PRIMARY KEY, created REAL NOT NULL, used INTEGER NOT NULL DEFAULT 0);
CREATE TABLE IF NOT EXISTS object (
    bucket TEXT NOT NULL, key BLOB NOT NULL, size INTEGER NOT NULL, etag TEXT NOT NULL, modified REAL NOT NULL,
    headers TEXT NOT NULL, checksum TEXT NOT NULL, segments TEXT NOT NULL, PRIMARY KEY (bucket, key));
CREATE TABLE IF NOT EXISTS upload (
    id TEXT PRIMARY KEY, bucket TEXT NOT NULL, key BLOB NOT NULL, created REAL NOT NULL, headers TEXT NOT NULL,
    algorithm TEXT);
CREATE INDEX IF NOT EXISTS upload_of_bucket ON upload (bucket, key, id);
CREATE TABLE IF NOT EXISTS part (
    upload TEXT NOT NULL, number INTEGER NOT NULL, size INTEGER NOT NULL, etag TEXT NOT NULL, modified REAL NOT NULL,
    checksum TEXT NOT NULL, segments TEXT NOT NULL, PRIMARY KEY (upload, number));
CREATE TABLE IF NOT EXISTS reservation (
    name TEXT PRIMARY KEY, bucket TEXT NOT NULL, bytes INTEGER NOT NULL, created REAL NOT NULL);
"""
# What a row and its file take beside the bytes that are counted by themselves: a block of the file system.
_OVERHEAD = 4096
# Version 1 of the index counts all that is stored; what counted before it is counted again.
_COUNTED = 1
_RECOUNT = f"""
UPDATE bucket SET used =
    (SELECT COALESCE(SUM(size + length(key) + length(headers) + {_OVERHEAD} * max(1, json_array_length(segments))), 0)
     FROM object WHERE object.bucket = bucket.name)
    + (SELECT COALESCE(SUM(length(key) + length(headers) + {_OVERHEAD}), 0) FROM upload WHERE upload.bucket = bucket.name)
    + (SELECT COALESCE(SUM(part.size + {_OVERHEAD} * max(1, json_array_length(part.segments))), 0)
       FROM part JOIN upload ON upload.id = part.upload WHERE upload.bucket = bucket.name)
"""
_BUSY_S = 30
_RETRY_S = 0.005
_IDLE_CONNECTIONS = 8


@dataclass(frozen=True)
class Entry:
    """An object, or a part of one. checksum is an algorithm and its value in base64, or nothing."""

    size: int
    etag: str
    modified: float
    checksum: tuple[str, ...] = ()
    segments: tuple[Segment, ...] = ()
    headers: dict[str, str] = field(default_factory=dict)

    def cost(self, key: str = "") -> int:
        """The bytes that it counts for in its bucket's quota, with the key that it is stored by; a part has none."""
        headers = _row_bytes(key, self.headers) if key else 0
        return self.size + headers + _OVERHEAD * max(1, len(self.segments))


@dataclass(frozen=True)
class Bucket:
    """used: the bytes that count against its quota, those included that are held for bodies under way."""

    name: str
    created: float
    used: int


@dataclass(frozen=True)
class Upload:
    id: str
    bucket: str
    key: str
    created: float
    headers: dict[str, str]
    algorithm: str | None

    def cost(self) -> int:
        """As an object's that has no bytes yet; its parts count beside it."""
        return _row_bytes(self.key, self.headers) + _OVERHEAD


class Index:
    """One project's database. read() and write() give a transaction."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._idle: list[sqlite3.Connection] = []
        self._lock = threading.Lock()

    @contextmanager
    def read(self) -> Iterator["Transaction"]:
        """What is asked sees one state of the index, whatever is committed meanwhile."""
        yield from self._transaction("BEGIN")

    @contextmanager
    def write(self) -> Iterator["Transaction"]:
        """Committed when the block ends, and on the disk then; nothing has changed when it raises."""
        yield from self._transaction("BEGIN IMMEDIATE")

    def close(self) -> None:
        """Closes idle connections; transactions under way go on."""
        with self._lock:
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    def _transaction(self, begin: str) -> Iterator["Transaction"]:
        with self._lock:
            connection = self._idle.pop() if self._idle else None
        connection = connection or self._connect()
        try:
            connection.execute(begin)
            yield Transaction(connection)
            connection.execute("COMMIT")
        except sqlite3.OperationalError as error:
            connection.close()
            if error.sqlite_errorcode == sqlite3.SQLITE_FULL:
                raise S3Error("InsufficientStorage") from error
            raise
        except BaseException:
            # It undoes what was begun.
            connection.close()
            raise
        with self._lock:
            if len(self._idle) < _IDLE_CONNECTIONS:
                self._idle.append(connection)
                return
        connection.close()

    def _connect(self) -> sqlite3.Connection:
        """A connection to the database, which is made where it is missing."""
        # SQLite waits for locks, but not for those of another worker that makes the database, or is the last to leave it.
        deadline = time.monotonic() + _BUSY_S
        while True:
            connection = sqlite3.connect(self._path, timeout=_BUSY_S, isolation_level=None, check_same_thread=False)
            try:
                # FULL: what was answered for has reached the disk, whatever happens to the machine.
                for statement in ("PRAGMA journal_mode = WAL", "PRAGMA synchronous = FULL"):
                    connection.execute(statement)
                connection.executescript(_SCHEMA)
                _count_all(connection)
                return connection
            except sqlite3.OperationalError as error:
                connection.close()
                if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                    raise
            time.sleep(_RETRY_S)


class Transaction:
    """Questions and changes inside one transaction."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._ask = connection.execute

    def buckets(self) -> list[Bucket]:
        return [Bucket(*row) for row in self._ask(f"{_BUCKETS} ORDER BY name")]

    def bucket(self, name: str) -> Bucket | None:
        row = self._ask(f"{_BUCKETS} WHERE name = ?", (name,)).fetchone()
        return Bucket(*row) if row else None

    def add_bucket(self, name: str, created: float) -> None:
        self._ask("INSERT INTO bucket (name, created) VALUES (?, ?)", (name, created))

    def delete_bucket(self, name: str) -> None:
        self._ask("DELETE FROM bucket WHERE name = ?", (name,))

    def use(self, bucket: str, change: int) -> None:
        """Count bytes against the bucket's quota; negative ones are given back."""
        self._ask("UPDATE bucket SET used = used + ? WHERE name = ?", (change, bucket))

    def reserve(self, name: str, bucket: str, size: int) -> None:
        """Hold bytes of the bucket's quota by this name, until release()."""
        self._ask("INSERT OR REPLACE INTO reservation VALUES (?, ?, ?, ?)", (name, bucket, size, time.time()))

    def release(self, name: str) -> None:
        """Fine for what is not held."""
        self._ask("DELETE FROM reservation WHERE name = ?", (name,))

    def reserved(self, before: float) -> list[str]:
        """The names of files for which bytes have been held since before a time."""
        return [name for (name,) in self._ask("SELECT name FROM reservation WHERE created < ?", (before,))]

    def object(self, bucket: str, key: str) -> Entry | None:
        columns = "size, etag, modified, checksum, segments, headers"
        row = self._ask(f"SELECT {columns} FROM object WHERE bucket = ? AND key = ?", (bucket, key.encode())).fetchone()
        return _entry(*row) if row else None

    def put_object(self, bucket: str, key: str, entry: Entry) -> None:
        """Replaces the object of this key; the files of the old one are the caller's to remove, after the commit."""
        self._ask(
            "INSERT OR REPLACE INTO object (bucket, key, size, etag, modified, headers, checksum, segments)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (bucket, key.encode(), entry.size, entry.etag, entry.modified, json.dumps(entry.headers), *_texts(entry)),
        )

    def delete_object(self, bucket: str, key: str) -> None:
        """Its files and what it used are the caller's business."""
        self._ask("DELETE FROM object WHERE bucket = ? AND key = ?", (bucket, key.encode()))

    def objects(self, bucket: str, since: bytes, limit: int) -> list[tuple[bytes, Entry]]:
        """Objects from a key on, without their segments and headers."""
        columns = "key, size, etag, modified, checksum"
        query = f"SELECT {columns} FROM object WHERE bucket = ? AND key >= ? ORDER BY key LIMIT ?"
        return [(row[0], _entry(*row[1:])) for row in self._ask(query, (bucket, since, limit))]

    def upload(self, upload_id: str) -> Upload | None:
        row = self._ask(f"{_UPLOADS} WHERE id = ?", (upload_id,)).fetchone()
        return _upload(*row) if row else None

    def uploads(self, bucket: str, key: bytes, upload_id: str, limit: int) -> list[Upload]:
        """Unfinished uploads behind a key and id, by key and id."""
        query = f"{_UPLOADS} WHERE bucket = ? AND (key, id) > (?, ?) ORDER BY key, id LIMIT ?"
        return [_upload(*row) for row in self._ask(query, (bucket, key, upload_id, limit))]

    def add_upload(self, upload: Upload) -> None:
        values = (upload.id, upload.bucket, upload.key.encode(), upload.created, json.dumps(upload.headers))
        self._ask(
            "INSERT INTO upload (id, bucket, key, created, headers, algorithm) VALUES (?, ?, ?, ?, ?, ?)",
            (*values, upload.algorithm),
        )

    def delete_upload(self, upload_id: str) -> None:
        """Its parts go from the index, too; their files are the caller's to remove."""
        self._ask("DELETE FROM part WHERE upload = ?", (upload_id,))
        self._ask("DELETE FROM upload WHERE id = ?", (upload_id,))

    def parts(self, upload_id: str) -> dict[int, Entry]:
        """By number, in ascending order."""
        columns = "number, size, etag, modified, checksum, segments"
        query = f"SELECT {columns} FROM part WHERE upload = ? ORDER BY number"
        return {row[0]: _entry(*row[1:]) for row in self._ask(query, (upload_id,))}

    def put_part(self, upload_id: str, number: int, entry: Entry) -> None:
        """Replaces the part of this number."""
        self._ask(
            "INSERT OR REPLACE INTO part (upload, number, size, etag, modified, checksum, segments)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            (upload_id, number, entry.size, entry.etag, entry.modified, *_texts(entry)),
        )

    def segments(self) -> set[str]:
        """The names of all files that anything refers to."""
        rows = self._ask("SELECT segments FROM object UNION ALL SELECT segments FROM part")
        return {name for (text,) in rows for name, _ in json.loads(text)}


_BUCKETS = """
SELECT name, created, used + (SELECT COALESCE(SUM(bytes), 0) FROM reservation WHERE reservation.bucket = bucket.name
  OR reservation.bucket NOT IN (SELECT name FROM bucket AS other))
FROM bucket
"""
_UPLOADS = "SELECT id, bucket, key, created, headers, algorithm FROM upload"


def _count_all(connection: sqlite3.Connection) -> None:
    """Count what buckets use once, where an earlier release has counted less."""
    if connection.execute("PRAGMA user_version").fetchone()[0] >= _COUNTED:
        return
    connection.execute("BEGIN IMMEDIATE")
    connection.execute(_RECOUNT)
    connection.execute(f"PRAGMA user_version = {_COUNTED}")
    connection.execute("COMMIT")


def _row_bytes(key: str, headers: dict[str, str]) -> int:
    """What a key and its headers take in the index."""
    return len(key.encode()) + len(json.dumps(headers))


def _texts(entry: Entry) -> tuple[str, str]:
    return json.dumps(entry.checksum), json.dumps(entry.segments)


def _entry(size: int, etag: str, modified: float, checksum: str, segments: str = "[]", headers: str = "{}") -> Entry:
    pieces = tuple((name, length) for name, length in json.loads(segments))
    return Entry(size, etag, modified, tuple(json.loads(checksum)), pieces, json.loads(headers))


def _upload(upload_id: str, bucket: str, key: bytes, created: float, headers: str, algorithm: str | None) -> Upload:
    return Upload(upload_id, bucket, key.decode(), created, json.loads(headers), algorithm)
