"""[neutron]: the Networking API, whether Neutron or nova-network answers."""

from oslo_config import cfg

GROUP = cfg.OptGroup("neutron", title="Networking API")

OPTIONS = [
    cfg.IntOpt("http_retries", default=3, min=0, help="Further attempts to reach the service."),
    cfg.BoolOpt(
        "service_metadata_proxy", default=False, help="Whether a metadata proxy adds the guest's id to requests."
    ),
    cfg.StrOpt("metadata_proxy_shared_secret", default="", secret=True, help="Signs what the metadata proxy adds."),
]
