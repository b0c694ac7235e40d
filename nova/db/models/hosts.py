"""Hosts: daemons, hypervisor nodes, aggregates, cells."""

from sqlalchemy import UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from nova.db.models.base import TABLE, Base, Big, Document, Name, Serial, Time, Uuid, Word


class Service(Base):
    """A daemon on a host. is_up changes when it falls silent or speaks again, not with every sign of life."""

    __tablename__ = "services"

    id: Mapped[Serial]
    uuid: Mapped[Uuid] = mapped_column(unique=True)
    host: Mapped[Name]
    binary: Mapped[Word]
    version: Mapped[int]
    listener: Mapped[Name]
    is_up: Mapped[bool]
    is_disabled: Mapped[bool]
    disabled_reason: Mapped[Name | None]
    is_forced_down: Mapped[bool]
    changed_in: Mapped[Big]
    created_at: Mapped[Time]
    updated_at: Mapped[Time | None]

    __table_args__ = (UniqueConstraint("host", "binary"), TABLE)


class Node(Base):
    """A hypervisor; its uuid is its resource provider's. document is a NodeState."""

    __tablename__ = "nodes"

    id: Mapped[Serial]
    uuid: Mapped[Uuid] = mapped_column(unique=True)
    host: Mapped[Name] = mapped_column(index=True)
    hypervisor_hostname: Mapped[Name]
    document: Mapped[Document]
    changed_in: Mapped[Big]
    created_at: Mapped[Time]
    updated_at: Mapped[Time | None]

    __table_args__ = (UniqueConstraint("host", "hypervisor_hostname"), TABLE)


class Aggregate(Base):
    __tablename__ = "aggregates"

    id: Mapped[Serial]
    uuid: Mapped[Uuid] = mapped_column(unique=True)
    name: Mapped[Name] = mapped_column(unique=True)
    hosts: Mapped[Document]
    aggregate_metadata: Mapped[Document] = mapped_column("metadata")
    created_at: Mapped[Time]
    updated_at: Mapped[Time | None]


class Counter(Base):
    """A number that only grows. "hosts" is the version of all that a scheduler's host view is made of."""

    __tablename__ = "counters"

    name: Mapped[Word] = mapped_column(primary_key=True)
    value: Mapped[Big]


class Cell(Base):
    """A message bus with its hosts and conductors."""

    __tablename__ = "cells"

    uuid: Mapped[Uuid] = mapped_column(primary_key=True)
    name: Mapped[Name]
    transport_url: Mapped[Document]
    database_connection: Mapped[Document]
    is_disabled: Mapped[bool]
    created_at: Mapped[Time]
