"""Placement's tables. Rows are read with Core selects; nothing outside this package knows them.

Every write takes the one row of `placement_clock` first, so that writers line up and a version
number tells readers what changed since they last looked.
"""

from typing import ClassVar

from sqlalchemy import BigInteger, Double, ForeignKey, Index, Integer, String, Table
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

# SQLite numbers rows by itself only when the key is spelled INTEGER.
KEY = BigInteger().with_variant(Integer, "sqlite")
# Names and ids compare byte by byte: CUSTOM_A and custom_a differ.
NAME = String(255).with_variant(String(255, collation="utf8mb4_bin"), "mysql", "mariadb")
UUID = String(36).with_variant(String(36, collation="ascii_bin"), "mysql", "mariadb")


class Base(DeclarativeBase):
    """Root of Placement's own metadata: it may share a database with other tables."""

    # Queries are built over it: it is never a join or a subquery.
    __table__: ClassVar[Table]


class Clock(Base):
    """One row: how often anything was written, and when which kind of thing last changed.

    Locking this row is what makes a writer the only one.
    """

    __tablename__ = "placement_clock"

    id: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    version: Mapped[int] = mapped_column(BigInteger)
    names_version: Mapped[int] = mapped_column(BigInteger)
    removed_version: Mapped[int] = mapped_column(BigInteger)


class ResourceProvider(Base):
    """A node of a tree. `version` is the clock at its last change, `shape_version` at the last one beyond usage."""

    __tablename__ = "placement_resource_providers"
    __table_args__ = ({"sqlite_autoincrement": True},)

    id: Mapped[int] = mapped_column(KEY, primary_key=True, autoincrement=True)
    uuid: Mapped[str] = mapped_column(UUID, unique=True)
    name: Mapped[str] = mapped_column(NAME, unique=True)
    generation: Mapped[int] = mapped_column(BigInteger)
    parent_id: Mapped[int | None] = mapped_column(KEY, ForeignKey("placement_resource_providers.id"), index=True)
    root_id: Mapped[int | None] = mapped_column(KEY, ForeignKey("placement_resource_providers.id"), index=True)
    version: Mapped[int] = mapped_column(BigInteger, index=True)
    shape_version: Mapped[int] = mapped_column(BigInteger)
    updated_at: Mapped[int] = mapped_column(BigInteger)


class RemovedProvider(Base):
    """Tells readers which providers went away; the id of one is never used again."""

    __tablename__ = "placement_removed_providers"

    provider_id: Mapped[int] = mapped_column(KEY, primary_key=True, autoincrement=False)
    version: Mapped[int] = mapped_column(BigInteger, index=True)


class ResourceClass(Base):
    """What can be counted: the standard classes of os-resource-classes, and CUSTOM_ ones."""

    __tablename__ = "placement_resource_classes"
    __table_args__ = ({"sqlite_autoincrement": True},)

    id: Mapped[int] = mapped_column(KEY, primary_key=True, autoincrement=True)
    name: Mapped[str] = mapped_column(NAME, unique=True)
    updated_at: Mapped[int] = mapped_column(BigInteger)


class Trait(Base):
    """What a provider may be said to have."""

    __tablename__ = "placement_traits"
    __table_args__ = ({"sqlite_autoincrement": True},)

    id: Mapped[int] = mapped_column(KEY, primary_key=True, autoincrement=True)
    name: Mapped[str] = mapped_column(NAME, unique=True)
    updated_at: Mapped[int] = mapped_column(BigInteger)


class Inventory(Base):
    """How much of one class a provider has, and in which portions it is given away."""

    __tablename__ = "placement_inventories"

    provider_id: Mapped[int] = mapped_column(KEY, ForeignKey("placement_resource_providers.id"), primary_key=True)
    class_id: Mapped[int] = mapped_column(
        KEY, ForeignKey("placement_resource_classes.id"), primary_key=True, index=True
    )
    total: Mapped[int] = mapped_column(Integer)
    reserved: Mapped[int] = mapped_column(Integer)
    min_unit: Mapped[int] = mapped_column(Integer)
    max_unit: Mapped[int] = mapped_column(Integer)
    step_size: Mapped[int] = mapped_column(Integer)
    allocation_ratio: Mapped[float] = mapped_column(Double)


class ProviderTrait(Base):
    """This provider has this trait."""

    __tablename__ = "placement_provider_traits"

    provider_id: Mapped[int] = mapped_column(KEY, ForeignKey("placement_resource_providers.id"), primary_key=True)
    trait_id: Mapped[int] = mapped_column(KEY, ForeignKey("placement_traits.id"), primary_key=True, index=True)


class ProviderAggregate(Base):
    """This provider is in this aggregate. An aggregate is a UUID and nothing else."""

    __tablename__ = "placement_provider_aggregates"

    provider_id: Mapped[int] = mapped_column(KEY, ForeignKey("placement_resource_providers.id"), primary_key=True)
    aggregate: Mapped[str] = mapped_column(UUID, primary_key=True)


class Consumer(Base):
    """Who holds allocations: it exists as long as it holds some."""

    __tablename__ = "placement_consumers"
    __table_args__ = (
        Index("placement_consumers_owner", "project_id", "user_id"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(KEY, primary_key=True, autoincrement=True)
    uuid: Mapped[str] = mapped_column(UUID, unique=True)
    project_id: Mapped[str] = mapped_column(NAME)
    user_id: Mapped[str] = mapped_column(NAME)
    consumer_type: Mapped[str | None] = mapped_column(NAME)
    generation: Mapped[int] = mapped_column(BigInteger)
    updated_at: Mapped[int] = mapped_column(BigInteger)


class Allocation(Base):
    """This consumer holds this much of one class of one provider."""

    __tablename__ = "placement_allocations"
    __table_args__ = (Index("placement_allocations_provider", "provider_id", "class_id"),)

    consumer_id: Mapped[int] = mapped_column(KEY, ForeignKey("placement_consumers.id"), primary_key=True)
    provider_id: Mapped[int] = mapped_column(KEY, ForeignKey("placement_resource_providers.id"), primary_key=True)
    class_id: Mapped[int] = mapped_column(KEY, ForeignKey("placement_resource_classes.id"), primary_key=True)
    used: Mapped[int] = mapped_column(BigInteger)
