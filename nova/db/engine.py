"""Opens a database and runs transactions on it, for Compute and for Placement: SQLite, MariaDB/MySQL or PostgreSQL.

Connections are in autocommit; transactions are begun and ended by name. A transaction that the database broke
off is run again, unless its COMMIT was under way when the connection broke: then nobody knows whether it is done.
"""

import logging
import random
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any, TypeVar

import sqlalchemy
from sqlalchemy import event
from sqlalchemy.engine import Connection
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from nova import errors, metrics, neighbours
from nova.conf.database import parse
from nova.db import statements
from nova.readiness import LOOK_S, Check

LOG = logging.getLogger(__name__)

T = TypeVar("T")

# Lock wait timeout, deadlock, row changed since it was read.
_RETRIED_MYSQL = (1205, 1213, 1020)
# Serialization failure, deadlock, lock not available.
_RETRIED_POSTGRESQL = ("40001", "40P01", "55P03")
_RETRIED_SQLITE = ("database is locked", "database table is locked")
# Shutdown in progress, connection was killed: the last words of a server on a connection.
_LAST_WORDS_MYSQL = (1053, 1927)
_NO_TABLE_MYSQL, _NO_TABLE_POSTGRESQL, _NO_TABLE_SQLITE = 1146, "42P01", "no such table"
# A transaction that the database keeps breaking off is tried for so long.
_PATIENCE_S = 30.0
_LONGEST_PAUSE_S = 0.5


def _make_private(file: Path) -> None:
    """SQLite gives the files it makes beside its database that one's mode: none is for other users of the machine."""
    file.parent.mkdir(parents=True, exist_ok=True)
    if not str(file).startswith((":", "file:")):
        file.touch(mode=0o600)


