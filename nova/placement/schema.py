"""Brings Placement's tables up to date: migrations, then the standard names of this release."""

from pathlib import Path

import os_resource_classes
import os_traits
import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from nova.placement import models as m
from nova.placement.database import Database
from nova.placement.store import Store, Transaction

_MIGRATIONS = Path(__file__).parent / "migrations"


class MigrationsMissing(Exception):
    """What is installed is not the whole package."""


def migrate(database: Database, revision: str = "head") -> None:
    """Run the migrations that this database has not seen, and add missing standard names.

    Raises MigrationsMissing.
    """
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    if ScriptDirectory.from_config(config).get_current_head() is None:
        raise MigrationsMissing("this installation has no migrations; install the whole package again")
    with database.connect() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
    if revision == "head":
        Store(database).write(_add_standard_names)


def current_revision(database: Database) -> str | None:
    """The newest migration this database has seen; None for a database without Placement's tables."""
    with database.connect() as connection:
        context = MigrationContext.configure(connection, opts={"version_table": "placement_alembic_version"})
        return context.get_current_revision()


def _add_standard_names(transaction: Transaction) -> None:
    wanted = (
        (m.ResourceClass, os_resource_classes.STANDARDS, transaction.index.classes),
        (m.Trait, os_traits.get_traits(), transaction.index.traits),
    )
    for model, standard, known in wanted:
        missing = [name for name in standard if name not in known.ids]
        if missing:
            rows = [{"name": name, "updated_at": transaction.when} for name in missing]
            transaction.execute(sa.insert(model), rows)
            transaction.change_names()
