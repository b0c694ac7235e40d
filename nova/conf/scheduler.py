"""[scheduler] and [filter_scheduler]: how a host is chosen."""

from types import SimpleNamespace

from oslo_config import cfg

MODULES = (
    SimpleNamespace(
        GROUP=cfg.OptGroup("scheduler", title="Scheduler"),
        OPTIONS=[
            cfg.IntOpt("workers", min=1, help="Worker processes; one when unset."),
            cfg.IntOpt("max_attempts", default=3, min=1, help="Hosts tried for one build before it fails."),
            cfg.IntOpt("max_placement_results", default=1000, min=1, help="Most allocation candidates asked for."),
        ],
    ),
    SimpleNamespace(
        GROUP=cfg.OptGroup("filter_scheduler", title="Filters and weighers"),
        OPTIONS=[
            cfg.ListOpt(
                "enabled_filters",
                default=[
                    "ComputeFilter",
                    "ComputeCapabilitiesFilter",
                    "ImagePropertiesFilter",
                    "ServerGroupAntiAffinityFilter",
                    "ServerGroupAffinityFilter",
                ],
                help="Filters a host must pass, in this order.",
            ),
            cfg.FloatOpt("ram_weight_multiplier", default=1.0, help="Weight of free memory; below 0 packs."),
            cfg.FloatOpt("cpu_weight_multiplier", default=1.0, help="Weight of free VCPUs; below 0 packs."),
            cfg.FloatOpt("disk_weight_multiplier", default=1.0, help="Weight of free disk; below 0 packs."),
            cfg.IntOpt("host_subset_size", default=1, min=1, help="Best hosts among which one is taken at random."),
            cfg.BoolOpt(
                "shuffle_best_same_weighed_hosts",
                default=False,
                help="Whether equally good hosts are taken in random order.",
            ),
        ],
    ),
)
