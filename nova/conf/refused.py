"""Options of upstream's that ask for what this release does not give: no daemon starts with one of them set.

What promises safety, and what guests or their users would miss, is refused rather than read over; the same options with
the value that asks for nothing are read over. Source: the Compute configuration reference.
"""

from typing import NamedTuple

_OFF = ("", "false", "no", "off", "0", "none")
_ON = ("", "true", "yes", "on", "1")


class Refusal(NamedTuple):
    """why, and the values which ask for nothing besides those that switch a thing off; off: whether those do."""

    why: str
    harmless: tuple[str, ...] = ()
    off: bool = True


_VNC = Refusal("the way from the proxy to the guest's screen is neither authenticated nor encrypted")
_SPICE = Refusal("SPICE screens have QEMU's own settings")
_SIGNATURES = Refusal("certificates of image signatures are not checked")
_NO_QPID = Refusal(
    "the message bus is RabbitMQ, as transport_url = rabbit://USER:PASSWORD@HOST:PORT/ names it",
    ("rabbit", "kombu", "nova.rpc.impl_kombu", "nova.openstack.common.rpc.impl_kombu"),
)
_NOT_PINNED = Refusal("processors of a host are not set apart for guests")
_NO_DEVICES = Refusal("no devices of hosts are given to guests")

