"""Runs Placement's migrations on the connection that nova.placement.schema hands over."""

from alembic import context

from nova.placement.models import Base

VERSION_TABLE = "placement_alembic_version"


def include_name(name: str | None, kind: str, _parents: object) -> bool:
    """Only this package's tables: the database may hold others."""
    return kind != "table" or (name or "").startswith("placement_")


context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    version_table=VERSION_TABLE,
    include_name=include_name,
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()
