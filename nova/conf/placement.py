"""[placement] and [placement_database]: the Placement service and the way to it."""

from types import SimpleNamespace

from oslo_config import cfg

from nova.conf.database import CONNECTION_OPTIONS

MODULES = (
    SimpleNamespace(
        GROUP=cfg.OptGroup("placement", title="Placement service"),
        OPTIONS=[
            cfg.StrOpt("listen", default="0.0.0.0", help="Address nova-placement-api listens on."),
            cfg.PortOpt("listen_port", default=8778, help="Port of nova-placement-api."),
            cfg.IntOpt("workers", min=1, help="Worker processes of nova-placement-api; one per core when unset."),
        ],
    ),
    SimpleNamespace(
        GROUP=cfg.OptGroup("placement_database", title="Placement's own database"),
        OPTIONS=CONNECTION_OPTIONS,
    ),
)