class Database:
    """One database. write() and read() run a function in a transaction and give its result.

    The function must do nothing but use its connection: it is run again when the database breaks it off.
    Every method raises Unavailable when the database cannot be used.

    name is what the log calls it.

    sync_command makes the tables, and is named when they are missing. options go with every connection, for the
    queries (Connection.get_execution_options()); connect_args go to the driver. pool_name tells the second pool of a
    process to the same database from the first in the metrics.
    """

    def __init__(
        self,
        url: str,
        pool_size: int = 5,
        max_overflow: int = 50,
        recycle_s: int = 3600,
        sync_command: str = "nova-manage db sync",
        options: Mapping[str, Any] | None = None,
        connect_args: Mapping[str, Any] | None = None,
        pool_name: str = "",
    ) -> None:
        parsed = parse(url)
        # What tells Compute's from Placement's.
        self._label = "placement" if sync_command.startswith("placement") else "compute"
        self._connect_args = dict(connect_args or {})
        self.is_sqlite = parsed.get_backend_name() == "sqlite"
        if self.is_sqlite and parsed.database:
            _make_private(Path(parsed.database))
        # A connection is not tried before its use: one that broke is replaced, and the transaction run again. What
        # a peak has opened is kept for the next one: to connect costs more than most transactions do. Nothing is left
        # open when a connection goes back, so nothing has to be rolled back.
        self.engine = sqlalchemy.create_engine(
            parsed,
            isolation_level="AUTOCOMMIT",
            skip_autocommit_rollback=True,
            pool_reset_on_return=None,
            pool_size=pool_size + max_overflow,
            max_overflow=0,
            pool_use_lifo=True,
            pool_recycle=recycle_s,
            connect_args=self._connect_args,
            execution_options=dict(options or {}),
        )
        self._sync_command = sync_command
        self.name = f"The database {parsed.render_as_string()}"
        # SQLite has one writer; waiting for it inside SQLite would hold up a green process.
        self._writer = threading.RLock() if self.is_sqlite else nullcontext()
        pool: Any = self.engine.pool
        statements.watch(self.engine, self._label)
        metrics.watch_pool(pool_name or self._label, pool.checkedout, lambda: pool_size + max_overflow)
        if prepare := _PREPARE.get(self.engine.dialect.name):
            event.listen(self.engine, "connect", prepare)

    def write(self, work: Callable[[Connection], T], is_repeatable: bool = False) -> T:
        """Run work in a transaction and commit; all it did is there when this returns, or nothing is.

        is_repeatable: work done twice is the same as work done once, so that it may run again when the connection
        broke during its COMMIT. Otherwise that raises OutcomeUnknown.
        """

        def attempt() -> T:
            with self.transaction() as connection:
                return work(connection)

        return self.repeat(attempt, is_repeatable)

    def read(self, work: Callable[[Connection], T]) -> T:
        """What several queries see may have changed between them, but on SQLite, where they make one transaction."""

        def attempt() -> T:
            # At READ COMMITTED each query sees the newest commit anyhow: a transaction would only add round trips.
            with (
                self.engine.connect() as connection,
                _between(connection, "BEGIN") if self.is_sqlite else nullcontext(),
            ):
                return work(connection)

        return self.repeat(attempt, is_repeatable=True)

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """One transaction that writes, and is not run again when the database breaks it off."""
        begin = "BEGIN IMMEDIATE" if self.is_sqlite else "BEGIN"
        with self._writer, self.engine.connect() as connection, _between(connection, begin):
            yield connection

    @contextmanager
    def connect(self) -> Iterator[Connection]:
        """A connection in autocommit: each statement stands alone."""
        try:
            with self.engine.connect() as connection:
                yield connection
            neighbours.answered(self.name)
        except (DBAPIError, PoolTimeout) as error:
            raise self._explained(error) from error

    def repeat(self, attempt: Callable[[], T], is_repeatable: bool = False) -> T:
        """Run a whole transaction, from its begin to its commit; again when the database broke it off."""
        began = time.monotonic()
        try:
            result = self._repeat(attempt, is_repeatable, began + _PATIENCE_S)
        except Exception:
            metrics.TRANSACTIONS.labels(self._label, "error").observe(time.monotonic() - began)
            raise
        metrics.TRANSACTIONS.labels(self._label, "ok").observe(time.monotonic() - began)
        return result

    def _repeat(self, attempt: Callable[[], T], is_repeatable: bool, deadline: float) -> T:
        longest_pause_s = 0.01
        while True:
            try:
                result = attempt()
            except errors.OutcomeUnknown:
                if not is_repeatable or time.monotonic() > deadline:
                    raise
            except (DBAPIError, PoolTimeout) as error:
                if not _is_transient(error):
                    raise self._explained(error) from error
                if time.monotonic() > deadline:
                    raise errors.Unavailable(service="The database", reason="it is too busy") from error
                LOG.debug("a transaction was broken off: %s", error)
            else:
                neighbours.answered(self.name)
                return result
            # Outside the transaction, so that whoever is in the way can go on.
            time.sleep(random.uniform(0, longest_pause_s))
            longest_pause_s = min(longest_pause_s * 2, _LONGEST_PAUSE_S)

    def timed_batch(self) -> AbstractContextManager[None]:
        """Around statements that a caller sends in one message, past the engine."""
        return statements.timed_batch(self._label)

    def check(self, table: str = "alembic_version") -> Check:
        """Whether the database answers and this table, which the first migration makes, is there.

        On a connection of its own, which waits for seconds only: a pool may be full, and read() is patient.
        """
        name = self.engine.dialect.name
        options = {**self._connect_args, **_IMPATIENT.get(name, {})}
        engine = sqlalchemy.create_engine(
            self.engine.url, isolation_level="AUTOCOMMIT", pool_size=1, connect_args=options, pool_reset_on_return=None
        )

        def look() -> None:
            for is_last in (False, True):
                try:
                    with engine.connect() as connection:
                        connection.exec_driver_sql(f"SELECT 1 FROM {table}")
                    return
                except (DBAPIError, PoolTimeout) as error:
                    # The connection of the last look is of a database that was away meanwhile.
                    if is_last or not (isinstance(error, DBAPIError) and _is_lost(error)):
                        raise self._explained(error) from error

        return Check("database", self.name, look)

    def close(self) -> None:
        """Close the idle connections; a later use opens new ones."""
        self.engine.dispose()

    def _explained(self, error: DBAPIError | PoolTimeout) -> Exception:
        """What a caller is told of an error of the database; the error itself when it is a defect of ours."""
        if isinstance(error, PoolTimeout):
            return errors.Unavailable(service="The database", reason="too many requests wait for it")
        if _is_missing_table(error):
            remedy = f"they come with `{self._sync_command}`"
            return self._away(f"tables are missing: {remedy} ({error.orig})", "its tables are missing", detail=remedy)
        if _is_lost(error) or isinstance(error, OperationalError | InterfaceError):
            return self._away(str(error.orig), "it does not answer")
        return error

    def _away(self, cause: str, reason: str, **details: Any) -> errors.Unavailable:
        neighbours.lost(self.name, cause)
        error = errors.Unavailable(service="The database", reason=reason, **details)
        error.is_logged = True
        return error


