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
    cfg.StrOpt(
        "cpu_mode",
        choices=["host-model", "host-passthrough", "custom", "none"],
        help="CPU shown to guests; host-model when unset.",
    ),
    cfg.ListOpt(
        "cpu_models", default=[], help="Named CPU models, with cpu_mode custom: the first usable one is taken."
    ),
    cfg.ListOpt("cpu_model_extra_flags", default=[], help="CPU features to add (name or +name) or to remove (-name)."),
    cfg.ListOpt("hw_machine_type", help="arch=machine pairs, such as x86_64=q35; pc when unset."),
    cfg.IntOpt(
        "num_pcie_ports",
        default=0,
        min=0,
        max=28,
        help="PCIe ports of a q35 guest, which bound how many devices can be plugged in later; 0 means 12.",
    ),
    cfg.StrOpt(
        "images_type",
        default="default",
        choices=[
            ("default", "as [DEFAULT] use_cow_images says: qcow2 or flat"),
            ("qcow2", "an overlay over the cached image"),
            ("flat", "a raw copy of the image"),
            ("raw", "the same as flat"),
        ],
        help="How guests' root disks are kept.",
    ),
    cfg.ListOpt("disk_cachemodes", default=[], help="disk-type=cache-mode pairs; disk types: file, block, network."),
    cfg.StrOpt("hw_disk_discard", choices=["ignore", "unmap"], help="Whether guests can give disk space back."),
    cfg.StrOpt("rng_dev_path", default="/dev/urandom", help="Source of guests' random numbers."),
    cfg.IntOpt("mem_stats_period_seconds", default=10, help="Seconds between two memory statistics; below 1 none."),
    cfg.IntOpt("max_queues", min=1, help="Most queues of a multiqueue network device; 256 when unset."),
    cfg.StrOpt(
        "sysinfo_serial",
        default="unique",
        choices=["none", "os", "hardware", "auto", "unique"],
        help="Serial number in the guest's SMBIOS; unique means the server's id, hardware the host's.",
    ),
    cfg.IntOpt("device_detach_attempts", default=8, min=1, help="Times a guest is asked to release a device."),
    cfg.IntOpt("device_detach_timeout", default=20, min=1, help="Seconds each time."),
    cfg.StrOpt(
        "snapshot_image_format",
        choices=["raw", "qcow2", "vmdk", "vdi"],
        help="Format of snapshots; the format of the image the server was made from when unset.",
    ),
    cfg.StrOpt(
        "snapshots_directory", default="$instances_path/snapshots", help="Where a snapshot lies until it is uploaded."
    ),
    cfg.IntOpt(
        "file_backed_memory",
        default=0,
        min=0,
        help="MiB this host has for guests' memory in files, which shares need; it is all the memory in Placement's inventory. 0: none.",
    ),
    cfg.StrOpt(
        "nfs_mount_point_base", default="$state_path/mnt", help="Directory below which shares of NFS are mounted."
    ),
    cfg.StrOpt("nfs_mount_options", help="Options of mount.nfs."),
    cfg.BoolOpt(
        "inject_password",
        default=False,
        help="Whether the administrator's password is written into the root disk of a new or rebuilt guest, with libguestfs.",
    ),
    cfg.IntOpt(
        "inject_partition",
        default=-2,
        min=-2,
        help="-2 keeps anything from being written into disks; any other value lets libguestfs find the root file system.",
    ),
    cfg.IntOpt(
        "images_address_space_limit", default=2, min=1, help="GiB of memory qemu-img may use to convert an image."
    ),
    cfg.StrOpt("rbd_user", help="Ceph user of RBD volumes, when their connection names none."),
    cfg.StrOpt("rbd_secret_uuid", help="libvirt secret that holds this user's key."),
    cfg.BoolOpt("volume_use_multipath", default=False, help="Whether volumes are reached over several paths."),
    cfg.StrOpt(
        "live_migration_uri",
        help="URI of another host's libvirt, with %s for its name or address; qemu+SCHEME://%s/system when unset.",
    ),
    cfg.StrOpt(
        "live_migration_scheme",
        help="Transport to another host's libvirt where live_migration_uri is unset: tls, ssh, or tcp when this is unset.",
    ),
    cfg.HostDomainOpt(
        "live_migration_inbound_addr",
        deprecated_name="migration_inbound_addr",
        help="Address under which this host receives guests; [DEFAULT] my_ip when unset.",
    ),
    cfg.IntOpt(
        "live_migration_completion_timeout",
        default=800,
        min=0,
        help="Seconds per GiB before a live migration is aborted; 0 never.",
    ),
    cfg.StrOpt(
        "live_migration_timeout_action",
        default="abort",
        choices=[("abort", "the guest stays"), ("force_complete", "the guest is paused, and goes")],
        help="What giving up means.",
    ),
    cfg.IntOpt(
        "live_migration_downtime",
        default=500,
        min=100,
        help="Most milliseconds a guest stands still in a live migration.",
    ),
    cfg.IntOpt("live_migration_bandwidth", default=0, help="Most MiB/s of a live migration; 0 for no limit."),
    cfg.BoolOpt(
        "live_migration_permit_auto_converge",
        default=False,
        help="Whether a guest that writes faster than it can be moved is slowed down.",
    ),
]
