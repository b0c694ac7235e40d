"""[cinder]: the Block Storage API."""

from oslo_config import cfg

GROUP = cfg.OptGroup("cinder", title="Block Storage API")

OPTIONS = [
    cfg.StrOpt("catalog_info", default="volumev3::publicURL", help="service type:name:interface in the catalog."),
    cfg.StrOpt("os_region_name", help="Region of the endpoint."),
    cfg.IntOpt("http_retries", default=3, min=0, help="Further attempts to reach the service."),
    cfg.BoolOpt("cross_az_attach", default=True, help="Whether a volume of another availability zone may be attached."),
]
