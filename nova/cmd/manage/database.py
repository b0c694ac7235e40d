"""nova-manage db and api_db: the tables, and the records of servers deleted long ago."""

import argparse
import datetime
import sys
from typing import Any

from oslo_config import cfg

from nova.clock import utcnow
from nova.cmd.manage.commands import Group, open_database
from nova.db import migrations, purging

# As upstream's purge ends.
_BAD_DATE, _NOTHING_WANTED, _NOTHING_PURGED = 1, 2, 3


def add(groups: Any) -> None:
    db = Group(groups, "db", "the compute database")
    db.add("sync", sync).add_argument("version", nargs="?")
    db.add("version", version)
    purged = db.add("purge", purge)
    purged.add_argument("--all", action="store_true", help="whenever they were deleted")
    purged.add_argument("--before", metavar="DATE", help="deleted before this date")
    purged.add_argument("--all-cells", action="store_true", help=argparse.SUPPRESS)
    archived = db.add("archive_deleted_rows", archive)
    archived.add_argument("--purge", action="store_true", help="purge them, as nova-manage db purge does")
    archived.add_argument("--before", metavar="DATE", help="deleted before this date")
    for option in ("--max_rows", "--sleep"):
        archived.add_argument(option, help=argparse.SUPPRESS)
    for option in ("--until-complete", "--all-cells", "--task-log"):
        archived.add_argument(option, action="store_true", help=argparse.SUPPRESS)
    db.add("online_data_migrations", migrate_data).add_argument("--max-count", help=argparse.SUPPRESS)
    api_db = Group(groups, "api_db", "upstream's second database: there is one")
    api_db.add("sync", sync).add_argument("version", nargs="?")
    api_db.add("version", version)


def sync(conf: cfg.ConfigOpts, arguments: argparse.Namespace) -> int:
    """Create or upgrade the tables: all of them, whichever of upstream's databases they would be in."""
    if migrations.newest() is None:
        print("nova-manage: this installation has no migrations; install the whole package again", file=sys.stderr)
        return 1
    migrations.sync(conf.database.connection, arguments.version or "head")
    return 0


def version(conf: cfg.ConfigOpts, arguments: argparse.Namespace) -> int:
    """Print the newest migration the database has seen."""
    print(migrations.version(conf.database.connection) or "none")
    return 0


def purge(conf: cfg.ConfigOpts, arguments: argparse.Namespace) -> int:
    """Remove the records of deleted servers, with all that belongs to them; 3 when there were none."""
    if not arguments.all and not arguments.before:
        print("nova-manage: give --all or --before DATE", file=sys.stderr)
        return _NOTHING_WANTED
    try:
        before = _date(arguments.before) if arguments.before else utcnow()
    except ValueError:
        print(f"nova-manage: {arguments.before} is no date such as 2026-12-31 or 2026-12-31T08:00", file=sys.stderr)
        return _BAD_DATE
    count = purging.purge_servers(open_database(conf), before)
    if arguments.verbose:
        print(f"The records of {count} deleted servers are purged.")
    return 0 if count else _NOTHING_PURGED


def archive(conf: cfg.ConfigOpts, arguments: argparse.Namespace) -> int:
    """Nothing to do: deleted rows are not kept in other tables. With --purge they are removed."""
    if arguments.purge:
        arguments.all = not arguments.before
        status = purge(conf, arguments)
        return 0 if status == _NOTHING_PURGED else status
    print("Deleted rows stay where they are until they are purged: [conductor] purge_after_days, nova-manage db purge.")
    return 0


def migrate_data(conf: cfg.ConfigOpts, arguments: argparse.Namespace) -> int:
    """Nothing to do: nova-manage db sync leaves no data to be migrated later."""
    print("There are no data to migrate: nova-manage db sync does it.")
    return 0


def _date(text: str) -> datetime.datetime:
    """ISO 8601; without a zone it is UTC. Raises ValueError."""
    parsed = datetime.datetime.fromisoformat(text)
    return parsed.replace(tzinfo=datetime.UTC) if parsed.tzinfo is None else parsed.astimezone(datetime.UTC)
