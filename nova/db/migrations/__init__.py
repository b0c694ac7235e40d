"""The history of the tables: alembic migrations, from the first table on."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy.engine import Connection

from nova.db.engine import Database

VERSION_TABLE = "alembic_version"


def sync(url: str, revision: str = "head") -> None:
    """Bring the database up to a revision; one that is there already is done."""
    database = Database(url)
    try:
        database.write(lambda connection: _upgrade(connection, revision), is_repeatable=True)
    finally:
        database.close()


def _upgrade(connection: Connection, revision: str) -> None:
    config = _config()
    config.attributes["connection"] = connection
    command.upgrade(config, revision)


def version(url: str) -> str | None:
    """The revision the database is at; None for an empty one."""
    database = Database(url)
    try:
        return database.read(lambda c: MigrationContext.configure(c).get_current_revision())
    finally:
        database.close()


def newest() -> str | None:
    """The revision that this release brings a database to."""
    return ScriptDirectory.from_config(_config()).get_current_head()


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    return config
