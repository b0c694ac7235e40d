"""Operations and what is left of them: step events, the event log, scheduling decisions."""

from sqlalchemy import Index
from sqlalchemy.orm import Mapped, mapped_column

from nova.db.models.base import TABLE, Base, Big, Document, Name, Serial, Time, Uuid, Word


class Operation(Base):
    """A long action on a server, and how far it is.

    active_key is the server's uuid while the operation is under way and NULL before and after:
    its uniqueness is what allows one operation at a time. wake_at is when somebody should look at
    it next: the end of a lease, a step's deadline, the time of a retry. project_id and user_id are those of
    who asked, owner_project_id is the server's.
    """

    __tablename__ = "operations"

    id: Mapped[Serial]
    uuid: Mapped[Uuid] = mapped_column(unique=True)
    name: Mapped[Word]
    instance_uuid: Mapped[Uuid]
    active_key: Mapped[Uuid | None] = mapped_column(unique=True)
    project_id: Mapped[Name]
    user_id: Mapped[Name]
    owner_project_id: Mapped[Name]
    request_id: Mapped[Word]
    state: Mapped[Word]
    step: Mapped[Word]
    attempt: Mapped[int]
    document: Mapped[Document]
    waiting_host: Mapped[Name | None] = mapped_column(index=True)
    order: Mapped[Document | None]
    is_cancelled: Mapped[bool]
    lease_owner: Mapped[Word | None]
    generation: Mapped[int]
    wake_at: Mapped[Time | None]
    deadline_at: Mapped[Time]
    message: Mapped[Document | None]
    failure: Mapped[Document | None]
    created_at: Mapped[Time]
    updated_at: Mapped[Time]
    finished_at: Mapped[Time | None]

    __table_args__ = (
        Index("ix_operations_wake", "wake_at"),
        Index("ix_operations_instance", "instance_uuid", "id"),
        Index("ix_operations_request", "instance_uuid", "request_id"),
        TABLE,
    )


class StepEvent(Base):
    """One run of one step: an event of the instance action."""

    __tablename__ = "step_events"

    id: Mapped[Serial]
    operation_uuid: Mapped[Uuid] = mapped_column(index=True)
    name: Mapped[Word]
    host: Mapped[Name | None]
    started_at: Mapped[Time]
    finished_at: Mapped[Time | None]
    result: Mapped[Word | None]
    details: Mapped[Document | None]


class Event(Base):
    """The event log: every change of state, appended in the transaction that makes it.

    details: what the event was about, kept while somebody tells of it outside this cloud.
    """

    __tablename__ = "events"

    id: Mapped[Serial]
    created_at: Mapped[Time] = mapped_column(index=True)
    kind: Mapped[Word]
    project_id: Mapped[Name | None]
    instance_uuid: Mapped[Uuid | None]
    request_id: Mapped[Word | None]
    payload: Mapped[Document]
    details: Mapped[Document | None]

    __table_args__ = (
        Index("ix_events_project", "project_id", "id"),
        Index("ix_events_instance", "instance_uuid", "id"),
        TABLE,
    )


class LogReader(Base):
    """How far somebody has read the event log, and which conductor reads it for them now.

    position is the last entry read; missing holds the numbers before it that were not there yet, because
    numbers are given before transactions commit.
    """

    __tablename__ = "log_readers"

    name: Mapped[Word] = mapped_column(primary_key=True)
    position: Mapped[Big]
    missing: Mapped[Document]
    owner: Mapped[Word | None]
    lease_until: Mapped[Time | None]


class Decision(Base):
    """How a host was chosen for a server: kept to be read by whoever wonders."""

    __tablename__ = "scheduling_decisions"

    id: Mapped[Serial]
    instance_uuid: Mapped[Uuid] = mapped_column(index=True)
    operation_uuid: Mapped[Uuid]
    created_at: Mapped[Time]
    document: Mapped[Document]


class Migration(Base):
    """A server's way from one host to another."""

    __tablename__ = "migrations"

    id: Mapped[Serial]
    uuid: Mapped[Uuid] = mapped_column(unique=True)
    instance_uuid: Mapped[Uuid] = mapped_column(index=True)
    operation_uuid: Mapped[Uuid | None]
    project_id: Mapped[Name]
    user_id: Mapped[Name]
    kind: Mapped[Word]
    status: Mapped[Word]
    source_host: Mapped[Name | None]
    source_node: Mapped[Name | None]
    dest_host: Mapped[Name | None]
    dest_node: Mapped[Name | None]
    dest_ip: Mapped[Name | None]
    old_flavor_id: Mapped[Name | None]
    new_flavor_id: Mapped[Name | None]
    progress: Mapped[Document]
    created_at: Mapped[Time]
    updated_at: Mapped[Time | None]

    __table_args__ = (Index("ix_migrations_status", "status"), TABLE)
