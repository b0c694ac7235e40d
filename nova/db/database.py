"""Opens a database and runs transactions on it: SQLite, MariaDB/MySQL or PostgreSQL."""

import logging
import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any, TypeVar

import sqlalchemy
from sqlalchemy import event
from sqlalchemy.engine import Connection
from sqlalchemy.exc import DBAPIError, OperationalError

LOG = logging.getLogger(__name__)

T = TypeVar("T")

# MySQL: lock wait timeout, deadlock. PostgreSQL: serialization failure, deadlock, lock not available.
_RETRIED_MYSQL = (1205, 1213)
_RETRIED_POSTGRESQL = ("40001", "40P01", "55P03")
_ATTEMPTS = 8


class Database:
    """One database. write() and read() run a function in a transaction and give its result.

    keeps_circumstances: whether events are stored with what they were about (nova.db.events).

    A transaction that the database broke off (deadlock, lost connection before commit) is run
    again from the start, so the function must do nothing but use its connection.
    """

    def __init__(
        self,
        url: str,
        pool_size: int = 5,
        max_overflow: int = 50,
        recycle_s: int = 3600,
        keeps_circumstances: bool = False,
    ) -> None:
        self.is_sqlite = url.startswith("sqlite")
        # A connection is not tried before its use: one that broke is replaced, and the transaction run again.
        options: dict[str, Any] = {
            "pool_recycle": recycle_s,
            "execution_options": {"keeps_circumstances": keeps_circumstances},
        }
        if not self.is_sqlite:
            options |= {"pool_size": pool_size, "max_overflow": max_overflow}
        isolation = {} if self.is_sqlite else {"isolation_level": "READ COMMITTED"}
        self.engine = sqlalchemy.create_engine(url, **options, **isolation)
        # At READ COMMITTED each query sees the newest commit anyhow, so reads need no transaction around them: a
        # query is one round trip, not four.
        alone = {} if self.is_sqlite else {"isolation_level": "AUTOCOMMIT", "skip_autocommit_rollback": True}
        self._reader = self.engine if self.is_sqlite else sqlalchemy.create_engine(url, **options, **alone)
        # SQLite has one writer; waiting for it inside SQLite would hold up a green process.
        self._writer = threading.RLock() if self.is_sqlite else nullcontext()
        if self.is_sqlite:
            event.listen(self.engine, "connect", _prepare_sqlite)
            event.listen(self.engine, "begin", _begin_sqlite)

    def write(self, work: Callable[[Connection], T]) -> T:
        return self._run(work, writes=True)

    def read(self, work: Callable[[Connection], T]) -> T:
        return self._run(work, writes=False)

    def answers(self) -> bool:
        """Whether a query comes back."""
        try:
            return self.read(lambda c: c.scalar(sqlalchemy.text("SELECT 1"))) == 1
        except sqlalchemy.exc.SQLAlchemyError:
            return False

    def close(self) -> None:
        self.engine.dispose()
        self._reader.dispose()

    def _run(self, work: Callable[[Connection], T], writes: bool) -> T:
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                with self._begin(writes) as connection:
                    return work(connection)
            except DBAPIError as error:
                if attempt == _ATTEMPTS or not _is_transient(error):
                    raise
                LOG.debug("transaction broken off, attempt %s: %s", attempt, error)
            time.sleep(random.uniform(0, 0.02 * 2**attempt))
        raise AssertionError("unreachable")

    @contextmanager
    def _begin(self, writes: bool) -> Iterator[Connection]:
        if not writes and not self.is_sqlite:
            with self._reader.connect() as connection:
                yield connection
            return
        with self._writer if writes else nullcontext(), self.engine.connect() as connection:
            if self.is_sqlite:
                connection = connection.execution_options(writes=writes)
            with connection.begin():
                yield connection


def _prepare_sqlite(connection: Any, _: Any) -> None:
    # The driver must not begin transactions by itself: _begin_sqlite says which kind.
    connection.isolation_level = None
    cursor = connection.cursor()
    for pragma in ("journal_mode = WAL", "synchronous = NORMAL", "busy_timeout = 30000", "foreign_keys = ON"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    writes = connection.get_execution_options().get("writes", True)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _is_transient(error: DBAPIError) -> bool:
    if error.connection_invalidated:
        return True
    original: Any = error.orig
    if getattr(original, "sqlstate", None) in _RETRIED_POSTGRESQL:
        return True
    code = original.args[0] if getattr(original, "args", None) else None
    if code in _RETRIED_MYSQL:
        return True
    return isinstance(error, OperationalError) and "database is locked" in str(original)