@contextmanager
def _between(connection: Connection, begin: str) -> Iterator[None]:
    """A transaction on a connection, from begin to COMMIT, or to ROLLBACK when an error leaves it."""
    connection.exec_driver_sql(begin)
    try:
        yield
    except BaseException:
        roll_back(connection)
        raise
    with committing(connection):
        connection.exec_driver_sql("COMMIT")


@contextmanager
def committing(connection: Connection) -> Iterator[None]:
    """Around what sends COMMIT. Raises OutcomeUnknown when the connection breaks before the answer.

    An answer of the server that is an error means that nothing was committed.
    """
    try:
        yield
    except DBAPIError as error:
        roll_back(connection)
        if _is_lost(error):
            LOG.error("the database went away while it was asked to commit: %s", error.orig)
            raise errors.OutcomeUnknown(service="The database") from error
        raise


def roll_back(connection: Connection) -> None:
    """Never raises: a connection that cannot roll back has lost its transaction."""
    # A transaction that broke with its connection is over.
    with suppress(SQLAlchemyError):
        if not connection.invalidated:
            connection.exec_driver_sql("ROLLBACK")


def _prepare_sqlite(connection: Any, _: Any) -> None:
    cursor = connection.cursor()
    # A short wait inside SQLite, which holds up every green thread; longer ones happen in repeat().
    for pragma in ("journal_mode = WAL", "synchronous = NORMAL", "busy_timeout = 50", "foreign_keys = ON"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _prepare_mysql(connection: Any, _: Any) -> None:
    """As PostgreSQL does it by itself."""
    with connection.cursor() as cursor:
        cursor.execute("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED")


_PREPARE = {"sqlite": _prepare_sqlite, "mysql": _prepare_mysql, "mariadb": _prepare_mysql}


# What the drivers call the time they wait for a connection, and for an answer.
_IMPATIENT: dict[str, dict[str, Any]] = {
    "mysql": {"connect_timeout": int(LOOK_S), "read_timeout": int(LOOK_S)},
    "mariadb": {"connect_timeout": int(LOOK_S), "read_timeout": int(LOOK_S)},
    "postgresql": {"connect_timeout": int(LOOK_S), "tcp_user_timeout": int(1000 * LOOK_S)},
}


def _is_transient(error: DBAPIError | PoolTimeout) -> bool:
    """Whether the same transaction may succeed when run again, with nothing of it kept."""
    if isinstance(error, PoolTimeout):
        return False
    if _is_lost(error) or _sqlstate(error) in _RETRIED_POSTGRESQL or _number(error) in _RETRIED_MYSQL:
        return True
    return any(words in str(error.orig) for words in _RETRIED_SQLITE)


def _is_lost(error: DBAPIError) -> bool:
    return error.connection_invalidated or _number(error) in _LAST_WORDS_MYSQL


def _is_missing_table(error: DBAPIError) -> bool:
    if _sqlstate(error) == _NO_TABLE_POSTGRESQL or _number(error) == _NO_TABLE_MYSQL:
        return True
    return _NO_TABLE_SQLITE in str(error.orig)


def _sqlstate(error: DBAPIError) -> str | None:
    return getattr(error.orig, "sqlstate", None)


def _number(error: DBAPIError) -> Any:
    """MySQL's number of an error."""
    return next(iter(getattr(error.orig, "args", ())), None)
