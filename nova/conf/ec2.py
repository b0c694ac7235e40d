"""[DEFAULT] ec2_*: the EC2 API. Source: the Compute configuration reference of Icehouse and Mitaka, "EC2"."""

from oslo_config import cfg

OPTIONS = [
    cfg.StrOpt("ec2_listen", default="0.0.0.0", help="Address the EC2 API listens on."),
    cfg.PortOpt("ec2_listen_port", default=8773, help="Port of the EC2 API."),
    cfg.StrOpt("ec2_host", help="Host name of the EC2 API in DescribeRegions; the one that was asked when unset."),
    cfg.PortOpt("ec2_port", default=8773, help="Port of the EC2 API in DescribeRegions."),
    cfg.StrOpt("ec2_scheme", default="http", choices=["http", "https"], help="Scheme of it in DescribeRegions."),
    cfg.StrOpt("ec2_path", default="/", help="Path of the EC2 API in DescribeRegions."),
    cfg.DictOpt("region_list", default={}, help="Other regions in DescribeRegions: NAME=HOST, separated by commas."),
    cfg.URIOpt(
        "keystone_ec2_url",
        help="Where signatures are checked, as https://HOST:5000/v3/ec2tokens; where the catalog has the Identity service "
        "when unset.",
    ),
    cfg.IntOpt(
        "ec2_timestamp_expiry",
        default=300,
        min=1,
        help="Seconds that a signature counts, before and after the time it was made at.",
    ),
    cfg.BoolOpt(
        "ec2_strict_validation",
        default=True,
        help="Whether names and descriptions of security groups are held to EC2's rules, beside those of the Networking API.",
    ),
    cfg.BoolOpt(
        "ec2_private_dns_show_ip",
        default=False,
        help="Whether a server's private DNS name is its fixed address instead of its host name.",
    ),
]
