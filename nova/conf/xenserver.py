"""[xenserver]: the driver for XenServer and XCP-ng."""

from oslo_config import cfg

GROUP = cfg.OptGroup("xenserver", title="XenServer")

OPTIONS = [
    cfg.StrOpt(
        "connection_url",
        help="URL of this nova-compute's host, such as https://xen1.example.com. Where it is not its pool's master, the "
        "master is found by itself.",
    ),
    cfg.StrOpt("connection_username", default="root", help="User of the management API: a pool administrator."),
    cfg.StrOpt("connection_password", secret=True, help="Password of that user."),
    cfg.StrOpt("ca_file", help="Certificates that prove the pool's hosts; the system's when unset."),
    cfg.BoolOpt("insecure", default=False, help="Whether certificates of the pool's hosts go unchecked."),
    cfg.IntOpt("login_timeout", default=10, min=1, help="Seconds within which a host has to answer a login."),
    cfg.IntOpt("request_timeout", default=60, min=1, help="Seconds within which the pool has to answer a call."),
    cfg.IntOpt("connection_concurrent", default=5, min=1, help="Most calls that are under way at once."),
    cfg.StrOpt(
        "sr_matching_filter",
        default="default-sr:true",
        regex="^(default-sr:true|other-config:[^=]+=.+)$",
        help="The storage repository for guests' disks: default-sr:true, the pool's default, or other-config:KEY=VALUE.",
    ),
    cfg.StrOpt(
        "cache_images",
        default="all",
        choices=[
            ("all", "every image"),
            ("some", "images with the property cache_in_nova=true"),
            ("none", "none: each guest's disk is imported"),
        ],
        help="Which images stay in the storage repository, so that guests' disks stand on them.",
    ),
    cfg.StrOpt("default_os_type", default="linux", help="os_type of an image that says none."),
]
