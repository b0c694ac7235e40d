"""Tables of the EC2 API: the numbers in its ids, tags, and the tokens by which clients repeat a request."""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_TIME = sa.DateTime().with_variant(mysql.DATETIME(fsp=6), "mysql", "mariadb")
_DOCUMENT = sa.Text().with_variant(mysql.MEDIUMTEXT(), "mysql", "mariadb")
_TABLE: dict[str, Any] = {"mysql_charset": "utf8mb4", "mysql_collate": "utf8mb4_bin", "mysql_engine": "InnoDB"}


def upgrade() -> None:
    op.create_table(
        "ec2_client_tokens",
        sa.Column("project_id", sa.String(length=255), nullable=False),
        sa.Column("token", sa.String(length=64), nullable=False),
        sa.Column("request", sa.String(length=64), nullable=False),
        sa.Column("reservation_id", sa.String(length=64), nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
        sa.PrimaryKeyConstraint("project_id", "token", name=op.f("pk_ec2_client_tokens")),
        **_TABLE,
    )
    op.create_index("ix_ec2_client_tokens_created_at", "ec2_client_tokens", ["created_at"])
    op.create_table(
        "ec2_ids",
        sa.Column("number", _BIG, autoincrement=True, nullable=False),
        sa.Column("kind", sa.String(length=64), nullable=False),
        sa.Column("target", sa.String(length=255), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_ec2_ids")),
        sa.UniqueConstraint("kind", "target", name=op.f("uq_ec2_ids_kind_target")),
        **_TABLE,
    )
    op.create_table(
        "ec2_tags",
        sa.Column("id", _BIG, autoincrement=True, nullable=False),
        sa.Column("project_id", sa.String(length=255), nullable=False),
        sa.Column("target", sa.String(length=64), nullable=False),
        sa.Column("key", sa.String(length=255), nullable=False),
        sa.Column("value", _DOCUMENT, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ec2_tags")),
        sa.UniqueConstraint("project_id", "target", "key", name=op.f("uq_ec2_tags_project_id_target_key")),
        **_TABLE,
    )
