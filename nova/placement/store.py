"""The one door to Placement's state: read() gives the index as of now, write() a transaction.

A write transaction is alone in the whole cloud (see nova.placement.database), so what it finds in
the index is what the database holds until it commits: every check there is exact.
"""

import contextlib
import gc
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy import bindparam

from nova.placement import models as m
from nova.placement.database import Database, Pending, Statement
from nova.placement.errors import BadRequest
from nova.placement.index import Index
from nova.placement.structs import Room

T = TypeVar("T")

_MANY_PROVIDERS = 1000
# More new consumers than this do not fit into one request's body.
_IDS_PER_VERSION = 1 << 14

_PROVIDERS = m.ResourceProvider.__table__
_CLOCK = m.Clock.__table__

_TOUCHED = (
    sa.update(_PROVIDERS)
    .where(_PROVIDERS.c.id == bindparam("number"))
    .values(
        generation=_PROVIDERS.c.generation + bindparam("bump"),
        version=bindparam("now"),
        updated_at=bindparam("at"),
    )
)
_TOUCH = Statement(_TOUCHED)
_TOUCH_SHAPE = Statement(_TOUCHED.values(shape_version=bindparam("now")))


class Transaction:
    """One write: the exact index, a connection, and notes of what was changed."""

    def __init__(self, connection: sa.Connection, index: Index, version: int) -> None:
        self.connection = connection
        self.index = index
        self.version = version
        self.when = int(time.time())
        # provider id -> by how much its generation moves; kept apart by what else changed.
        self._used: dict[int, int] = {}
        self._shaped: dict[int, int] = {}
        self._usage: dict[tuple[int, int], int] = {}
        # What happens to the index after the commit; None when it must read the database again.
        # Statements that nobody waits for: they go along with the commit.
        self._pending: Pending = []
        self._after: list[Callable[[Index], None]] | None = []
        self._ids = 0
        # Rooms of providers whose inventories this transaction changes before it claims from them.
        self.pending_rooms: dict[int, dict[int, Room]] = {}

    def execute(self, statement: sa.Executable, parameters: Any = None) -> sa.CursorResult[Any]:
        return self.connection.execute(statement, parameters)

    def later(self, statement: Statement, parameters: dict[str, Any]) -> None:
        """Run a statement without result just before the commit, in order."""
        self._pending.append((statement, parameters))

    def new_id(self) -> int:
        """An id that no row has: ids are made of the version, which no other transaction has."""
        self._ids += 1
        if self._ids >= _IDS_PER_VERSION:
            raise BadRequest(f"At most {_IDS_PER_VERSION - 1} consumers may be new in one request.")
        return self.version * _IDS_PER_VERSION + self._ids

    def touch(self, provider_id: int, bump: int = 1) -> None:
        """This provider's inventory, traits, aggregates, name or place changed."""
        self._shaped[provider_id] = self._shaped.get(provider_id, 0) + bump

    def touch_usage(self, provider_id: int, bump: int, differences: dict[int, int]) -> None:
        """What consumers hold of this provider changed, by class."""
        self._used[provider_id] = self._used.get(provider_id, 0) + bump
        for class_id, difference in differences.items():
            key = (provider_id, class_id)
            self._usage[key] = self._usage.get(key, 0) + difference

    def usage_difference(self, provider_id: int, class_id: int) -> int:
        """By how much this transaction has changed the usage of a class so far."""
        return self._usage.get((provider_id, class_id), 0)

    def change_names(self) -> None:
        """A trait or a resource class came, went or was renamed."""
        self.execute(sa.update(_CLOCK).values(names_version=self.version))
        self._after = None

    def remove_provider(self, provider_id: int) -> None:
        """Tell readers that a provider is gone."""
        self.execute(sa.insert(m.RemovedProvider), {"provider_id": provider_id, "version": self.version})
        self.execute(sa.update(_CLOCK).values(removed_version=self.version))
        self._after = None

    def after_commit(self, change: Callable[[Index], None]) -> None:
        """Do to the index what was done to the database, once that is certain.

        Generations and usage are not its business: touch() and touch_usage() see to them.
        """
        if self._after is not None:
            self._after.append(change)

    def finish(self) -> Pending:
        """The statements that are left to run before the commit."""
        for provider_id, bump in self._shaped.items():
            self._write_touch(_TOUCH_SHAPE, provider_id, bump + self._used.get(provider_id, 0))
        for provider_id, bump in self._used.items():
            if provider_id not in self._shaped:
                self._write_touch(_TOUCH, provider_id, bump)
        return self._pending

    def tell(self, index: Index) -> None:
        """After the commit: bring the index along without reading the database again."""
        if self._after is None or index.version != self.version - 1:
            return
        for change in self._after:
            change(index)
        for (provider_id, class_id), difference in self._usage.items():
            index.add_usage(provider_id, class_id, difference)
        for provider_id in self._used.keys() | self._shaped.keys():
            bump = self._used.get(provider_id, 0) + self._shaped.get(provider_id, 0)
            generation = index.providers[provider_id].generation + bump
            index.change(provider_id, generation=generation, updated_at=self.when)
        index.version = self.version

    def _write_touch(self, statement: Statement, provider_id: int, bump: int) -> None:
        values = {"number": provider_id, "bump": bump, "now": self.version, "at": self.when}
        self.later(statement, values)


class Store:
    """State of one Placement, over one database."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self._index = Index()
        self._lock = threading.RLock()
        self._settled = 0

    @contextlib.contextmanager
    def read(self) -> Iterator[Index]:
        """The index as of now. It may be used until the block ends, and not changed.

        What was committed by any worker before this call is in it.
        """
        with self.database.connect() as connection, self._lock:
            if not self._index.is_current(connection):
                with self.database.reading(connection):
                    self._index.refresh(connection)
                self._settle()
            yield self._index

    @contextlib.contextmanager
    def query(self) -> Iterator[sa.Connection]:
        """A connection for what the index does not hold: consumers and their allocations."""
        with self.database.connect() as connection:
            yield connection

    def write(self, work: Callable[[Transaction], T]) -> T:
        """Call work in a transaction; all it did is there when this returns, or nothing is.

        work may run again when the database asks for it.
        """

        def transact(connection: sa.Connection, version: int) -> tuple[tuple[T, Transaction], Pending]:
            with self._lock:
                if self._index.version != version - 1:
                    self._index.refresh(connection, upto=version - 1)
            transaction = Transaction(connection, self._index, version)
            result = work(transaction)
            return (result, transaction), transaction.finish()

        result, transaction = self.database.write(transact)
        with self._lock:
            transaction.tell(self._index)
        return result

    def _settle(self) -> None:
        """Once the index has grown by half, take it out of the garbage collector's rounds.

        It lives as long as the process, and walking 10,000 providers takes the collector longer
        than most requests take altogether.
        """
        if len(self._index.providers) > self._settled * 1.5 + _MANY_PROVIDERS:
            gc.collect()
            gc.freeze()
            self._settled = len(self._index.providers)
