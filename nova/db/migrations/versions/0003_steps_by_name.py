"""An operation stores the name of its step, so that steps may be added and moved while operations are under way.

An index that an older release wrote stays as its digits; the engine reads it as the index it was.
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("operations") as operations:
        operations.alter_column(
            "step",
            existing_type=sa.Integer(),
            type_=sa.String(length=64),
            existing_nullable=False,
            postgresql_using="step::varchar",
        )
