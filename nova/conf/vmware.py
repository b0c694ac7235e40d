"""[vmware]: the driver of a vCenter's cluster."""

from oslo_config import cfg

GROUP = cfg.OptGroup("vmware", title="vmware")

OPTIONS = [
    cfg.HostAddressOpt("host_ip", help="Name or address of the vCenter."),
    cfg.PortOpt("host_port", default=443, help="Port of the vCenter."),
    cfg.StrOpt("host_username", help="User who logs in to the vCenter."),
    cfg.StrOpt("host_password", secret=True, help="This user's password."),
    cfg.StrOpt(
        "ca_file", help="Certificates of authorities that may have signed the vCenter's; the system's when unset."
    ),
    cfg.BoolOpt(
        "insecure", default=False, help="Do not check the vCenter's certificate; ca_file counts when it is set."
    ),
    cfg.StrOpt("cluster_name", help="The cluster whose guests this nova-compute drives: no other may have it."),
    cfg.StrOpt("datastore_regex", help="Datastores whose name matches are used; all of the cluster's when unset."),
    cfg.StrOpt(
        "cache_prefix", help="Prefix of the directory of cached images, one for each nova-compute, on a datastore."
    ),
    cfg.BoolOpt(
        "use_linked_clone",
        default=True,
        help="Root disks stand on the cached image; False: they are copies of it. An image's property "
        "vmware_linked_clone wins.",
    ),
    cfg.IntOpt("api_retry_count", default=10, min=0, help="How often a question that was not answered is asked again."),
    cfg.IntOpt("connection_pool_size", default=10, min=10, help="Connections that are kept open to the vCenter."),
    cfg.IntOpt("maximum_objects", default=100, min=1, help="How many objects' properties one answer holds at most."),
    cfg.FloatOpt("task_poll_interval", default=0.5, min=0.01, help="Seconds between two looks at a task, at most."),
    cfg.StrOpt(
        "serial_port_service_uri",
        help="URI of the collector (virtual serial port concentrator) that guests' serial ports connect to; without it they have none.",
    ),
    cfg.URIOpt(
        "serial_port_proxy_uri",
        schemes=["telnet", "telnets"],
        help="URI of a proxy between the hosts and the collector, where there is one.",
    ),
    cfg.StrOpt(
        "serial_log_dir",
        default="/opt/vmware/vspc",
        help="The collector's directory, as nova-compute's host sees it: what a guest has written is in a file of its own there.",
    ),
]
