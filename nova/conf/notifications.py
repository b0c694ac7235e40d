"""[notifications]: notifications about servers and other resources on the message bus."""

from oslo_config import cfg

GROUP = cfg.OptGroup("notifications", title="Notifications")

OPTIONS = [
    cfg.StrOpt(
        "notification_format",
        default="unversioned",
        choices=[
            ("both", "versioned notifications; unversioned ones are not sent by this release"),
            ("versioned", "versioned notifications"),
            ("unversioned", "no notifications: this release does not have unversioned ones"),
        ],
        deprecated_group="DEFAULT",
        help="Format of notifications. Nothing is sent without [oslo_messaging_notifications] driver. All conductors "
        "of a cloud need the same value.",
    ),
    cfg.ListOpt(
        "versioned_notifications_topics", default=["versioned_notifications"], help="Topics of versioned notifications."
    ),
    cfg.StrOpt(
        "notify_on_state_change",
        choices=[
            (None, "instance.update is sent for changed names, metadata and tags only"),
            ("vm_state", "and of every change of vm_state"),
            ("vm_and_task_state", "and of every change of vm_state or task_state"),
        ],
        deprecated_group="DEFAULT",
        help="Changes of state for which instance.update is sent.",
    ),
    cfg.StrOpt(
        "default_level",
        default="INFO",
        choices=["DEBUG", "INFO", "WARN", "ERROR", "CRITICAL"],
        deprecated_group="DEFAULT",
        deprecated_name="default_notification_level",
        help="Level of notifications that do not report an error.",
    ),
    cfg.BoolOpt(
        "include_share_mapping", default=False, help="Whether notifications about servers list the shares they have."
    ),
    cfg.BoolOpt("bdms_in_notifications", default=False, help="Whether notifications about servers list their volumes."),
]


def are_wanted(conf: cfg.ConfigOpts) -> bool:
    """Whether notifications are sent: a format this release has, and a driver that sends it.

    The driver's option is oslo.messaging's: the bus must have been opened before.
    """
    drivers = {name for name in conf.oslo_messaging_notifications.driver if name not in ("", "noop")}
    return conf.notifications.notification_format != "unversioned" and bool(drivers)
