"""Objects of all projects, below buckets_path: a directory for each project, its index and its files.

    buckets_path/HASH/index.sqlite    HASH is of the project's id
    buckets_path/HASH/data/xx/...     segments of objects (nova.objectstore.files)

A change first writes files, then commits the index, then removes the files that nothing refers to any more.
"""

import hashlib
import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from nova.objectstore.errors import S3Error
from nova.objectstore.files import Files, Segment, day_ago, new_name
from nova.objectstore.index import Bucket, Entry, Index, Transaction, Upload

LOG = logging.getLogger(__name__)

_OPEN_PROJECTS = 200


class Store:
    """The projects that have something here. quota_bytes is of one bucket; None for none."""

    def __init__(self, root: Path, quota_bytes: int | None, most_buckets: int) -> None:
        self._root = root
        self._quota_bytes = quota_bytes
        self._most_buckets = most_buckets
        self._projects: dict[str, Project] = {}
        self._lock = threading.Lock()

    def project(self, project_id: str) -> "Project":
        """Nothing is made on disk before the project has a bucket."""
        name = hashlib.sha256(project_id.encode()).hexdigest()
        return self._project(self._root / name)

    def sweep(self) -> None:
        """Remove what crashes left behind a day ago."""
        for directory in self._root.glob("*"):
            if (directory / "index.sqlite").exists():
                self._project(directory).sweep()

    def close(self) -> None:
        with self._lock:
            for project in self._projects.values():
                project.index.close()
            self._projects.clear()

    def _project(self, directory: Path) -> "Project":
        with self._lock:
            project = self._projects.pop(directory.name, None)
            project = project or Project(directory, self._quota_bytes, self._most_buckets)
            self._projects[directory.name] = project
            if len(self._projects) > _OPEN_PROJECTS:
                self._projects.pop(next(iter(self._projects))).index.close()
            return project


@dataclass
class Room:
    """Bytes of a bucket's quota, held for a file with this name."""

    name: str
    is_held: bool = False


