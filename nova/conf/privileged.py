"""[nova_network_privileged]: the process that does what nova-network may not do itself (nova.privileged).

The options are oslo.privsep's; what is unset is as nova.privileged names it.
"""

from oslo_config import cfg

GROUP = cfg.OptGroup("nova_network_privileged", title="Privileged process of nova-network")
OPTIONS = [
    cfg.StrOpt(
        "helper_command",
        help="Command that starts the privileged process when nova-network itself has no rights, such as sudo privsep-helper "
        "--config-file /etc/nova/nova.conf. Unset, nova-network must be started as root, and starts it before it becomes "
        "the user of --user.",
    ),
    cfg.StrOpt("user", help="User of the privileged process; root when unset."),
    cfg.StrOpt("group", help="Group of the privileged process."),
    cfg.ListOpt(
        "capabilities",
        default=[],
        help="Capabilities that the privileged process keeps, for the named ones of this release.",
    ),
    cfg.IntOpt("thread_pool_size", default=8, min=1, help="Operations that the privileged process does at a time."),
]
