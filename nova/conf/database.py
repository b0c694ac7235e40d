"""[database]: where the compute state is kept. Only nova-conductor and nova-manage read it."""

from types import SimpleNamespace

import sqlalchemy
from oslo_config import cfg

# What a URL that names no driver means: the guides of earlier releases name none.
_DRIVERS = {"mysql": "mysql+pymysql", "postgresql": "postgresql+psycopg", "postgres": "postgresql+psycopg"}

CONNECTION_OPTIONS = [
    cfg.StrOpt(
        "connection", secret=True, help="SQLAlchemy URL: sqlite:///FILE, mysql+pymysql://..., postgresql+psycopg://..."
    ),
    cfg.IntOpt("max_pool_size", default=5, min=1, help="Connections kept open by one process."),
    cfg.IntOpt("max_overflow", default=50, min=0, help="Further connections one process may open at a peak."),
    cfg.IntOpt("connection_recycle_time", default=3600, help="Seconds after which a connection is replaced."),
]

MODULES = (
    SimpleNamespace(GROUP=cfg.OptGroup("database", title="Compute database"), OPTIONS=CONNECTION_OPTIONS),
    SimpleNamespace(
        GROUP=cfg.OptGroup(
            "api_database",
            title="Upstream's second database",
            help="Read so that an installation written for upstream works; everything is kept in [database].",
        ),
        OPTIONS=[cfg.StrOpt("connection", secret=True, help="Not used.")],
    ),
)


def parse(url: str) -> sqlalchemy.URL:
    """The URL of a database, with the driver that reaches it. Raises sqlalchemy.exc.ArgumentError."""
    parsed = sqlalchemy.make_url(url)
    return parsed.set(drivername=_DRIVERS.get(parsed.drivername, parsed.drivername))
