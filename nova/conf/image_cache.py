"""[image_cache]: images kept on a host so that each is fetched once."""

from oslo_config import cfg

GROUP = cfg.OptGroup("image_cache", title="Image cache")

OPTIONS = [
    cfg.StrOpt(
        "subdirectory_name", default="_base", help="Directory of cached images, inside [DEFAULT] instances_path."
    ),
    cfg.IntOpt("manager_interval", default=2400, min=-1, help="Seconds between two cleanings; below 0 never."),
    cfg.BoolOpt("remove_unused_base_images", default=True, help="Whether images no guest uses are removed."),
    cfg.IntOpt(
        "remove_unused_original_minimum_age_seconds",
        default=24 * 3600,
        help="Seconds since its last use after which an unused image is removed.",
    ),
]