class Project:
    """One project's buckets. Everything raises S3Error."""

    def __init__(self, directory: Path, quota_bytes: int | None, most_buckets: int) -> None:
        self._directory = directory
        self._quota_bytes = quota_bytes
        self._most_buckets = most_buckets
        self._index_path = directory / "index.sqlite"
        self.index = Index(self._index_path)
        self.files = Files(directory)

    def buckets(self) -> list[Bucket]:
        """By name; none for a project that has nothing here."""
        if not self._index_path.exists():
            return []
        with self.index.read() as transaction:
            return transaction.buckets()

    def add_bucket(self, name: str) -> None:
        """Raises S3Error for one that there is, one too many, or a project that has files and has lost its index."""
        if not self._index_path.exists() and self.files.has_any():
            LOG.error("%s has objects and no index: it must be restored first", self._directory)
            raise S3Error("InternalError")
        self.files.make()
        with self.index.write() as transaction:
            if transaction.bucket(name):
                raise S3Error("BucketAlreadyOwnedByYou", BucketName=name)
            if len(transaction.buckets()) >= self._most_buckets:
                raise S3Error("TooManyBuckets")
            transaction.add_bucket(name, time.time())

    def delete_bucket(self, name: str) -> None:
        """Delete a bucket without objects, and the uploads to it that nobody finished."""
        parts: list[Entry] = []
        with self.changing(name) as transaction:
            if transaction.objects(name, b"", 1):
                raise S3Error("BucketNotEmpty", BucketName=name)
            while uploads := transaction.uploads(name, b"", "", 100):
                for upload in uploads:
                    parts.extend(transaction.parts(upload.id).values())
                    transaction.delete_upload(upload.id)
            transaction.delete_bucket(name)
        self._remove(name, *parts)

    @contextmanager
    def reading(self, bucket: str) -> Iterator[Transaction]:
        """A transaction on a bucket that is there."""
        if not self._index_path.exists():
            raise S3Error("NoSuchBucket", BucketName=bucket)
        with self.index.read() as transaction:
            if transaction.bucket(bucket) is None:
                raise S3Error("NoSuchBucket", BucketName=bucket)
            yield transaction

    @contextmanager
    def changing(self, bucket: str) -> Iterator[Transaction]:
        """A transaction that changes a bucket that is there; nothing has changed when the block raises."""
        if not self._index_path.exists():
            raise S3Error("NoSuchBucket", BucketName=bucket)
        with self.index.write() as transaction:
            if transaction.bucket(bucket) is None:
                raise S3Error("NoSuchBucket", BucketName=bucket)
            yield transaction

    def object(self, bucket: str, key: str) -> Entry:
        """Raises S3Error: NoSuchBucket, NoSuchKey."""
        with self.reading(bucket) as transaction:
            entry = transaction.object(bucket, key)
        if entry is None:
            raise S3Error("NoSuchKey", Key=key)
        return entry

    def read(self, entry: Entry, begin: int, end: int) -> Iterator[bytes]:
        """The bytes of an object from begin to before end. Raises FileNotFoundError where it has gone meanwhile."""
        return self.files.read(entry.segments, begin, end, self._free)

    @contextmanager
    def room(self, bucket: str, size: int) -> Iterator[Room]:
        """size bytes for a file that is to come, which nobody else may use while the block runs.

        Raises S3Error before anything of it is read where the bucket has no room.
        """
        room = self._hold(bucket, Entry(size, "", 0).cost())
        try:
            yield room
        finally:
            if room.is_held:
                with self.index.write() as transaction:
                    transaction.release(room.name)

    def put(
        self,
        bucket: str,
        key: str,
        entry: Entry,
        condition: Callable[[Entry | None], None],
        room: Room | None = None,
    ) -> None:
        """Let a key be this object, whose files are here. condition is asked about the one that it was.

        room is what was held for the files, where it was.
        """
        with self._committing(entry.segments), self.changing(bucket) as transaction:
            old = transaction.object(bucket, key)
            condition(old)
            self._use(transaction, bucket, entry.cost(key) - (old.cost(key) if old else 0), room)
            transaction.put_object(bucket, key, entry)
        _settle(room)
        self._remove(bucket, old)

    def delete(self, bucket: str, keys: Iterable[str], condition: Callable[[Entry | None], None]) -> None:
        """Delete those of the objects that are there."""
        deleted = []
        with self.changing(bucket) as transaction:
            for key in keys:
                entry = transaction.object(bucket, key)
                condition(entry)
                if entry is not None:
                    transaction.delete_object(bucket, key)
                    transaction.use(bucket, -entry.cost(key))
                    deleted.append(entry)
        self._remove(bucket, *deleted)

    def add_upload(self, upload: Upload) -> None:
        """Begin one. Raises S3Error: no such bucket, no room."""
        with self.changing(upload.bucket) as transaction:
            self._use(transaction, upload.bucket, upload.cost())
            transaction.add_upload(upload)

    def put_part(self, upload: Upload, number: int, entry: Entry, room: Room) -> None:
        """Files of the part that is replaced go; those of this one do when it is refused: no such upload, no room."""
        with self._committing(entry.segments), self.changing(upload.bucket) as transaction:
            if transaction.upload(upload.id) is None:
                raise S3Error("NoSuchUpload", UploadId=upload.id)
            old = transaction.parts(upload.id).get(number)
            self._use(transaction, upload.bucket, entry.cost() - (old.cost() if old else 0), room)
            transaction.put_part(upload.id, number, entry)
        _settle(room)
        self._remove(upload.bucket, old)

    def abort(self, upload: Upload) -> None:
        """What the parts used is free again. Raises S3Error (NoSuchUpload)."""
        with self.changing(upload.bucket) as transaction:
            if transaction.upload(upload.id) is None:
                raise S3Error("NoSuchUpload", UploadId=upload.id)
            parts = transaction.parts(upload.id).values()
            transaction.delete_upload(upload.id)
            transaction.use(upload.bucket, -sum(part.cost() for part in parts) - upload.cost())
        self._remove(upload.bucket, *parts)

    def complete(
        self,
        upload: Upload,
        assemble: Callable[[dict[int, Entry]], Entry],
        condition: Callable[[Entry | None], None],
    ) -> Entry:
        """Make one object of an upload's parts: assemble makes it of those there are, and says which segments it took."""
        with self.changing(upload.bucket) as transaction:
            if transaction.upload(upload.id) is None:
                raise S3Error("NoSuchUpload", UploadId=upload.id)
            parts = transaction.parts(upload.id)
            entry = assemble(parts)
            old = transaction.object(upload.bucket, upload.key)
            condition(old)
            transaction.put_object(upload.bucket, upload.key, entry)
            transaction.delete_upload(upload.id)
            released = upload.cost() + sum(part.cost() for part in parts.values())
            released += old.cost(upload.key) if old else 0
            transaction.use(upload.bucket, entry.cost(upload.key) - released)
        kept = {name for name, _ in entry.segments}
        dropped = [
            replace(part, segments=tuple(segment for segment in part.segments if segment[0] not in kept))
            for part in parts.values()
        ]
        self._remove(upload.bucket, old, *dropped)
        return entry

    def sweep(self) -> None:
        """Remove what requests have left that broke off a day ago or earlier."""
        # The files first: what comes to be referred to afterwards is not that old.
        old = self.files.old()
        with self.index.read() as transaction:
            orphans = set(old) - transaction.segments()
        self.files.remove(orphans)
        self._release_broken()
        if count := len(orphans) + self.files.remove_broken():
            LOG.warning("%s: %d files of requests that never ended are removed", self._directory, count)

    @contextmanager
    def _committing(self, segments: Iterable[Segment]) -> Iterator[None]:
        """Files that are referred to when the block ends, and gone when it refuses.

        Where it broke, nobody knows whether they are referred to: sweep() finds out.
        """
        try:
            yield
        except S3Error:
            self.files.remove(name for name, _ in segments)
            raise

    def _hold(self, bucket: str, size: int) -> Room:
        room = Room(new_name())
        if self._quota_bytes is None:
            with self.reading(bucket):
                return room
        with self.changing(bucket) as transaction:
            self._check_quota(transaction, bucket, size)
            transaction.reserve(room.name, bucket, size)
        room.is_held = True
        return room

    def _release_broken(self) -> None:
        with self.index.read() as transaction:
            names = [name for name in transaction.reserved(day_ago()) if not self.files.is_coming(name)]
        if names:
            with self.index.write() as transaction:
                for name in names:
                    transaction.release(name)

    def _use(self, transaction: Transaction, bucket: str, growth: int, room: Room | None = None) -> None:
        """Count bytes against the quota, with those free again that were held for them. Raises S3Error."""
        if room is not None and room.is_held:
            transaction.release(room.name)
        self._check_quota(transaction, bucket, growth)
        transaction.use(bucket, growth)

    def _check_quota(self, transaction: Transaction, bucket: str, growth: int) -> None:
        has = transaction.bucket(bucket)
        if self._quota_bytes is None or has is None or growth <= 0:
            return
        if has.used + growth > self._quota_bytes:
            raise S3Error("QuotaExceeded", BucketName=bucket)

    def _remove(self, bucket: str, *entries: Entry | None) -> None:
        """What somebody reads still takes its room, and counts until then; after a crash, until sweep()."""
        names = (name for entry in entries if entry is not None for name, _ in entry.segments)
        if self._quota_bytes is None:
            self.files.remove(names)
            return

        def hold(name: str, size: int) -> None:
            with self.index.write() as transaction:
                transaction.reserve(name, bucket, Entry(size, "", 0).cost())

        self.files.remove_counted(names, hold, self._free)

    def _free(self, name: str) -> None:
        if self._quota_bytes is not None:
            with self.index.write() as transaction:
                transaction.release(name)


def _settle(room: Room | None) -> None:
    """What it held counts as used: the commit has released it."""
    if room is not None:
        room.is_held = False
