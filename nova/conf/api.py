"""[api]: authentication, limits and links of the Compute API, and what the metadata API tells guests."""

from oslo_config import cfg

GROUP = cfg.OptGroup("api", title="Compute and metadata API")

OPTIONS = [
    cfg.StrOpt(
        "auth_strategy",
        default="keystone",
        choices=[
            ("keystone", "tokens checked with Keystone"),
            ("noauth2", "any token user:project is believed; tests only"),
        ],
        help="How a request says who sends it.",
    ),
    cfg.IntOpt("max_limit", default=1000, min=1, help="Most items in one page of a list."),
    cfg.IntOpt(
        "max_body_size", default=1048576, min=1024, help="Most bytes in a request's body; above it the answer is 413."
    ),
    cfg.IntOpt(
        "max_event_streams",
        default=500,
        min=1,
        help="Most event streams (GET /servers/events) that are open at once in one worker process; above it the answer is "
        "503. Each is a connection of [wsgi] max_connections.",
    ),
    cfg.IntOpt(
        "max_event_streams_per_project",
        default=100,
        min=1,
        help="Most of them for one project's users in one worker process; above it the answer is 429.",
    ),
    cfg.BoolOpt(
        "status_page",
        default=False,
        help="Serve /status beside the Compute API: hosts, operations under way and recent failures, for administrators "
        "who log in with the Identity service.",
    ),
    cfg.StrOpt("compute_link_prefix", help="Replaces scheme, host and port in links to this API."),
    cfg.StrOpt("glance_link_prefix", help="Replaces scheme, host and port in links to images."),
    cfg.BoolOpt("enable_instance_password", default=True, help="Whether adminPass appears in answers."),
    cfg.StrOpt("dhcp_domain", default="novalocal", help="Domain appended to a guest's host name; empty for none."),
    cfg.IntOpt("metadata_cache_expiration", default=15, min=0, help="Seconds the metadata API remembers a guest."),
    cfg.StrOpt(
        "config_drive_skip_versions",
        default="1.0 2007-01-19 2007-03-01 2007-08-29 2007-10-10 2007-12-15 2008-02-01 2008-09-01",
        help="Versions of EC2's metadata that a config drive does not hold, separated by spaces.",
    ),
    cfg.ListOpt("vendordata_providers", default=["StaticJSON"], help="Sources of vendor data."),
    cfg.StrOpt("vendordata_jsonfile_path", help="File with the static vendor data, JSON."),
]
