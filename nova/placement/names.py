"""Custom resource classes and custom traits: the vocabulary beside the standard one.

Each function is the work of one write transaction.
"""

import os_resource_classes
import os_traits
import sqlalchemy as sa

from nova.placement import models as m
from nova.placement.errors import BadRequest, Conflict, NotFound
from nova.placement.store import Transaction

_STANDARD_CLASSES = frozenset(os_resource_classes.STANDARDS)
_STANDARD_TRAITS = frozenset(os_traits.get_traits())


def create_class(tx: Transaction, name: str) -> None:
    """Raises Conflict for one that there is."""
    if not ensure_class(tx, name):
        raise Conflict(f"Conflicting resource class already exists: {name}")


def ensure_class(tx: Transaction, name: str) -> bool:
    """Whether the class had to be made."""
    if name in tx.index.classes.ids:
        return False
    tx.execute(sa.insert(m.ResourceClass), {"name": name, "updated_at": tx.when})
    tx.change_names()
    return True


def rename_class(tx: Transaction, name: str, new_name: str) -> None:
    """What is held of it follows. Raises NotFound, BadRequest for a standard class, Conflict for a used name."""
    class_id = tx.index.classes.ids.get(name)
    if class_id is None:
        raise NotFound(f"No such resource class {name}.")
    if name in _STANDARD_CLASSES:
        raise BadRequest(f"Cannot update standard resource class {name}")
    if new_name != name and new_name in tx.index.classes.ids:
        raise Conflict(f"Resource class already exists: {new_name}")
    statement = sa.update(m.ResourceClass).where(m.ResourceClass.id == class_id)
    tx.execute(statement.values(name=new_name, updated_at=tx.when))
    tx.change_names()


def delete_class(tx: Transaction, name: str) -> None:
    """Remove a custom class of which no provider has any."""
    class_id = tx.index.classes.ids.get(name)
    if class_id is None:
        raise NotFound(f"No such resource class {name}.")
    if name in _STANDARD_CLASSES:
        raise BadRequest(f"Error in delete resource class: Cannot delete standard resource class {name}.")
    if tx.index.by_class.get(class_id):
        raise Conflict("Error in delete resource class: Class is in use in inventory.")
    tx.execute(sa.delete(m.ResourceClass).where(m.ResourceClass.id == class_id))
    tx.change_names()


def ensure_trait(tx: Transaction, name: str) -> bool:
    """Whether the trait had to be made."""
    if name in tx.index.traits.ids:
        return False
    tx.execute(sa.insert(m.Trait), {"name": name, "updated_at": tx.when})
    tx.change_names()
    return True


def delete_trait(tx: Transaction, name: str) -> None:
    """Remove a custom trait that no provider has."""
    trait_id = tx.index.traits.ids.get(name)
    if trait_id is None:
        raise NotFound(f"No such trait {name}.")
    if name in _STANDARD_TRAITS:
        raise BadRequest(f"Cannot delete standard trait {name}.")
    if tx.index.by_trait.get(trait_id):
        raise Conflict(f"The trait {name} is in use by a resource provider.")
    tx.execute(sa.delete(m.Trait).where(m.Trait.id == trait_id))
    tx.change_names()
