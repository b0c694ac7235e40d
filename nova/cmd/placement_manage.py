"""placement-manage: brings Placement's database up to date, and says how far it is."""

import sys
from collections.abc import Sequence

from nova import release
from nova.conf import BadConfiguration, load

USAGE = """usage: placement-manage [--version] [--config-file FILE] db sync|version

  db sync      create or upgrade Placement's tables
  db version   print the newest migration the database has seen"""


def run(arguments: Sequence[str]) -> int:
    """Do what the arguments say; the exit status. Also what `nova-manage placement` calls."""
    options, words = _split(arguments)
    if "--version" in options:
        print(release.version())
        return 0
    if words not in (["db", "sync"], ["db", "version"]):
        print(USAGE, file=sys.stderr)
        return 2
    try:
        conf = load(options)
    except BadConfiguration as error:
        print(f"placement-manage: {error}", file=sys.stderr)
        return 2
    if not conf.placement_database.connection:
        print("placement-manage: [placement_database] connection is not set", file=sys.stderr)
        return 2
    from nova.placement import database_version, sync_database
    from nova.placement.schema import MigrationsMissing

    if words[1] == "sync":
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


def _split(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """Options (with their values) and the words of the command."""
    options: list[str] = []
    words: list[str] = []
    takes_value = False
    for argument in arguments:
        if takes_value or argument.startswith("-"):
            options.append(argument)
            takes_value = not takes_value and argument in ("--config-file", "--config-dir")
        else:
            words.append(argument)
    return options, words
