"""Opens a database and runs transactions on it: SQLite, MariaDB/MySQL or PostgreSQL."""

import logging
import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
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

    keeps_event_details: whether events are stored with what they were about (nova.db.events).

    A transaction that the database broke off (deadlock, lost connection before commit) is run
    again from the start, so the function must do nothing but use its connection.
    """

    def __init__(
        self,
        url: str,
        pool_size: int = 5,
        max_overflow: int = 50,
        recycle_s: int = 3600,
        keeps_event_details: bool = False,
    ) -> None:
        self.is_sqlite = url.startswith("sqlite")
        # A connection is not tried before its use: one that broke is replaced, and the transaction run again. What
        # a peak has opened is kept for the next one: to connect costs more than most transactions do.
        options: dict[str, Any] = {"pool_recycle": recycle_s}
        if not self.is_sqlite:
            options |= {"pool_size": pool_size + max_overflow, "max_overflow": 0, "pool_use_lifo": True}
        self.engine = sqlalchemy.create_engine(
            url,
            # Transactions are begun and ended by name, below; outside of them a query stands alone.
            isolation_level="AUTOCOMMIT",
            skip_autocommit_rollback=True,
            execution_options={"keeps_event_details": keeps_event_details},
            **options,
        )
        # SQLite has one writer; waiting for it inside SQLite would hold up a green process.
        self._writer = threading.RLock() if self.is_sqlite else nullcontext()
        event.listen(self.engine, "connect", _PREPARE[self.engine.dialect.name])

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

    def _run(self, work: Callable[[Connection], T], writes: bool) -> T:
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                with self.transaction(writes) as connection:
                    return work(connection)
            except DBAPIError as error:
                if attempt == _ATTEMPTS or not _is_transient(error):
                    raise
                LOG.debug("transaction broken off, attempt %s: %s", attempt, error)
            time.sleep(random.uniform(0, 0.02 * 2**attempt))
        raise AssertionError("unreachable")

    @contextmanager
    def transaction(self, writes: bool = True) -> Iterator[Connection]:
        """One transaction, which is not run again when the database breaks it off."""
        with self._writer if writes else nullcontext(), self.engine.connect() as connection:
            if not writes and not self.is_sqlite:
                # At READ COMMITTED each query sees the newest commit anyhow: a transaction would only add round trips.
                yield connection
                return
            connection.exec_driver_sql("BEGIN IMMEDIATE" if writes and self.is_sqlite else "BEGIN")
            try:
                yield connection
            except BaseException:
                # One that broke with its connection is over.
                with suppress(DBAPIError):
                    connection.exec_driver_sql("ROLLBACK")
                raise
            connection.exec_driver_sql("COMMIT")


def _prepare_sqlite(connection: Any, _: Any) -> None:
    cursor = connection.cursor()
    for pragma in ("journal_mode = WAL", "synchronous = NORMAL", "busy_timeout = 30000", "foreign_keys = ON"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _prepare_mysql(connection: Any, _: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED")


def _prepare_postgresql(connection: Any, _: Any) -> None:
    """READ COMMITTED is what it does by itself."""


_PREPARE = {
    "sqlite": _prepare_sqlite,
    "mysql": _prepare_mysql,
    "mariadb": _prepare_mysql,
    "postgresql": _prepare_postgresql,
}


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
