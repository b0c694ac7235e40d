"""Write the migration from the last one to the models: tools/make_migration.py "message".

Read what it writes before committing it: a renamed column looks like one dropped and one added.
"""

import sys
import tempfile
from pathlib import Path

from alembic import command

from nova.db import migrations
from nova.db.engine import Database


def main() -> int:
    message = sys.argv[1]
    with tempfile.TemporaryDirectory() as directory:
        url = f"sqlite:///{directory}/scratch.db"
        config = migrations._config()
        database = Database(url)
        with database.engine.connect() as connection:
            config.attributes["connection"] = connection
            if migrations.newest() is not None:
                command.upgrade(config, "head")
            number = 1 + len(list((Path(migrations.__file__).parent / "versions").glob("0*.py")))
            command.revision(config, message, autogenerate=True, rev_id=f"{number:04d}")
            connection.commit()
    return 0


if __name__ == "__main__":
    sys.exit(main())
