"""Placement: what providers have, who holds it, and who could. A service of its own behind HTTP.

It imports nothing of the compute side; application() is all of it as one WSGI callable.
"""

import functools
from typing import Any

from oslo_config import cfg

from nova import metrics
from nova.http.front import Front
from nova.readiness import Check


def application(conf: cfg.ConfigOpts) -> Front:
    """The whole service, authentication included, over [placement_database] connection.

    Any number of them may live in one process, each over a database of its own. It starts no
    thread, and connects when the first request comes.
    """
    # Imported here: whoever only wants sync_database() needs no HTTP.
    from nova.placement.api.service import make_application  # noqa: PLC0415
    from nova.placement.store import Store  # noqa: PLC0415

    return make_application(conf, Store(_open_database(conf)))


def sync_database(conf: cfg.ConfigOpts) -> None:
    """Bring Placement's tables up to date: migrations, then the standard classes and traits."""
    from nova.placement.schema import migrate  # noqa: PLC0415

    database = _open_database(conf)
    try:
        migrate(database)
    finally:
        database.close()


def database_version(conf: cfg.ConfigOpts) -> str | None:
    """The newest migration the database has seen; None before the first."""
    from nova.placement.schema import current_revision  # noqa: PLC0415

    database = _open_database(conf)
    try:
        return current_revision(database)
    finally:
        database.close()


def database_check(conf: cfg.ConfigOpts) -> Check:
    """Whether the database can be used."""
    check: Check = _open_database(conf).check()
    return check


def figures(conf: cfg.ConfigOpts) -> metrics.Figures:
    """Counts what there is and what is used, for the page of metrics."""
    from nova.placement.figures import count  # noqa: PLC0415

    return metrics.Figures(conf, functools.partial(count, _open_database(conf)))


def _open_database(conf: cfg.ConfigOpts) -> Any:
    from nova.placement.database import Database  # noqa: PLC0415

    options = conf.placement_database
    if not options.connection:
        raise cfg.RequiredOptError("connection", cfg.OptGroup("placement_database"))
    return Database(options.connection, options.max_pool_size, options.max_overflow, options.connection_recycle_time)
