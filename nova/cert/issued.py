"""What an authority has issued, to whom, and what of it is revoked: a SQLite database beside its key."""

import datetime
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

_SCHEMA = """
CREATE TABLE IF NOT EXISTS certificate (
    serial TEXT PRIMARY KEY, user TEXT NOT NULL, project TEXT NOT NULL, expires REAL NOT NULL, revoked REAL);
"""


class Revoked(NamedTuple):
    """A certificate's number, and when it was revoked (UTC)."""

    serial: int
    at: datetime.datetime


class Issued:
    """The register of one authority."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def add(self, serial: int, user_id: str, project_id: str, expires: datetime.datetime) -> None:
        """Kept before a certificate is given out: one that nobody knows of could not be revoked."""
        values = (str(serial), user_id, project_id, expires.timestamp())
        with self._open() as database:
            database.execute("INSERT INTO certificate (serial, user, project, expires) VALUES (?, ?, ?, ?)", values)

    def revoke(self, user_id: str | None, project_id: str | None) -> int:
        """At least one of the two must be given. What is revoked already keeps its time, and does not count."""
        wanted = {"user": user_id, "project": project_id}
        chosen = {name: value for name, value in wanted.items() if value is not None}
        where = " AND ".join(f"{name} = ?" for name in chosen)
        with self._open() as database:
            return database.execute(
                f"UPDATE certificate SET revoked = ? WHERE revoked IS NULL AND {where}", (time.time(), *chosen.values())
            ).rowcount

    def revoked(self) -> list[Revoked]:
        """Those that would be good if they were not revoked."""
        with self._open() as database:
            rows = database.execute(
                "SELECT serial, revoked FROM certificate WHERE revoked IS NOT NULL AND expires > ?", (time.time(),)
            ).fetchall()
        return [Revoked(int(serial), datetime.datetime.fromtimestamp(at, datetime.UTC)) for serial, at in rows]

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        database = sqlite3.connect(self._path, timeout=30)
        try:
            database.execute(_SCHEMA)
            with database:
                yield database
        finally:
            database.close()
