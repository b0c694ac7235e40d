"""[DEFAULT]: who this host is, where it keeps files, which address each API listens on."""

import socket

from oslo_config import cfg, types

OPTIONS = [
    cfg.HostDomainOpt(
        "host",
        default=socket.gethostname(),
        sample_default="<current_hostname>",
        help="Name of this host as the other daemons know it; the topic nova-compute listens on.",
    ),
    cfg.StrOpt("my_ip", default="127.0.0.1", help="Address of this host on the management network."),
    cfg.StrOpt("state_path", default="/var/lib/nova", help="Directory in which the daemons keep their files."),
    cfg.StrOpt("tempdir", help="Directory for temporary files; the system's when unset."),
    cfg.StrOpt(
        "concurrency_backend",
        default="auto",
        choices=[
            ("auto", "native threads"),
            ("eventlet", "green threads, standard library patched"),
            ("threading", "native threads, nothing patched"),
        ],
        help="What runs concurrent work in a daemon.",
    ),
    cfg.IntOpt(
        "default_green_pool_size", default=1000, min=1, help="Concurrent requests of one API worker under eventlet."
    ),
    cfg.IntOpt(
        "default_thread_pool_size",
        default=100,
        min=1,
        help="Concurrent requests of one API worker under threading; event streams are counted by [api] max_event_streams.",
    ),
    cfg.ListOpt(
        "enabled_apis",
        default=["osapi_compute", "metadata"],
        item_type=types.String(choices=["osapi_compute", "metadata", "ec2"]),
        help="Which APIs nova-api serves.",
    ),
    cfg.ListOpt(
        "enabled_ssl_apis",
        default=[],
        item_type=types.String(choices=["osapi_compute", "metadata", "placement", "network", "ec2", "s3"]),
        help="Which APIs of this host speak TLS, with the certificate of [wsgi] ssl_cert_file.",
    ),
    cfg.StrOpt("osapi_compute_listen", default="0.0.0.0", help="Address the Compute API listens on."),
    cfg.PortOpt("osapi_compute_listen_port", default=8774, help="Port of the Compute API."),
    cfg.IntOpt("osapi_compute_workers", min=1, help="Worker processes of the Compute API; one per core when unset."),
    cfg.StrOpt("metadata_listen", default="0.0.0.0", help="Address the metadata API listens on."),
    cfg.PortOpt("metadata_listen_port", default=8775, help="Port of the metadata API."),
    cfg.IntOpt("metadata_workers", min=1, help="Worker processes of the metadata API; one per core when unset."),
    cfg.StrOpt(
        "health_listen",
        default="127.0.0.1",
        help="Address on which a daemon answers /healthz, /readyz and /metrics.",
    ),
    cfg.PortOpt(
        "health_port",
        default=0,
        help="Port on which a daemon answers /healthz, /readyz and /metrics; 0 turns it off. Daemons of one host need "
        "different ports.",
    ),
    cfg.IntOpt(
        "health_free_disk_mb",
        default=100,
        min=0,
        help="MiB that must be free on the file system of state_path; with less a daemon is not ready.",
    ),
    cfg.IntOpt("report_interval", default=10, min=1, help="Seconds between two heartbeats of a daemon."),
    cfg.IntOpt(
        "service_down_time",
        default=60,
        min=1,
        help="Seconds without a heartbeat after which a daemon counts as down.",
    ),
    cfg.StrOpt("default_availability_zone", default="nova", help="Zone of a host that no aggregate puts into one."),
    cfg.StrOpt(
        "internal_service_availability_zone",
        default="internal",
        help="Zone shown for daemons that are not nova-compute.",
    ),
    cfg.StrOpt("default_schedule_zone", help="Zone for servers that ask for none; any zone when unset."),
    cfg.StrOpt(
        "instance_name_template",
        default="instance-%08x",
        help="Name of a guest on its host, from the number of its record.",
    ),
    cfg.IntOpt("password_length", default=12, min=1, help="Length of a generated administrator password."),
    cfg.IntOpt(
        "reclaim_instance_interval", default=0, help="Seconds a deleted server can be restored; 0 deletes at once."
    ),
    cfg.IntOpt(
        "instance_build_timeout",
        default=0,
        min=0,
        help="Seconds a build may take in all; 0 means the built-in deadline of an hour.",
    ),
    cfg.BoolOpt(
        "enable_new_services", default=True, help="Whether a nova-compute that registers for the first time is enabled."
    ),
    cfg.StrOpt(
        "osapi_compute_unique_server_name_scope",
        default="",
        choices=["", "project", "global"],
        help="Where a server's name must be unique.",
    ),
    cfg.BoolOpt("allow_resize_to_same_host", default=False, help="Whether resize may keep a server on its host."),
]