REFUSALS: dict[tuple[str, str], Refusal] = {
    ("DEFAULT", "compute_monitors"): Refusal("no metrics of hosts are collected"),
    ("DEFAULT", "daemon"): Refusal("daemons stay in the foreground; a service manager keeps them"),
    ("DEFAULT", "default_access_ip_network_name"): Refusal("access addresses are set by users alone"),
    ("DEFAULT", "default_ephemeral_format"): Refusal("ephemeral disks come without a file system"),
    ("DEFAULT", "flat_injected"): Refusal("files in guests' disks are not changed; use a config drive"),
    ("DEFAULT", "force_dhcp_release"): Refusal(
        "an address goes back with its port, and is not held until its lease ends", _ON, off=False
    ),
    ("DEFAULT", "instance_usage_audit"): Refusal("there are no audits of usage; notifications tell of each change"),
    ("DEFAULT", "instance_usage_audit_period"): Refusal("there are no audits of usage", ("month",)),
    ("DEFAULT", "max_local_block_devices"): Refusal(
        "a server has the local disks of its flavor, and no others", ("3", "-1")
    ),
    ("DEFAULT", "periodic_enable"): Refusal("periodic work cannot be switched off", _ON, off=False),
    ("DEFAULT", "pointer_model"): Refusal("every guest with a screen has a tablet", ("usbtablet",)),
    ("DEFAULT", "preallocate_images"): Refusal("disks take their space when they are written to"),
    ("DEFAULT", "network_manager"): Refusal(
        "networks have DHCP, and those of projects are apart by themselves", ("nova.network.manager.flatdhcpmanager",)
    ),
    ("DEFAULT", "qpid_hostname"): _NO_QPID,
    ("DEFAULT", "qpid_hosts"): _NO_QPID,
    ("DEFAULT", "record"): Refusal("what passes consoles is not recorded"),
    ("DEFAULT", "reserved_huge_pages"): Refusal("huge pages of hosts are not counted"),
    ("DEFAULT", "resize_fs_using_block_device"): Refusal("file systems in guests' disks are not changed"),
    ("DEFAULT", "rpc_backend"): _NO_QPID,
    ("DEFAULT", "running_deleted_instance_timeout"): Refusal("a guest whose server was deleted is not kept for a time"),
    ("DEFAULT", "vcpu_pin_set"): _NOT_PINNED,
    ("DEFAULT", "volume_usage_poll_interval"): Refusal("the use of volumes is not measured"),
    ("DEFAULT", "web"): Refusal(
        "the pages come from [console] novnc_web", ("/usr/share/spice-html5", "/usr/share/novnc")
    ),
    ("api", "vendordata_dynamic_targets"): Refusal("no services are asked for vendor data"),
    ("compute", "cpu_dedicated_set"): _NOT_PINNED,
    ("compute", "cpu_shared_set"): _NOT_PINNED,
    ("compute", "image_type_exclude_list"): Refusal("all types of images that hosts can run are taken", ("[]",)),
    ("compute", "max_concurrent_disk_ops"): Refusal("copies of disks are not counted"),
    ("compute", "max_disk_devices_to_attach"): Refusal("disks of a guest are limited by its bus alone", ("-1",)),
    ("compute", "provider_config_location"): Refusal(
        "no files of inventories are read", ("/etc/nova/provider_config/", "/etc/nova/provider_config")
    ),
    ("compute", "vmdk_allowed_types"): Refusal(
        "the types of VMDK images are fixed", ("streamoptimized,monolithicsparse", "streamoptimized, monolithicsparse")
    ),
    ("database", "connection_parameters"): Refusal("they belong into connection"),
    ("database", "mysql_wsrep_sync_wait"): Refusal("it belongs into the server's configuration"),
    ("devices", "enabled_mdev_types"): _NO_DEVICES,
    ("ephemeral_storage_encryption", "enabled"): Refusal("disks are not encrypted"),
    ("filter_scheduler", "image_props_weight_multiplier"): Refusal(
        "hosts are not weighed by image properties", ("0.0",)
    ),
    ("filter_scheduler", "image_props_weight_setting"): Refusal("hosts are not weighed by image properties"),
    ("filter_scheduler", "pci_in_placement"): _NO_DEVICES,
    ("filter_scheduler", "pci_weight_multiplier"): Refusal("no devices of hosts are given to guests", ("1.0", "1")),
    ("glance", "default_trusted_certificate_ids"): _SIGNATURES,
    ("glance", "enable_certificate_validation"): _SIGNATURES,
    ("glance", "enable_rbd_download"): Refusal("images in Ceph are downloaded through the Image service"),
    ("glance", "verify_glance_signatures"): Refusal("signatures of images are not checked"),
    ("libvirt", "cpu_power_management"): Refusal("processors are not switched off"),
    ("libvirt", "disk_prefix"): Refusal("disks are named after their bus"),
    ("libvirt", "enabled_perf_events"): Refusal("performance events of guests are not counted"),
    ("libvirt", "inject_key"): Refusal(
        "files in guests' disks are not changed; guests read keys from the metadata API"
    ),
    ("libvirt", "iscsi_iface"): Refusal("volumes are reached over the host's default interface", ("default",)),
    ("libvirt", "live_migration_parallel_connections"): Refusal("memory travels over one connection", ("1",)),
    ("libvirt", "live_migration_permit_post_copy"): Refusal("guests do not run on their destination before it has all"),
    ("libvirt", "live_migration_tunnelled"): Refusal("live migrations are not tunnelled through libvirtd"),
    ("libvirt", "live_migration_with_native_tls"): Refusal("QEMU's side of live migrations speaks no TLS"),
    ("libvirt", "num_memory_encrypted_guests"): Refusal("guests' memory is not encrypted"),
    ("libvirt", "pmem_namespaces"): Refusal("there is no persistent memory"),
    ("libvirt", "rescue_image_id"): Refusal("a rescue names its image, or takes the server's"),
    ("libvirt", "rescue_kernel_id"): Refusal("a rescue names its image, or takes the server's"),
    ("libvirt", "rescue_ramdisk_id"): Refusal("a rescue names its image, or takes the server's"),
    ("libvirt", "rx_queue_size"): Refusal("queues of network devices have QEMU's size"),
    ("libvirt", "snapshot_compression"): Refusal("snapshots are not compressed"),
    ("libvirt", "swtpm_enabled"): Refusal("guests have no TPM"),
    ("libvirt", "tb_cache_size"): Refusal("caches of translated code have QEMU's size"),
    ("libvirt", "tx_queue_size"): Refusal("queues of network devices have QEMU's size"),
    ("libvirt", "use_default_aio_mode_for_volumes"): Refusal("volumes are read and written by QEMU's native mode"),
    ("libvirt", "use_virtio_for_bridges"): Refusal("network devices are virtio", _ON, off=False),
    ("libvirt", "volume_enforce_multipath"): Refusal("volumes with a single path are not refused"),
    ("metrics", "required"): Refusal("hosts are not weighed by metrics", _ON, off=False),
    ("metrics", "weight_setting"): Refusal("hosts are not weighed by metrics"),
    ("neutron", "physnets"): Refusal("networks have no place in a host"),
    ("pci", "alias"): _NO_DEVICES,
    ("pci", "device_spec"): _NO_DEVICES,
    ("pci", "report_in_placement"): _NO_DEVICES,
    ("placement_database", "connection_parameters"): Refusal("they belong into connection"),
    ("placement_database", "sync_on_startup"): Refusal("tables are made by placement-manage db sync alone"),
    ("quota", "driver"): Refusal("quotas are kept here", ("nova.quota.dbquotadriver",)),
    ("scheduler", "query_placement_for_routed_network_aggregates"): Refusal("segments of networks do not choose hosts"),
    ("spice", "image_compression"): _SPICE,
    ("spice", "jpeg_compression"): _SPICE,
    ("spice", "playback_compression"): _SPICE,
    ("spice", "require_secure"): Refusal("the way to the guest's SPICE screen is not encrypted"),
    ("spice", "streaming_mode"): _SPICE,
    ("spice", "zlib_compression"): _SPICE,
    ("vmware", "integration_bridge"): Refusal("opaque networks are found by their own names"),
    ("vmware", "pbm_enabled"): Refusal("storage policies do not choose datastores"),
    ("vnc", "auth_schemes"): _VNC,
    ("vnc", "vencrypt_ca_certs"): _VNC,
    ("vnc", "vencrypt_client_cert"): _VNC,
    ("vnc", "vencrypt_client_key"): _VNC,
    ("workarounds", "reserve_disk_resource_for_image_cache"): Refusal("cached images are not counted as guests' disks"),
}


def reason(group: str, option: str, value: str | None) -> str | None:
    """Why no daemon may start with this; None for a value that asks for nothing, or an option that is not one of these."""
    refusal = REFUSALS.get((group, option))
    if refusal is None:
        return None
    asked = (value or "").strip().lower()
    return None if asked in refusal.harmless or (refusal.off and asked in _OFF) else refusal.why
