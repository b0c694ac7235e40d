"""Tells the schedulers that the picture of the hosts changed."""

import contextlib

from nova import errors
from nova.conductor.cloud import Cloud
from nova.db import hosts


def hosts_changed(cloud: Cloud) -> None:
    # A scheduler that does not hear it looks by itself, a little later.
    with contextlib.suppress(errors.Unavailable):
        cloud.scheduler.hosts_changed(cloud.db.read(hosts.view_version))
