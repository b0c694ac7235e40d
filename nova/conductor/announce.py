"""Tells the schedulers that the picture of the hosts changed."""

import contextlib

from nova import errors
from nova.conductor.engine.step_context import StepContext
from nova.db import hosts


def hosts_changed(context: StepContext) -> None:
    """Never raises for a bus that is away."""
    # A scheduler that does not hear it looks by itself, a little later.
    with contextlib.suppress(errors.Unavailable):
        context.scheduler.hosts_changed(context.db.read(hosts.view_version))
