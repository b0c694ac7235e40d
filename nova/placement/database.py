"""The way to Placement's database: connections in autocommit, transactions begun by name.

A writer is always alone: its transaction starts by locking the clock's row (SQLite: the file), so
writers never deadlock with each other, and what a writer has read stays true until it commits.
"""

import contextlib
import logging
import random
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pymysql
import sqlalchemy as sa
from pymysql.constants import CLIENT
from sqlalchemy import event
from sqlalchemy.pool import StaticPool

from nova.placement import models as m
from nova.placement.errors import Unavailable

LOG = logging.getLogger(__name__)

T = TypeVar("T")

# How a transaction that only reads sees one moment of the whole database.
_BEGIN_READ = {
    "sqlite": "BEGIN",
    "mysql": "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY",
    "postgresql": "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
}
_BEGIN_WRITE = {"sqlite": "BEGIN IMMEDIATE", "mysql": "START TRANSACTION", "postgresql": "BEGIN"}
# Deadlock and lock timeout in MySQL's numbers, serialization failure and deadlock in PostgreSQL's.
_TRANSIENT_MYSQL = frozenset({1205, 1213, 1020})
_TRANSIENT_POSTGRESQL = frozenset({"40001", "40P01", "55P03"})
_NO_TABLE_MYSQL, _NO_TABLE_POSTGRESQL = 1146, "42P01"
# A writer waits this long for its turn before the client is told to come again.
PATIENCE_S = 30.0


class Statement:
    """A Core statement, rendered once per dialect: running it costs what the driver costs, no more.

    For the statements that every request runs. Its parameters are plain numbers and strings.
    """

    def __init__(self, statement: sa.Executable) -> None:
        self._statement = statement
        self._rendered: dict[str, tuple[str, list[str] | None]] = {}

    def run(self, connection: sa.Connection, parameters: Any = None) -> sa.CursorResult:
        """Run with a dict of parameters, or once for each of a list of dicts."""
        rendered = self._rendered.get(connection.dialect.name)
        if rendered is None:
            rendered = self._rendered[connection.dialect.name] = self._render(connection.dialect)
        text, order = rendered
        if order is None or parameters is None:
            return connection.exec_driver_sql(text, parameters)
        if isinstance(parameters, list):
            return connection.exec_driver_sql(text, [tuple([row[name] for name in order]) for row in parameters])
        return connection.exec_driver_sql(text, tuple([parameters[name] for name in order]))

    def text(self, dialect: Any) -> str:
        """The statement as the driver takes it, with places for named parameters."""
        if dialect.name not in self._rendered:
            self._rendered[dialect.name] = self._render(dialect)
        return self._rendered[dialect.name][0]

    def _render(self, dialect: Any) -> tuple[str, list[str] | None]:
        compiled: Any = self._statement.compile(dialect=dialect)
        return str(compiled), compiled.positiontup


_CLOCK = sa.inspect(m.Clock).local_table
_NEXT = _CLOCK.c.version + sa.literal_column("1")
# The tick gives the new version back: in its result, under MySQL in the place of an inserted key.
_TICK = Statement(sa.update(_CLOCK).values(version=_NEXT).returning(_CLOCK.c.version))
_TICK_MYSQL = Statement(sa.update(_CLOCK).values(version=sa.func.last_insert_id(_NEXT)))

# What a transaction leaves to its end: statements without results, in order.
Pending = list[tuple[Statement, dict[str, Any]]]


