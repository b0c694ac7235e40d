"""Servers: one row each, with documents for all that is neither filtered nor sorted on."""

from sqlalchemy import Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from nova.db.models.base import TABLE, Base, Document, Name, Serial, Time, Uuid, Word


class Instance(Base):
    __tablename__ = "instances"

    id: Mapped[Serial]
    uuid: Mapped[Uuid] = mapped_column(unique=True)
    project_id: Mapped[Name]
    user_id: Mapped[Name]
    name: Mapped[Name]
    hostname: Mapped[Name]
    vm_state: Mapped[Word]
    task_state: Mapped[Word | None]
    power_state: Mapped[int]
    host: Mapped[Name | None] = mapped_column(index=True)
    node: Mapped[Name | None]
    availability_zone: Mapped[Name | None]
    flavor_id: Mapped[Name]
    image_id: Mapped[Uuid | None]
    key_name: Mapped[Name | None]
    is_locked: Mapped[bool]
    reservation_id: Mapped[Word]
    created_at: Mapped[Time]
    updated_at: Mapped[Time | None]
    launched_at: Mapped[Time | None]
    terminated_at: Mapped[Time | None]
    deleted_at: Mapped[Time | None]
    flavor: Mapped[Document]
    image: Mapped[Document | None]
    server_metadata: Mapped[Document] = mapped_column("metadata")
    system_metadata: Mapped[Document]
    tags: Mapped[Document]
    vifs: Mapped[Document]
    block_devices: Mapped[Document]
    shares: Mapped[Document]
    fault: Mapped[Document | None]
    properties: Mapped[Document]
    user_data: Mapped[Document | None]
    # Servers of older releases, and those made by one meanwhile, are of the first generation.
    generation: Mapped[int] = mapped_column(server_default="1")
    last_generation: Mapped[int] = mapped_column(server_default="1")
    # When it came into its vm_state, or earlier: an older release changes the state alone. None: not known.
    state_since: Mapped[Time | None]

    __table_args__ = (
        # The two lists users ask for: mine, newest first; everybody's, newest first.
        Index("ix_instances_project_created", "project_id", "deleted_at", "created_at", "id"),
        Index("ix_instances_created", "deleted_at", "created_at", "id"),
        Index("ix_instances_updated", "updated_at"),
        Index("ix_instances_state_since", "vm_state", "state_since"),
        TABLE,
    )


class ServerGroup(Base):
    __tablename__ = "server_groups"

    uuid: Mapped[Uuid] = mapped_column(primary_key=True)
    project_id: Mapped[Name] = mapped_column(index=True)
    user_id: Mapped[Name]
    name: Mapped[Name]
    policy: Mapped[Word]
    rules: Mapped[Document]
    created_at: Mapped[Time]


class ServerGroupMember(Base):
    __tablename__ = "server_group_members"

    instance_uuid: Mapped[Uuid] = mapped_column(primary_key=True)
    group_uuid: Mapped[Uuid] = mapped_column(index=True)


class QuotaUsage(Base):
    """How much of a resource a project holds now; moves in the transaction of what it counts."""

    __tablename__ = "quota_usages"

    project_id: Mapped[Name] = mapped_column(primary_key=True)
    resource: Mapped[Word] = mapped_column(primary_key=True)
    in_use: Mapped[int]


class QuotaLimit(Base):
    """A limit set for a project, for one user of it, or for the class "default" of all projects."""

    __tablename__ = "quota_limits"

    id: Mapped[Serial]
    scope: Mapped[Word]
    owner: Mapped[Name]
    user_id: Mapped[Name]
    resource: Mapped[Word]
    hard_limit: Mapped[int]

    __table_args__ = (UniqueConstraint("scope", "owner", "user_id", "resource"), TABLE)


class ConsoleToken(Base):
    __tablename__ = "console_tokens"

    token_hash: Mapped[Word] = mapped_column(primary_key=True)
    instance_uuid: Mapped[Uuid] = mapped_column(index=True)
    kind: Mapped[Word]
    host: Mapped[Name]
    port: Mapped[int]
    tls_port: Mapped[int | None]
    path: Mapped[Name | None]
    expires_at: Mapped[Time] = mapped_column(index=True)
