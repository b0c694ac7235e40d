"""What all providers have and what is given away of it, for whoever watches the cloud; every worker gives the same figures."""

import sqlalchemy as sa

from nova import metrics
from nova.placement import models as m
from nova.placement.database import Database

_CLASSES = m.ResourceClass.__table__.c
_INVENTORIES = m.Inventory.__table__.c
_ALLOCATIONS = m.Allocation.__table__.c
_CAPACITY = sa.func.sum((_INVENTORIES.total - _INVENTORIES.reserved) * _INVENTORIES.allocation_ratio)


def count(database: Database) -> None:
    """Count everything once. Raises Unavailable."""
    with database.connect() as connection:
        capacity = _by_class(connection, _CAPACITY, _INVENTORIES.class_id)
        used = _by_class(connection, sa.func.sum(_ALLOCATIONS.used), _ALLOCATIONS.class_id)
    shown = {(name, "capacity"): amount for name, amount in capacity.items()}
    metrics.replace(metrics.RESOURCES, shown | {(name, "used"): used.get(name, 0.0) for name in capacity})


def _by_class(
    connection: sa.Connection, amount: sa.ColumnElement[float], class_id: sa.ColumnElement[int]
) -> dict[str, float]:
    """A sum over the rows of each resource class, by the class's name."""
    query = sa.select(_CLASSES.name, amount).where(_CLASSES.id == class_id).group_by(_CLASSES.name)
    return {name: float(total) for name, total in connection.execute(query)}
