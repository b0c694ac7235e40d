"""A server's record says which of its moves made the disks it has: a host knows left-overs by that.

Rows that there are, and those an older release adds meanwhile, are of the first generation.
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for name in ("generation", "last_generation"):
        op.add_column("instances", sa.Column(name, sa.Integer(), nullable=False, server_default="1"))
