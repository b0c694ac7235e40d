"""[placement], [placement_database] and [cors]: the Placement service and the way to it."""

from types import SimpleNamespace

from oslo_config import cfg
from oslo_middleware import cors

from nova.conf.database import CONNECTION_OPTIONS

MODULES = (
    SimpleNamespace(
        GROUP=cfg.OptGroup("placement", title="Placement service"),
        OPTIONS=[
            cfg.StrOpt("listen", default="0.0.0.0", help="Address nova-placement-api listens on."),
            cfg.PortOpt("listen_port", default=8778, help="Port of nova-placement-api."),
            cfg.IntOpt("workers", min=1, help="Worker processes of nova-placement-api; one per core when unset."),
            cfg.IntOpt(
                "max_allocation_candidates",
                default=-1,
                min=-1,
                help="Most candidates in one answer, whatever limit a request names; -1 for no such bound.",
            ),
            cfg.StrOpt(
                "allocation_candidates_generation_strategy",
                default="breadth-first",
                choices=[
                    ("breadth-first", "one candidate of each tree in turn, so that a limit shows many hosts"),
                    ("depth-first", "all candidates of one tree before the next"),
                ],
                help="Order in which candidates are worked out.",
            ),
            cfg.BoolOpt(
                "randomize_allocation_candidates",
                default=False,
                help="Whether each answer starts at another tree, so that a limit does not favour the oldest.",
            ),
            cfg.StrOpt(
                "incomplete_consumer_project_id",
                default="00000000-0000-0000-0000-000000000000",
                help="Project of consumers made by a version before 1.8.",
            ),
            cfg.StrOpt(
                "incomplete_consumer_user_id",
                default="00000000-0000-0000-0000-000000000000",
                help="User of consumers made by a version before 1.8.",
            ),
        ],
    ),
    SimpleNamespace(
        GROUP=cfg.OptGroup("placement_database", title="Placement's own database"),
        OPTIONS=CONNECTION_OPTIONS,
    ),
    SimpleNamespace(
        GROUP=cfg.OptGroup("cors", title="Browsers of other origins; off while no origin is allowed"),
        OPTIONS=cors.CORS_OPTS,
    ),
)
