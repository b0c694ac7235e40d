"""[manila]: the Shared File Systems API."""

from oslo_config import cfg

GROUP = cfg.OptGroup("manila", title="Shared File Systems API")

OPTIONS = [
    cfg.IntOpt(
        "share_apply_policy_timeout",
        default=10,
        min=0,
        help="Seconds the service has to apply a rule of access before a share's attachment fails; 0 does not wait.",
    ),
]
