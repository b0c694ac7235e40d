"""[notifications]: which readers of the event log are told over the bus."""

from oslo_config import cfg

GROUP = cfg.OptGroup("notifications", title="Notifications")

OPTIONS = [
    cfg.StrOpt(
        "notification_format",
        default="unversioned",
        choices=["both", "versioned", "unversioned"],
        help="Format of notifications; this release sends the versioned one.",
    ),
    cfg.ListOpt(
        "versioned_notifications_topics", default=["versioned_notifications"], help="Topics of versioned notifications."
    ),
]
