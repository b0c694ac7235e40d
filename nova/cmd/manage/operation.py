"""nova-manage operation: what is under way on servers, what it waits for, and what to do about it."""

import argparse
import datetime
from typing import Any

from oslo_config import cfg

from nova import errors
from nova.clock import span, utcnow
from nova.cmd.manage.commands import Group, open_database, print_table
from nova.conductor.workflows import WORKFLOWS
from nova.db import open_operations
from nova.db.operations import RUNNING
from nova.structs.operation import OpenOperation

_SHOWN = 100


def add(groups: Any) -> None:
    group = Group(groups, "operation", "operations under way on servers, or with something left to do")
    listed = group.add("list", list_)
    listed.add_argument("--server", metavar="UUID", help="of this server alone")
    for name, command in (("show", show), ("retry", retry), ("abandon", abandon)):
        group.add(name, command).add_argument("uuid", metavar="OPERATION")


def list_(conf: cfg.ConfigOpts, arguments: argparse.Namespace) -> int:
    """Print the operations that are not over, the oldest first, and what each waits for."""
    now = utcnow()
    rows = [
        (one.uuid, one.name, one.instance_uuid, one.state, one.step, span(now - one.created_at), _waits_for(one, now))
        for one in open_database(conf).read(lambda c: open_operations.find(c, arguments.server))
    ]
    print_table([("Operation", "Name", "Server", "State", "Step", "Age", "Waits for"), *rows])
    return 0


def show(conf: cfg.ConfigOpts, arguments: argparse.Namespace) -> int:
    """Print an operation that is not over, and every run of its steps."""
    database = open_database(conf)
    found = database.read(lambda c: open_operations.get(c, arguments.uuid))
    now = utcnow()
    facts = [
        ("Operation", f"{found.name} of server {found.instance_uuid}"),
        ("State", f"{found.state}, at step {found.step}{', cancelled' if found.is_cancelled else ''}"),
        ("Begun", f"{found.created_at:%Y-%m-%d %H:%M:%S} UTC, {span(now - found.created_at)} ago"),
        ("Waits for", _waits_for(found, now)),
        ("Left", ", ".join(found.left) or "-"),
        ("Gives up", f"{found.deadline_at:%Y-%m-%d %H:%M:%S} UTC"),
    ]
    print_table([("Property", "Value"), *facts])
    runs = database.read(lambda c: open_operations.steps(c, arguments.uuid))
    rows = [
        (
            f"{run.started_at:%H:%M:%S}",
            run.name,
            run.host or "-",
            run.result or "under way",
            open_operations.last_line(run.details),
        )
        for run in runs[-_SHOWN:]
    ]
    print_table([("Time", "Step", "Host", "Result", "Reason"), *rows])
    return 0


def retry(conf: cfg.ConfigOpts, arguments: argparse.Namespace) -> int:
    """Let an operation that pauses, or has something left, be tried at once rather than at its time."""
    open_database(conf).write(lambda c: open_operations.look_now(c, arguments.uuid))
    print(f"A conductor looks at operation {arguments.uuid} within seconds.")
    return 0


def abandon(conf: cfg.ConfigOpts, arguments: argparse.Namespace) -> int:
    """Let an operation go back, or end where nothing can be undone any more; what is left of one is not done."""
    database = open_database(conf)
    _check_way_back(database.read(lambda c: open_operations.get(c, arguments.uuid)))
    found = database.write(lambda c: open_operations.abandon(c, arguments.uuid))
    if found.left:
        print(f"Not done any more: {', '.join(found.left)}. What they were for stays as it is.")
    else:
        print(f"Operation {found.uuid} ends: a conductor takes {found.name} of server {found.instance_uuid} back.")
    return 0


def _check_way_back(one: OpenOperation) -> None:
    """Raises Conflict for an operation behind its point of no return: it can only be completed."""
    workflow = WORKFLOWS.get(one.name)
    if workflow is None or one.state != RUNNING or one.step not in {step.name for step in workflow.steps}:
        return
    if workflow.is_behind_return(workflow.step(one.step)):
        raise errors.Conflict(f"Nothing of operation {one.uuid} can be undone any more at {one.step}: it goes forward.")


def _waits_for(one: OpenOperation, now: datetime.datetime) -> str:
    if one.lease_owner is not None:
        return f"conductor {one.lease_owner}, which is at it"
    if one.is_ordered:
        return f"host {one.waiting_host}, which is at it"
    if one.wake_at is None:
        return "the operation before it"
    whom = f"host {one.waiting_host}; " if one.waiting_host else ""
    due = max(one.wake_at - now, datetime.timedelta(0))
    return f"{whom}next look in {span(due)}{': ' + one.reason if one.reason else ''}"
