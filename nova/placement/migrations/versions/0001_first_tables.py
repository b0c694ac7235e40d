"""The first tables.

Revision ID: 0001
"""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

KEY = sa.BigInteger().with_variant(sa.Integer, "sqlite")
NAME = sa.String(255).with_variant(sa.String(255, collation="utf8mb4_bin"), "mysql", "mariadb")
UUID = sa.String(36).with_variant(sa.String(36, collation="ascii_bin"), "mysql", "mariadb")
MYSQL: dict[str, Any] = {
    "mysql_engine": "InnoDB",
    "mysql_charset": "utf8mb4",
    "mariadb_engine": "InnoDB",
    "mariadb_charset": "utf8mb4",
}
NUMBERED: dict[str, Any] = {**MYSQL, "sqlite_autoincrement": True}
PROVIDER = "placement_resource_providers.id"


def upgrade() -> None:
    clock = op.create_table(
        "placement_clock",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("names_version", sa.BigInteger, nullable=False),
        sa.Column("removed_version", sa.BigInteger, nullable=False),
        **MYSQL,
    )
    op.bulk_insert(clock, [{"id": 1, "version": 0, "names_version": 0, "removed_version": 0}])
    _create_names("placement_resource_classes")
    _create_names("placement_traits")
    _create_providers()
    _create_consumers()


def _create_names(table: str) -> None:
    op.create_table(
        table,
        sa.Column("id", KEY, primary_key=True, autoincrement=True),
        sa.Column("name", NAME, nullable=False, unique=True),
        sa.Column("updated_at", sa.BigInteger, nullable=False),
        **NUMBERED,
    )


def _create_providers() -> None:
    op.create_table(
        "placement_resource_providers",
        sa.Column("id", KEY, primary_key=True, autoincrement=True),
        sa.Column("uuid", UUID, nullable=False, unique=True),
        sa.Column("name", NAME, nullable=False, unique=True),
        sa.Column("generation", sa.BigInteger, nullable=False),
        sa.Column("parent_id", KEY, sa.ForeignKey(PROVIDER), index=True),
        sa.Column("root_id", KEY, sa.ForeignKey(PROVIDER), index=True),
        sa.Column("version", sa.BigInteger, nullable=False, index=True),
        sa.Column("shape_version", sa.BigInteger, nullable=False),
        sa.Column("updated_at", sa.BigInteger, nullable=False),
        **NUMBERED,
    )
    op.create_table(
        "placement_removed_providers",
        sa.Column("provider_id", KEY, primary_key=True, autoincrement=False),
        sa.Column("version", sa.BigInteger, nullable=False, index=True),
        **MYSQL,
    )
    op.create_table(
        "placement_inventories",
        sa.Column("provider_id", KEY, sa.ForeignKey(PROVIDER), primary_key=True),
        sa.Column("class_id", KEY, sa.ForeignKey("placement_resource_classes.id"), primary_key=True, index=True),
        sa.Column("total", sa.Integer, nullable=False),
        sa.Column("reserved", sa.Integer, nullable=False),
        sa.Column("min_unit", sa.Integer, nullable=False),
        sa.Column("max_unit", sa.Integer, nullable=False),
        sa.Column("step_size", sa.Integer, nullable=False),
        sa.Column("allocation_ratio", sa.Double, nullable=False),
        **MYSQL,
    )
    op.create_table(
        "placement_provider_traits",
        sa.Column("provider_id", KEY, sa.ForeignKey(PROVIDER), primary_key=True),
        sa.Column("trait_id", KEY, sa.ForeignKey("placement_traits.id"), primary_key=True, index=True),
        **MYSQL,
    )
    op.create_table(
        "placement_provider_aggregates",
        sa.Column("provider_id", KEY, sa.ForeignKey(PROVIDER), primary_key=True),
        sa.Column("aggregate", UUID, primary_key=True),
        **MYSQL,
    )


def _create_consumers() -> None:
    op.create_table(
        "placement_consumers",
        sa.Column("id", KEY, primary_key=True, autoincrement=True),
        sa.Column("uuid", UUID, nullable=False, unique=True),
        sa.Column("project_id", NAME, nullable=False),
        sa.Column("user_id", NAME, nullable=False),
        sa.Column("consumer_type", NAME),
        sa.Column("generation", sa.BigInteger, nullable=False),
        sa.Column("updated_at", sa.BigInteger, nullable=False),
        sa.Index("placement_consumers_owner", "project_id", "user_id"),
        **NUMBERED,
    )
    op.create_table(
        "placement_allocations",
        sa.Column("consumer_id", KEY, sa.ForeignKey("placement_consumers.id"), primary_key=True),
        sa.Column("provider_id", KEY, sa.ForeignKey(PROVIDER), primary_key=True),
        sa.Column("class_id", KEY, sa.ForeignKey("placement_resource_classes.id"), primary_key=True),
        sa.Column("used", sa.BigInteger, nullable=False),
        sa.Index("placement_allocations_provider", "provider_id", "class_id"),
        **MYSQL,
    )


def downgrade() -> None:
    for table in (
        "placement_allocations",
        "placement_consumers",
        "placement_provider_aggregates",
        "placement_provider_traits",
        "placement_inventories",
        "placement_removed_providers",
        "placement_resource_providers",
        "placement_traits",
        "placement_resource_classes",
        "placement_clock",
    ):
        op.drop_table(table)
