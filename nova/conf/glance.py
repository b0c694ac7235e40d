"""[glance]: the Image service."""

from oslo_config import cfg

GROUP = cfg.OptGroup("glance", title="Image service")

OPTIONS = [
    cfg.ListOpt("api_servers", help="Image service endpoints; from the catalog when unset."),
    cfg.IntOpt("num_retries", default=3, min=0, help="Further attempts to reach the service, and of a download."),
]
