"""[scheduler] and [filter_scheduler]: how a host is chosen."""

from types import SimpleNamespace

from oslo_config import cfg

# Source: Compute configuration reference, image_properties_default_architecture.
ARCHITECTURES = [
    "alpha",
    "armv6",
    "armv7l",
    "armv7b",
    "aarch64",
    "cris",
    "i686",
    "ia64",
    "lm32",
    "m68k",
    "microblaze",
    "microblazeel",
    "mips",
    "mipsel",
    "mips64",
    "mips64el",
    "openrisc",
    "parisc",
    "parisc64",
    "ppc",
    "ppcle",
    "ppc64",
    "ppc64le",
    "ppcemb",
    "s390",
    "s390x",
    "sh4",
    "sh4eb",
    "sparc",
    "sparc64",
    "unicore32",
    "x86_64",
    "xtensa",
    "xtensaeb",
]


def _multiplier(name: str, default: float, what: str) -> cfg.FloatOpt:
    return cfg.FloatOpt(
        f"{name}_weight_multiplier",
        default=default,
        help=f"Weight of {what}; below 0 turns the preference round, 0 ignores it. "
        "An aggregate's metadata of the same name wins for its hosts.",
    )


MODULES = (
    SimpleNamespace(
        GROUP=cfg.OptGroup("scheduler", title="Scheduler"),
        OPTIONS=[
            cfg.IntOpt("workers", min=1, help="Worker processes; one when unset."),
            cfg.IntOpt("max_attempts", default=3, min=1, help="Hosts tried for one build before it fails."),
            cfg.IntOpt("max_placement_results", default=1000, min=1, help="Most allocation candidates asked for."),
            cfg.BoolOpt(
                "limit_tenants_to_placement_aggregate",
                default=False,
                help="Whether a project that aggregates name in filter_tenant_id gets hosts of those aggregates only.",
            ),
            cfg.BoolOpt(
                "placement_aggregate_required_for_tenants",
                default=False,
                help="Whether, with limit_tenants_to_placement_aggregate, a project that none names gets no host.",
            ),
            cfg.BoolOpt(
                "enable_isolated_aggregate_filtering",
                default=False,
                help="Whether hosts of aggregates with metadata trait:NAME=required take only servers that require "
                "these traits.",
            ),
            cfg.BoolOpt(
                "query_placement_for_image_type_support",
                default=False,
                help="Whether a host must have the trait COMPUTE_IMAGE_TYPE_* of the image's disk format.",
            ),
            cfg.BoolOpt(
                "image_metadata_prefilter",
                default=False,
                help="Whether a host must have the traits of the disk bus, network and video models an image names.",
            ),
        ],
    ),
    SimpleNamespace(
        GROUP=cfg.OptGroup("filter_scheduler", title="Filters and weighers"),
        OPTIONS=[
            cfg.MultiStrOpt(
                "available_filters",
                default=["nova.scheduler.filters.all_filters"],
                help="Filters that may be enabled: the built-in ones, and classes of your own by their dotted path.",
            ),
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
            cfg.ListOpt(
                "weight_classes",
                default=["nova.scheduler.weights.all_weighers"],
                help="Weighers in use: the built-in ones together or by name, and classes of your own by dotted path.",
            ),
            _multiplier("ram", 1.0, "free memory"),
            _multiplier("cpu", 1.0, "free VCPUs"),
            _multiplier("disk", 1.0, "free disk"),
            _multiplier("io_ops", -1.0, "servers being built, resized, snapshotted or rescued on a host"),
            _multiplier("num_instances", 0.0, "the number of servers on a host"),
            _multiplier("hypervisor_version", 1.0, "a newer hypervisor"),
            _multiplier("build_failure", 1000000.0, "hosts that refused servers lately; counted against them"),
            cfg.FloatOpt(
                "soft_affinity_weight_multiplier",
                default=1.0,
                min=0.0,
                help="Weight of members of the same soft-affinity group on a host.",
            ),
            cfg.FloatOpt(
                "soft_anti_affinity_weight_multiplier",
                default=1.0,
                min=0.0,
                help="Weight of there being few members of the same soft-anti-affinity group on a host.",
            ),
            cfg.IntOpt("host_subset_size", default=1, min=1, help="Best hosts among which one is taken at random."),
            cfg.BoolOpt(
                "shuffle_best_same_weighed_hosts",
                default=False,
                help="Whether equally good hosts are taken in random order.",
            ),
            cfg.IntOpt(
                "max_io_ops_per_host",
                default=8,
                help="Servers being built, resized, snapshotted or rescued on a host from which on IoOpsFilter drops it.",
            ),
            cfg.IntOpt(
                "max_instances_per_host",
                default=50,
                min=1,
                help="Servers on a host from which on NumInstancesFilter drops it.",
            ),
            cfg.ListOpt("isolated_images", default=[], help="Images that run on isolated hosts only."),
            cfg.ListOpt("isolated_hosts", default=[], help="Hosts kept for isolated images."),
            cfg.BoolOpt(
                "restrict_isolated_hosts_to_isolated_images",
                default=True,
                help="Whether isolated hosts take nothing but isolated images.",
            ),
            cfg.StrOpt(
                "aggregate_image_properties_isolation_namespace",
                help="Only aggregate metadata with this prefix counts for AggregateImagePropertiesIsolation.",
            ),
            cfg.StrOpt(
                "aggregate_image_properties_isolation_separator",
                default=".",
                help="What stands between that prefix and the rest of the name.",
            ),
            cfg.StrOpt(
                "image_properties_default_architecture",
                choices=ARCHITECTURES,
                help="Architecture of images that name none; any host will do for them when unset.",
            ),
        ],
    ),
)
