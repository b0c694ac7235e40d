"""[DEFAULT] of nova-compute: driver, instance files, capacity held back from guests."""

from oslo_config import cfg

OPTIONS = [
    cfg.StrOpt(
        "compute_driver",
        help="Hypervisor driver: libvirt.LibvirtDriver, vmwareapi.VMwareVCDriver, xenapi.XenAPIDriver or fake.FakeDriver.",
    ),
    cfg.StrOpt("instances_path", default="$state_path/instances", help="Directory of guests' disks."),
    cfg.BoolOpt(
        "use_cow_images", default=True, help="Whether a guest's disk is a qcow2 overlay over the cached image."
    ),
    cfg.StrOpt(
        "my_shared_fs_storage_ip",
        default="$my_ip",
        help="Address of this host on the network of shared file systems, to which they grant access.",
    ),
    cfg.StrOpt(
        "my_block_storage_ip",
        default="$my_ip",
        help="Address of this host on the network of volumes, to which the Block Storage service exports them.",
    ),
    cfg.BoolOpt("force_config_drive", default=False, help="Whether every guest gets a config drive."),
    cfg.StrOpt(
        "config_drive_format", default="iso9660", choices=["iso9660", "vfat"], help="File system of the config drive."
    ),
    cfg.StrOpt("mkisofs_cmd", default="genisoimage", help="Program that writes an ISO 9660 image."),
    cfg.FloatOpt(
        "cpu_allocation_ratio", min=0.0, help="VCPUs given to guests per physical CPU; the initial ratio when unset."
    ),
    cfg.FloatOpt("ram_allocation_ratio", min=0.0, help="Memory given to guests per MiB; the initial ratio when unset."),
    cfg.FloatOpt("disk_allocation_ratio", min=0.0, help="Disk given to guests per GiB; the initial ratio when unset."),
    cfg.FloatOpt("initial_cpu_allocation_ratio", default=4.0, min=0.0, help="CPU ratio of a new host."),
    cfg.FloatOpt("initial_ram_allocation_ratio", default=1.0, min=0.0, help="Memory ratio of a new host."),
    cfg.FloatOpt("initial_disk_allocation_ratio", default=1.0, min=0.0, help="Disk ratio of a new host."),
    cfg.IntOpt("reserved_host_cpus", default=0, min=0, help="Physical CPUs kept for the host."),
    cfg.IntOpt("reserved_host_memory_mb", default=512, min=0, help="MiB kept for the host."),
    cfg.IntOpt("reserved_host_disk_mb", default=0, min=0, help="MiB of disk kept for the host."),
    cfg.IntOpt(
        "vif_plugging_timeout",
        default=300,
        min=0,
        help="Seconds a guest that is created or rebooted hard waits, paused, until the Networking service says that its "
        "ports are plugged; 0: it does not wait.",
    ),
    cfg.BoolOpt(
        "vif_plugging_is_fatal",
        default=True,
        help="Whether a guest that has waited in vain is given up; else it runs, perhaps without its networks.",
    ),
    cfg.IntOpt("max_concurrent_builds", default=10, min=0, help="Guests built at once on this host; 0 for no limit."),
    cfg.IntOpt(
        "shutdown_timeout", default=60, min=0, help="Seconds a guest has to shut down before it is switched off."
    ),
    cfg.IntOpt(
        "shelved_offload_time",
        default=0,
        min=-1,
        help="Seconds a shelved server stays on its host; 0 offloads it at once, -1 never.",
    ),
    cfg.IntOpt(
        "resize_confirm_window",
        default=0,
        min=0,
        help="Seconds after which a resize is confirmed by itself; 0 never.",
    ),
    cfg.ListOpt(
        "non_inheritable_image_properties",
        default=["cache_in_nova", "bittorrent"],
        help="Properties of a server's image that images made of the server do not get.",
    ),
    cfg.IntOpt(
        "sync_power_state_interval",
        default=600,
        help="Seconds between two comparisons of guests' power states with the records; below 0 never.",
    ),
    cfg.IntOpt(
        "update_resources_interval",
        default=0,
        help="Seconds between two reports of inventory; 0 means 60, below 0 never.",
    ),
    cfg.BoolOpt(
        "resume_guests_state_on_host_boot",
        default=False,
        help="Whether guests that were running are started when the host comes back.",
    ),
    cfg.StrOpt(
        "running_deleted_instance_action",
        default="reap",
        choices=["noop", "log", "shutdown", "reap"],
        help="What happens to a guest whose server is gone.",
    ),
    cfg.IntOpt(
        "running_deleted_instance_poll_interval",
        default=1800,
        min=0,
        help="Seconds between two searches for such guests; 0 never.",
    ),
    cfg.IntOpt(
        "fake_hosts",
        default=1,
        min=1,
        help="Hosts one nova-compute stands for with the fake driver, named HOST, HOST-2, HOST-3 ...",
    ),
    cfg.StrOpt(
        "fake_state_path",
        help="Directory in which the fake driver keeps guests and disks, so that they outlive a nova-compute that is killed. "
        "They live and die with nova-compute without it.",
    ),
    cfg.FloatOpt("fake_delay", default=0.0, min=0.0, help="Seconds every call of the fake driver takes."),
    cfg.FloatOpt(
        "fake_failure_rate", default=0.0, min=0.0, max=1.0, help="Share of the fake driver's guest creations that fail."
    ),
]