class Database:
    """One database as one application sees it. Holds no connection until the first use."""

    def __init__(self, url: str, pool_size: int = 5, max_overflow: int = 50, recycle_s: int = 3600) -> None:
        self.engine = _make_engine(url, pool_size, max_overflow, recycle_s)
        name = self.engine.dialect.name
        self.dialect = "mysql" if name == "mariadb" else name
        # An in-memory SQLite database has one connection: whoever uses it uses it alone.
        self.is_shared_connection = isinstance(self.engine.pool, StaticPool)
        # Only the writer's connection may carry several statements in one message.
        self._writer = self.engine
        if self.dialect == "mysql":
            self._writer = _make_engine(url, 1, 0, recycle_s, {"client_flag": CLIENT.MULTI_STATEMENTS})
        self._only = threading.RLock()
        self._writing = threading.Lock()

    def close(self) -> None:
        self.engine.dispose()
        self._writer.dispose()

    @contextlib.contextmanager
    def connect(self) -> Iterator[sa.Connection]:
        """A connection in autocommit: each statement stands alone."""
        guard = self._only if self.is_shared_connection else contextlib.nullcontext()
        with guard, _explained(), self.engine.connect() as connection:
            yield connection

    @contextlib.contextmanager
    def reading(self, connection: sa.Connection) -> Iterator[None]:
        """Statements on connection see one moment of the database."""
        connection.exec_driver_sql(_BEGIN_READ[self.dialect])
        try:
            yield
        finally:
            connection.exec_driver_sql("ROLLBACK" if self.dialect == "sqlite" else "COMMIT")

    def write(self, work: Callable[[sa.Connection, int], tuple[T, Pending]]) -> T:
        """Call work in a transaction of its own and commit; again when the database asks for that.

        The clock is taken first; work gets its new version, and returns its result and the
        statements that are left to run before the commit. It may run more than once, so it changes
        nothing outside the database.
        Raises Unavailable when the database does not answer or its lock cannot be had in time.
        """
        deadline = time.monotonic() + PATIENCE_S
        pause_s = 0.005
        while True:
            guard = self._only if self.is_shared_connection else contextlib.nullcontext()
            try:
                with self._writing, guard, self._writer.connect() as connection:
                    return self._transact(connection, work)
            except sa.exc.DBAPIError as error:
                if not _is_transient(error):
                    raise _explain(error) from error
                if time.monotonic() > deadline:
                    raise Unavailable("The database is too busy.") from error
            # Outside the lock and the transaction, so that whoever is in the way can go on.
            time.sleep(pause_s * (1 + random.random()))
            pause_s = min(pause_s * 2, 0.25)

    def _transact(self, connection: sa.Connection, work: Callable[[sa.Connection, int], tuple[T, Pending]]) -> T:
        try:
            result, pending = work(connection, self._begin(connection))
            if self.dialect != "mysql":
                for statement, parameters in pending:
                    statement.run(connection, parameters)
        except BaseException:
            self._roll_back(connection)
            raise
        try:
            self._commit(connection, pending)
        except sa.exc.DBAPIError as error:
            self._roll_back(connection)
            # An answer of the server, whatever it says, means that nothing was committed.
            if error.connection_invalidated:
                raise Unavailable("The database went away while it was asked to commit.") from error
            raise
        return result

    def _begin(self, connection: sa.Connection) -> int:
        """Begin and take the clock, which makes this the only writer; the version of this transaction."""
        begin = _BEGIN_WRITE[self.dialect]
        if self.dialect == "mysql":
            return self._send(connection, [begin, _TICK_MYSQL.text(connection.dialect)])
        connection.exec_driver_sql(begin)
        return _TICK.run(connection).scalar_one()

    def _commit(self, connection: sa.Connection, pending: Pending) -> None:
        if self.dialect != "mysql":
            connection.exec_driver_sql("COMMIT")
            return
        cursor = connection.connection.cursor()
        texts = [cursor.mogrify(statement.text(connection.dialect), values) for statement, values in pending]
        cursor.close()
        self._send(connection, [*texts, "COMMIT"])

    def _send(self, connection: sa.Connection, texts: list[str]) -> int:
        """Send statements without results in one message; the key the last of them inserted.

        The server stops at the first that fails, whose error is raised. MySQL only.
        """
        cursor = connection.connection.cursor()
        try:
            cursor.execute("; ".join(texts))
            while cursor.nextset():
                pass
            return cursor.lastrowid
        except pymysql.err.Error as error:
            lost = connection.dialect.is_disconnect(error, connection.connection, cursor)
            if lost:
                connection.invalidate(error)
            raise sa.exc.DBAPIError.instance(
                "; ".join(texts)[:500], None, error, pymysql.err.Error, connection_invalidated=lost
            ) from error
        finally:
            with contextlib.suppress(pymysql.err.Error):
                cursor.close()

    @staticmethod
    def _roll_back(connection: sa.Connection) -> None:
        with contextlib.suppress(sa.exc.SQLAlchemyError):
            if not connection.invalidated:
                connection.exec_driver_sql("ROLLBACK")


def _make_engine(
    url: str, pool_size: int, max_overflow: int, recycle_s: int, connect_args: dict[str, Any] | None = None
) -> sa.Engine:
    parsed = sa.make_url(url)
    options: dict[str, Any] = {
        "isolation_level": "AUTOCOMMIT",
        "connect_args": connect_args or {},
        "pool_recycle": recycle_s,
        # Nothing is left open when a connection goes back, so nothing has to be rolled back.
        "pool_reset_on_return": None,
        "skip_autocommit_rollback": True,
    }
    if parsed.get_backend_name() == "sqlite":
        if parsed.database in (None, "", ":memory:"):
            options |= {"poolclass": StaticPool, "connect_args": {"check_same_thread": False}}
        else:
            Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
            options |= {"pool_size": pool_size, "max_overflow": max_overflow}
        engine = sa.create_engine(parsed, **options)
        event.listen(engine, "connect", _prepare_sqlite)
        return engine
    return sa.create_engine(parsed, pool_size=pool_size, max_overflow=max_overflow, **options)


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=NORMAL")
    cursor.execute("PRAGMA foreign_keys=ON")
    # Short: waiting inside SQLite holds up every green thread; longer waits happen in write().
    cursor.execute("PRAGMA busy_timeout=50")
    cursor.close()


@contextlib.contextmanager
def _explained() -> Iterator[None]:
    """A database that cannot be used is the server's trouble, and temporary."""
    try:
        yield
    except sa.exc.DBAPIError as error:
        raise _explain(error) from error


def _explain(error: sa.exc.DBAPIError) -> Exception:
    """What a client is told of an error of the database; the error itself when it is a defect of ours."""
    original = error.orig
    number = next(iter(getattr(original, "args", ())), None)
    if "no such table" in str(original) or number == _NO_TABLE_MYSQL or _sqlstate(error) == _NO_TABLE_POSTGRESQL:
        LOG.error("Placement's tables are missing: run placement-manage db sync (%s)", original)
        return Unavailable("Placement's tables are missing: they come with `placement-manage db sync`.")
    if error.connection_invalidated or isinstance(error, sa.exc.OperationalError | sa.exc.InterfaceError):
        LOG.error("the database does not answer: %s", original)
        return Unavailable("The database does not answer.")
    return error


def _sqlstate(error: sa.exc.DBAPIError) -> str | None:
    return getattr(error.orig, "sqlstate", None)


def _is_transient(error: sa.exc.DBAPIError) -> bool:
    """Whether the same transaction may succeed when tried again, with nothing of it kept."""
    original = error.orig
    if "database is locked" in str(original) or "database table is locked" in str(original):
        return True
    if _sqlstate(error) in _TRANSIENT_POSTGRESQL:
        return True
    arguments = getattr(original, "args", ())
    if arguments and arguments[0] in _TRANSIENT_MYSQL:
        return True
    # A connection that died before COMMIT was sent took its transaction with it.
    return bool(error.connection_invalidated)
