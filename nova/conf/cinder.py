"""[cinder]: the Block Storage API."""

from oslo_config import cfg

GROUP = cfg.OptGroup("cinder", title="Block Storage API")

ANY_OF_THIS_KIND = "volumev3::publicURL"

OPTIONS = [
    cfg.StrOpt(
        "catalog_info",
        default=ANY_OF_THIS_KIND,
        regex=r"^[^:]+:[^:]*:[^:]+$",
        help="service type:name:interface in the catalog; with the default, service_type, service_name and "
        "valid_interfaces count.",
    ),
    cfg.StrOpt("os_region_name", help="Region of the endpoint; region_name when unset."),
    cfg.StrOpt(
        "endpoint_template",
        help="Address of the API, in which %(project_id)s stands for the project; endpoint_override when unset.",
    ),
    cfg.IntOpt("http_retries", default=3, min=0, help="Further attempts to reach the service."),
    cfg.BoolOpt("cross_az_attach", default=True, help="Whether a volume of another availability zone may be attached."),
]
