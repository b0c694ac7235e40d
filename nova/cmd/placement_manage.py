"""placement-manage: brings Placement's database up to date, and says how far it is."""

import argparse
import sys
from collections.abc import Sequence

from nova import release
from nova.cmd import config_options
from nova.conf import BadConfiguration, load, required


def run(arguments: Sequence[str]) -> int:
    """Do what the arguments say; the exit status. Also what `nova-manage placement` calls."""
    try:
        parsed = parser().parse_args(arguments)
    except SystemExit as ending:
        return int(ending.code or 0)
    try:
        conf = load(config_options.chosen(parsed))
        required.placement_database(conf)
    except BadConfiguration as error:
        print(f"placement-manage: {error}", file=sys.stderr)
        return 2
    from nova.placement import database_version, sync_database
    from nova.placement.schema import MigrationsMissing

    if parsed.command == "sync":
        try:
            sync_database(conf)
        except MigrationsMissing as error:
            print(f"placement-manage: {error}", file=sys.stderr)
            return 1
    else:
        print(database_version(conf) or "none")
    return 0


def main() -> int:
    return run(sys.argv[1:])


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(prog="placement-manage", description=__doc__)
    # Before and behind the command, as nova-manage takes them.
    common = argparse.ArgumentParser(add_help=False)
    config_options.add(common, again=True)
    config_options.add(made)
    made.add_argument("--version", action="version", version=release.version())
    group = made.add_subparsers(required=True, metavar="db").add_parser("db", help="Placement's database")
    commands = group.add_subparsers(required=True, metavar="COMMAND", dest="command")
    commands.add_parser("sync", parents=[common], help="Create or upgrade Placement's tables.")
    commands.add_parser("version", parents=[common], help="Print the newest migration the database has seen.")
    return made
