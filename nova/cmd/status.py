"""nova-status: whether this installation is ready for the release that is installed here.

Ends with 0 when it is, 1 when something deserves a look, 2 when something must be done first, 255 when that could not be
found out.
"""

import argparse
import json
import sys
import textwrap
from collections.abc import Callable
from enum import IntEnum
from typing import NamedTuple

from oslo_config import cfg

from nova import errors, release
from nova.clients import adapters
from nova.clients.placement import PlacementClient
from nova.cmd import config_options
from nova.conf import BadConfiguration, load, required
from nova.conf.review import review
from nova.db import hosts, migrations
from nova.db.engine import Database

_TITLE = "Upgrade Check Results"
_WIDTH = 76
_COULD_NOT_CHECK = 255


class Code(IntEnum):
    SUCCESS = 0
    WARNING = 1
    FAILURE = 2


class Result(NamedTuple):
    code: Code
    details: str | None = None


def main() -> int:
    arguments = parser().parse_args()
    try:
        conf = load(config_options.chosen(arguments))
        results = [(name, check(conf)) for name, check in CHECKS]
    except BadConfiguration as error:
        print(f"nova-status: {error}", file=sys.stderr)
        return _COULD_NOT_CHECK
    print(_as_json(results) if arguments.json else _as_table(results))
    return max(result.code for _, result in results)


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(prog="nova-status", description=__doc__)
    config_options.add(top)
    top.add_argument("--version", action="version", version=release.version())
    common = argparse.ArgumentParser(add_help=False)
    config_options.add(common, again=True)
    group = top.add_subparsers(required=True, metavar="upgrade").add_parser("upgrade", help="the next release")
    checked = group.add_subparsers(required=True, metavar="check").add_parser(
        "check", parents=[common], help="Say what must be done before its daemons start."
    )
    checked.add_argument("--json", action="store_true", help="as JSON instead of a table")
    return top


def _check_database(conf: cfg.ConfigOpts) -> Result:
    required.database(conf)
    newest = migrations.newest()
    try:
        found = migrations.version(conf.database.connection)
    except errors.DomainError as error:
        return Result(Code.FAILURE, error.message)
    if found == newest:
        return Result(Code.SUCCESS)
    return Result(Code.FAILURE, f"It has seen migration {found or 'none'} of {newest}: run nova-manage db sync.")


def _check_placement(conf: cfg.ConfigOpts) -> Result:
    try:
        PlacementClient(adapters.service_adapter(conf, "placement")).provider("00000000-0000-0000-0000-000000000000")
    except errors.DomainError as error:
        return Result(Code.FAILURE, error.message)
    return Result(Code.SUCCESS)


def _check_computes(conf: cfg.ConfigOpts) -> Result:
    try:
        found = Database(conf.database.connection).read(lambda c: hosts.services(c, binary="nova-compute"))
    except errors.DomainError as error:
        return Result(Code.FAILURE, error.message)
    newest = max((service.version for service in found), default=0)
    behind = sorted(service.host for service in found if service.version < newest)
    if behind:
        return Result(Code.WARNING, f"nova-compute of an earlier release runs on {', '.join(behind)}.")
    return Result(Code.SUCCESS)


def _check_policy_file(conf: cfg.ConfigOpts) -> Result:
    if str(conf.oslo_policy.policy_file).endswith(".json"):
        return Result(Code.FAILURE, "[oslo_policy] policy_file is JSON, which is not read any more: write it as YAML.")
    return Result(Code.SUCCESS)


def _check_configuration(conf: cfg.ConfigOpts) -> Result:
    lines = review(conf)
    return Result(Code.WARNING, "\n".join(lines)) if lines else Result(Code.SUCCESS)


CHECKS: tuple[tuple[str, Callable[[cfg.ConfigOpts], Result]], ...] = (
    ("Database", _check_database),
    ("Placement API", _check_placement),
    ("Older nova-compute", _check_computes),
    ("Policy File", _check_policy_file),
    ("Configuration", _check_configuration),
)


def _as_json(results: list[tuple[str, Result]]) -> str:
    checks = [{"check": name, "result": result.code, "details": result.details} for name, result in results]
    return json.dumps({"name": _TITLE, "checks": checks})


def _as_table(results: list[tuple[str, Result]]) -> str:
    line = f"+{'-' * (_WIDTH + 2)}+"
    rows = [line, _row(_TITLE), line]
    for name, result in results:
        rows += [_row(f"Check: {name}"), _row(f"Result: {result.code.name.capitalize()}")]
        for number, text in enumerate((result.details or "None").splitlines()):
            label = "Details: " if number == 0 else "         "
            rows += map(_row, textwrap.wrap(text, _WIDTH, initial_indent=label, subsequent_indent=" " * 9))
        rows.append(line)
    return "\n".join(rows)


def _row(text: str) -> str:
    return f"| {text:<{_WIDTH}} |"
