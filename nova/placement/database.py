"""The way to Placement's database: connections in autocommit, transactions begun by name.

A writer is always alone: its transaction starts by locking the clock's row (SQLite: the file), so
writers never deadlock with each other, and what a writer has read stays true until it commits.
"""

import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import pymysql
import sqlalchemy as sa
from pymysql.constants import CLIENT

from nova import errors
from nova.db import engine
from nova.placement import models as m
from nova.placement.errors import Unavailable
from nova.readiness import Check

T = TypeVar("T")

# How a transaction that only reads sees one moment of the whole database.
_BEGIN_READ = {
    "sqlite": ("BEGIN",),
    "mysql": (
        "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ",
        "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY",
    ),
    "postgresql": ("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",),
}
_BEGIN_WRITE = {"sqlite": "BEGIN IMMEDIATE", "mysql": "START TRANSACTION", "postgresql": "BEGIN"}
_SYNC_COMMAND = "placement-manage db sync"


class Statement:
    """A Core statement, rendered once per dialect: running it costs what the driver costs, no more.

    For the statements that every request runs. Its parameters are plain numbers and strings.
    """

    def __init__(self, statement: sa.ClauseElement) -> None:
        self._statement = statement
        self._rendered: dict[str, tuple[str, list[str] | None]] = {}

    def run(self, connection: sa.Connection, parameters: Any = None) -> sa.CursorResult[Any]:
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


_CLOCK = m.Clock.__table__
_NEXT = _CLOCK.c.version + sa.literal_column("1")
# The tick gives the new version back: in its result, under MySQL in the place of an inserted key.
_TICK = Statement(sa.update(_CLOCK).values(version=_NEXT).returning(_CLOCK.c.version))
_TICK_MYSQL = Statement(sa.update(_CLOCK).values(version=sa.func.last_insert_id(_NEXT)))

# What a transaction leaves to its end: statements without results, in order.
Pending = list[tuple[Statement, dict[str, Any]]]


class Database:
    """One database as one application sees it. Holds no connection until the first use.

    Every method raises Unavailable when the database cannot be used.
    """

    def __init__(self, url: str, pool_size: int = 5, max_overflow: int = 50, recycle_s: int = 3600) -> None:
        self._readers = engine.Database(url, pool_size, max_overflow, recycle_s, _SYNC_COMMAND)
        dialect = self._readers.engine.dialect.name
        self.dialect = "mysql" if dialect == "mariadb" else dialect
        # Only the writer's connection may carry several statements in one message.
        self._writer = self._readers
        if self.dialect == "mysql":
            flags = {"client_flag": CLIENT.MULTI_STATEMENTS}
            pool = "placement_writer"
            self._writer = engine.Database(url, 1, 0, recycle_s, _SYNC_COMMAND, connect_args=flags, pool_name=pool)
        self._alone = threading.Lock()

    def check(self) -> Check:
        """Whether the database answers, and has been migrated."""
        return self._readers.check("placement_alembic_version")

    def close(self) -> None:
        self._readers.close()
        self._writer.close()

    @contextlib.contextmanager
    def connect(self) -> Iterator[sa.Connection]:
        """A connection in autocommit: each statement stands alone."""
        with _translated_errors(), self._readers.connect() as connection:
            yield connection

    @contextlib.contextmanager
    def reading(self, connection: sa.Connection) -> Iterator[None]:
        """Statements on connection see one moment of the database."""
        for statement in _BEGIN_READ[self.dialect]:
            connection.exec_driver_sql(statement)
        try:
            yield
        finally:
            connection.exec_driver_sql("ROLLBACK" if self.dialect == "sqlite" else "COMMIT")

    def write(self, work: Callable[[sa.Connection, int], tuple[T, Pending]]) -> T:
        """Call work in a transaction of its own and commit; again when the database asks for that.

        The clock is taken first; work gets its new version, and returns its result and the
        statements that are left to run before the commit. It may run more than once, so it changes
        nothing outside the database.
        """
        with _translated_errors():
            return self._writer.repeat(lambda: self._transact(work))

    def _transact(self, work: Callable[[sa.Connection, int], tuple[T, Pending]]) -> T:
        with self._alone, self._writer.engine.connect() as connection:
            try:
                result, pending = work(connection, self._begin(connection))
                if self.dialect != "mysql":
                    for statement, parameters in pending:
                        statement.run(connection, parameters)
            except BaseException:
                engine.roll_back(connection)
                raise
            with engine.committing(connection):
                self._commit(connection, pending)
            return result

    def _begin(self, connection: sa.Connection) -> int:
        """Begin and take the clock, which makes this the only writer; the version of this transaction."""
        begin = _BEGIN_WRITE[self.dialect]
        if self.dialect == "mysql":
            return self._send(connection, [begin, _TICK_MYSQL.text(connection.dialect)])
        connection.exec_driver_sql(begin)
        version: int = _TICK.run(connection).scalar_one()
        return version

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
            with self._writer.timed_batch():
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


@contextlib.contextmanager
def _translated_errors() -> Iterator[None]:
    """What the engine says of a database that cannot be used, as Placement's own error."""
    try:
        yield
    except errors.Unavailable as error:
        raise Unavailable(error.message) from error
