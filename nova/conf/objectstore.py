"""[DEFAULT], nova-objectstore: where it listens, where buckets lie, how much one may hold, and images that come from there."""

from oslo_config import cfg

OPTIONS = [
    cfg.StrOpt("s3_listen", default="0.0.0.0", help="Address nova-objectstore listens on."),
    cfg.PortOpt("s3_listen_port", default=3333, help="Port of nova-objectstore."),
    cfg.IntOpt("s3_workers", min=1, help="Worker processes of nova-objectstore; one per core when unset."),
    cfg.StrOpt(
        "buckets_path",
        default="$state_path/buckets",
        help="Directory of nova-objectstore's buckets, on a file system of this host alone.",
    ),
    cfg.StrOpt("s3_region", default="RegionOne", help="Region that buckets say they are in."),
    cfg.IntOpt("s3_max_buckets", default=100, min=0, help="Most buckets of one project."),
    cfg.IntOpt(
        "s3_bucket_quota_mb",
        default=-1,
        min=-1,
        help="Most MiB in one bucket, keys, headers, unfinished uploads and bodies under way included, and 4 KiB more for "
        "each object, part and upload; -1 is as much as the disk takes.",
    ),
    cfg.StrOpt("s3_host", default="$my_ip", help="Host where conductors reach nova-objectstore."),
    cfg.PortOpt("s3_port", default=3333, help="Port where conductors reach it."),
    cfg.BoolOpt("s3_use_ssl", default=False, help="Whether they reach it over TLS; [keystone] says how it is checked."),
    cfg.StrOpt(
        "image_decryption_dir",
        default="$state_path/images",
        help="Directory of a conductor's files without a name, in which it unpacks the images of the EC2 API.",
    ),
    cfg.IntOpt(
        "ec2_image_max_gb", default=100, min=1, help="Most GiB of an image that the EC2 API registers or copies."
    ),
]
