"""Ranges of free addresses of each subnet, of which a choice reads the first one.

An older release reads and writes none of them. What it takes is noticed when it is chosen again, and what it gives back when
nothing else is left.
"""

import ipaddress
import json
from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

_TABLE: dict[str, Any] = {"mysql_charset": "utf8mb4", "mysql_collate": "utf8mb4_bin", "mysql_engine": "InnoDB"}
_BATCH = 1000


def upgrade() -> None:
    op.create_table(
        "free_addresses",
        sa.Column("subnet_id", sa.String(length=36), nullable=False),
        sa.Column("low", sa.String(length=64), nullable=False),
        sa.Column("high", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("subnet_id", "low", name=op.f("pk_free_addresses")),
        sa.ForeignKeyConstraint(
            ["subnet_id"], ["subnets.id"], ondelete="CASCADE", name=op.f("fk_free_addresses_subnet_id")
        ),
        **_TABLE,
    )
    _fill(op.get_bind())


def _fill(connection: sa.Connection) -> None:
    subnets = sa.table("subnets", sa.column("id"), sa.column("document"))
    held = sa.table("port_addresses", sa.column("subnet_id"), sa.column("address"))
    free = sa.table("free_addresses", *(sa.column(name) for name in ("subnet_id", "low", "high")))
    for subnet_id, document in connection.execute(sa.select(subnets.c.id, subnets.c.document)).all():
        taken = set(connection.scalars(sa.select(held.c.address).where(held.c.subnet_id == subnet_id)))
        ranges = _free(json.loads(document), taken)
        rows = [{"subnet_id": subnet_id, "low": low.hex(), "high": high.hex()} for low, high in ranges]
        for start in range(0, len(rows), _BATCH):
            connection.execute(free.insert(), rows[start : start + _BATCH])


def _free(subnet: dict[str, Any], taken: set[str]) -> Iterator[tuple[bytes, bytes]]:
    """The ranges of the subnet's pools without its gateway and what is taken."""
    taken |= {subnet["gateway_ip"]} if subnet.get("gateway_ip") else set()
    numbers = sorted(int(ipaddress.ip_address(address)) for address in taken)
    for pool in subnet.get("allocation_pools", ()):
        low, high = (ipaddress.ip_address(pool[end]) for end in ("start", "end"))
        length, next_free = len(low.packed), int(low)
        for number in (*(one for one in numbers if int(low) <= one <= int(high)), int(high) + 1):
            if next_free < number:
                yield next_free.to_bytes(length, "big"), (number - 1).to_bytes(length, "big")
            next_free = number + 1
