"""[conductor]: workers, leases and deadlines of the engine that runs operations."""

from oslo_config import cfg, types

GROUP = cfg.OptGroup("conductor", title="Conductor and operation engine")

OPTIONS = [
    cfg.IntOpt("workers", min=1, help="Worker processes; one per core when unset."),
    cfg.StrOpt(
        "transport",
        default="rpc",
        choices=[("rpc", "over the message bus"), ("local", "in this process, which then needs the database")],
        help="How this daemon reaches the conductor.",
    ),
    cfg.IntOpt("threads", default=64, min=1, help="Steps one conductor runs at the same time."),
    cfg.FloatOpt(
        "lease_s",
        default=30.0,
        min=0.1,
        help="Seconds after which an operation whose conductor went silent is taken over.",
    ),
    cfg.FloatOpt(
        "poll_interval_s",
        default=2.0,
        min=0.01,
        help="Seconds between two searches for operations that wait for a conductor.",
    ),
    cfg.ListOpt(
        "step_pauses_s",
        item_type=types.Float(min=0.0),
        default=[0.2, 1.0, 5.0, 15.0],
        bounds=False,
        help="Seconds between the tries of a step that needs a service which is away; the last counts for all later ones.",
    ),
    cfg.ListOpt(
        "left_pauses_s",
        item_type=types.Float(min=0.0),
        default=[60.0, 120.0, 300.0, 600.0],
        bounds=False,
        help="Seconds between the rounds in which what is left of an operation behind its point of no return is tried; "
        "the last counts for all later ones.",
    ),
    cfg.IntOpt(
        "purge_after_days",
        default=90,
        min=0,
        help="Days after which a deleted server's records, and entries of the event log, are purged; 0 never.",
    ),
]
