"""A migration: a server's way from one host to another, or to another size."""

import datetime

import msgspec

# What the Compute API calls the kinds. Source: API reference, "Migrations (os-migrations)", migration_type.
RESIZE, COLD, LIVE, EVACUATION = "resize", "migration", "live-migration", "evacuation"

# Statuses in which a migration is over: nothing is held in its name any more, or was left where the server is not.
ENDED_WELL = ("completed", "confirmed", "reverted", "done")
# Those, and statuses of which only the first half is true.
ENDED = (*ENDED_WELL, "cancelled", "error", "failed")


class Migration(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Its uuid is also the consumer that holds the source's resources in Placement while it is under way."""

    id: int
    uuid: str
    instance_uuid: str
    project_id: str
    user_id: str
    kind: str
    status: str
    created_at: datetime.datetime
    updated_at: datetime.datetime | None = None
    source_host: str | None = None
    source_node: str | None = None
    dest_host: str | None = None
    dest_node: str | None = None
    dest_ip: str | None = None
    old_flavor_id: str | None = None
    new_flavor_id: str | None = None


class MigrationProgress(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The progress of a live migration on its source host. percent None: none is under way there."""

    percent: int | None = None


class MigrationQuery(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Which migrations, newest first. host: source or destination. marker: a migration's uuid."""

    instance_uuid: str | None = None
    project_id: str | None = None
    user_id: str | None = None
    host: str | None = None
    source_host: str | None = None
    kind: str | None = None
    status: str | None = None
    changes_since: datetime.datetime | None = None
    changes_before: datetime.datetime | None = None
    is_hidden: bool | None = None
    limit: int | None = None
    marker: str | None = None
