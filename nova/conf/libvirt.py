"""[libvirt]: the KVM/QEMU driver."""

from oslo_config import cfg

GROUP = cfg.OptGroup("libvirt", title="libvirt")

OPTIONS = [
    cfg.StrOpt("connection_uri", default="", help="libvirt URI; qemu:///system when empty."),
    cfg.StrOpt(
        "virt_type",
        default="kvm",
        choices=["kvm", "qemu"],
        help="kvm becomes qemu by itself on a processor without hardware virtualization.",
    ),
    cfg.StrOpt("cpu_mode", choices=["host-model", "host-passthrough", "custom", "none"], help="CPU shown to guests."),
    cfg.ListOpt("cpu_models", default=[], help="Named CPU models, with cpu_mode custom."),
    cfg.ListOpt("hw_machine_type", help="arch=machine pairs."),
    cfg.ListOpt("disk_cachemodes", default=[], help="disk-type=cache-mode pairs."),
    cfg.StrOpt("rng_dev_path", default="/dev/urandom", help="Source of guests' random numbers."),
    cfg.IntOpt("mem_stats_period_seconds", default=10, help="Seconds between two memory statistics; below 1 none."),
    cfg.StrOpt("live_migration_uri", help="URI of another host's libvirt, with %s for its name."),
    cfg.HostDomainOpt(
        "live_migration_inbound_addr", help="Address under which this host receives guests; the host's name when unset."
    ),
    cfg.IntOpt(
        "live_migration_completion_timeout",
        default=800,
        min=0,
        help="Seconds per GiB before a live migration is given up.",
    ),
    cfg.IntOpt(
        "live_migration_downtime",
        default=500,
        min=100,
        help="Most milliseconds a guest stands still in a live migration.",
    ),
]
