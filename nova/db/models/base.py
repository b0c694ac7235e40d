"""What all tables share: column types that mean the same in SQLite, MariaDB and PostgreSQL."""

import datetime
from typing import Annotated, Any, ClassVar

from sqlalchemy import BigInteger, DateTime, Integer, MetaData, String, Table, Text
from sqlalchemy.dialects import mysql
from sqlalchemy.engine import CursorResult
from sqlalchemy.orm import DeclarativeBase, mapped_column

_BIG = BigInteger().with_variant(Integer(), "sqlite")
_TIME = DateTime().with_variant(mysql.DATETIME(fsp=6), "mysql", "mariadb")
_DOCUMENT = Text().with_variant(mysql.MEDIUMTEXT(), "mysql", "mariadb")

Serial = Annotated[int, mapped_column(_BIG, primary_key=True, autoincrement=True)]
Big = Annotated[int, mapped_column(_BIG)]
Uuid = Annotated[str, mapped_column(String(36))]
Name = Annotated[str, mapped_column(String(255))]
Word = Annotated[str, mapped_column(String(64))]
Time = Annotated[datetime.datetime, mapped_column(_TIME)]
# A JSON text that msgspec writes and reads; never queried by the database.
Document = Annotated[str, mapped_column(_DOCUMENT)]


class Base(DeclarativeBase):
    """Every table compares text by bytes: names that differ in case differ."""

    # Queries are built over it: it is never a join or a subquery.
    __table__: ClassVar[Table]

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    __table_args__: Any = {
        "mysql_engine": "InnoDB",
        "mysql_charset": "utf8mb4",
        "mysql_collate": "utf8mb4_bin",
    }


TABLE = Base.__table_args__


def inserted_id(result: CursorResult[Any]) -> int:
    """The number that the database gave to the row of an insert."""
    key = result.inserted_primary_key
    assert key is not None
    return int(key[0])
