"""Fills a compute database with copies of one server, to measure lists out of very many."""

import contextlib
import uuid
from collections.abc import Iterator

import sqlalchemy as sa

_BATCH = 2000


@contextlib.contextmanager
def copies(url: str, server_id: str, count: int) -> Iterator[None]:
    """count copies of a server, each with an id and a name of its own.

    They have no guest and no allocation, and are gone again at the end.
    """
    engine = sa.create_engine(url)
    table = sa.Table("instances", sa.MetaData(), autoload_with=engine)
    with engine.connect() as connection:
        row = connection.execute(sa.select(table).where(table.c.uuid == server_id)).one()
    pattern = {name: value for name, value in row._mapping.items() if name != "id"}
    reservation = f"r-{uuid.uuid4().hex[:8]}"
    try:
        for start in range(0, count, _BATCH):
            rows = [
                {**pattern, "uuid": str(uuid.uuid4()), "name": f"crowd-{number}", "reservation_id": reservation}
                for number in range(start, min(start + _BATCH, count))
            ]
            with engine.begin() as connection:
                connection.execute(sa.insert(table), rows)
        yield
    finally:
        with engine.begin() as connection:
            connection.execute(sa.delete(table).where(table.c.reservation_id == reservation))
        engine.dispose()
