"""nova-manage quota: what projects have in use, of what they may have."""

import argparse
from collections.abc import Iterator
from typing import Any

from oslo_config import cfg
from sqlalchemy.engine import Connection

from nova.cmd.manage.commands import Group, open_database, print_table
from nova.conductor.acceptance import limits
from nova.db import quotas


def add(groups: Any) -> None:
    reported = Group(groups, "quota", "limits of projects").add("report", report)
    reported.add_argument("--project", metavar="ID", help="of this project alone")
    reported.add_argument("--above", type=int, default=0, metavar="PERCENT", help="only what is used as far as this")


def report(conf: cfg.ConfigOpts, arguments: argparse.Namespace) -> int:
    """Print what each project has in use, its limit, and how far it is used; the fullest first."""
    used = open_database(conf).read(lambda c: list(_usages(c, conf, arguments.project)))
    rows = [
        (project, resource, str(in_use), "unlimited" if limit < 0 else str(limit), share if limit >= 0 else "-")
        for percent, project, resource, in_use, limit in sorted(used, key=lambda one: (-one[0], *one[1:3]))
        if percent >= arguments.above and (share := f"{percent} %")
    ]
    print_table([("Project", "Resource", "In use", "Limit", "Used"), *rows])
    return 0


def _usages(
    connection: Connection, conf: cfg.ConfigOpts, project: str | None
) -> Iterator[tuple[int, str, str, int, int]]:
    """Percent, project, resource, in use, limit; a negative limit is none."""
    for project_id, amounts in quotas.all_usages(connection).items():
        if project not in (None, project_id):
            continue
        in_force = limits.in_force(connection, conf, project_id, None)
        for resource, in_use in amounts.items():
            limit = in_force.get(resource, -1)
            # Nothing of nothing is all of it.
            percent = 0 if limit < 0 else 100 * in_use // limit if limit else 100
            yield percent, project_id, resource, in_use, limit
