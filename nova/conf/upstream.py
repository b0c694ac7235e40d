"""Options of upstream's nova.conf that this release does not have: which stop a daemon, and which need no answer.

An operator's file written for upstream may hold them. What asks for nothing that is missing here is read over; what
asks for something that nobody would give stops the daemon (refused.py). An option that stands in neither table, nor
among this project's own, is unknown. Source: the Compute configuration reference, list of options.
"""

# Whole groups, and why nothing in them is missed. Some of their options are refused all the same.
GROUPS = {
    "barbican": "nothing asks a key manager: encrypted volumes and signed images are refused",
    "barbican_service_user": "nothing asks a key manager",
    "cache": "what is remembered is remembered in each process; tokens in [keystone_authtoken] memcached_servers",
    "cells": "one database holds the whole cloud",
    "cyborg": "there are no accelerators",
    "devices": "there are no mediated devices",
    "ephemeral_storage_encryption": "it only says how disks would be encrypted",
    "guestfs": "files in guests' disks are not changed",
    "healthcheck": "health is answered at /healthz",
    "hyperv": "there is no Hyper-V driver",
    "ironic": "there is no Bare Metal driver",
    "key_manager": "nothing asks a key manager",
    "metrics": "hosts are not weighed by metrics",
    "mks": "consoles over MKS are refused when they are asked for",
    "nova_sys_admin": "privileges are those of [privileged]",
    "os_vif_linux_bridge": "os-vif has its own",
    "os_vif_ovs": "os-vif has its own",
    "oslo_concurrency": "it is the library's own",
    "oslo_limit": "limits are kept here",
    "oslo_messaging_amqp": "it is the library's own",
    "oslo_messaging_kafka": "it is the library's own",
    "oslo_messaging_metrics": "it is the library's own",
    "oslo_messaging_notifications": "it is the library's own",
    "oslo_messaging_rabbit": "it is the library's own",
    "oslo_middleware": "limits of requests are those of [api]",
    "oslo_policy": "it is the library's own",
    "oslo_reports": "there is no report to configure",
    "oslo_versionedobjects": "messages carry no versioned objects",
    "osprofiler": "requests are not traced",
    "pci": "no devices of hosts are given to guests",
    "privsep": "privileges are those of [privileged]",
    "profiler": "requests are not traced",
    "profiler_jaeger": "requests are not traced",
    "profiler_otlp": "requests are not traced",
    "rdp": "there is no Hyper-V driver",
    "remote_debug": "there is no remote debugger",
    "service_user": "long operations use the service's own credentials, so a user's token may end meanwhile",
    "ssl": "TLS is configured where it is used",
    "trusted_computing": "hosts are not attested",
    "upgrade_levels": "messages of the release before are understood without it",
    "vault": "nothing asks a key manager",
    "vendordata_dynamic_auth": "vendor data are read from a file",
    "vif_plug_linux_bridge_privileged": "os-vif has its own",
    "vif_plug_ovs_privileged": "os-vif has its own",
    "workarounds": "what it works around does not happen here",
    "xvp": "the console proxy is configured in [vnc]",
    "zvm": "there is no z/VM driver",
}

# Why, and the options by group that need no answer for that reason.
_NEEDLESS: tuple[tuple[str, dict[str, str]], ...] = (
    ("earlier releases had to be told; networks come from [neutron], whether a Neutron or nova-network answers there", {
        "DEFAULT": "firewall_driver libvirt_vif_driver linuxnet_interface_driver"
        " linuxnet_ovs_integration_bridge multi_host network_api_class network_size neutron_auth_strategy"
        " neutron_ovs_bridge security_group_api send_arp_for_ha share_dhcp_address use_neutron",
        "neutron": "auth_strategy",
    }),
    ("nova-dhcpbridge reads no configuration: it asks the nova-network of its host", {
        "DEFAULT": "dhcpbridge_flagfile fixed_ip_disassociate_timeout",
    }),
    ("earlier releases had it; nothing depends on it", {
        "DEFAULT": "api_paste_config iscsi_helper root_helper scheduler_driver scheduler_host_manager"
        " verbose volumes_path",
        "scheduler": "driver",
    }),
    ("one database holds the whole cloud", {
        "DEFAULT": "cell_worker_thread_pool_size",
        "api": "instance_list_cells_batch_fixed_size instance_list_cells_batch_strategy instance_list_per_project_cells"
        " list_records_by_skipping_down_cells local_metadata_per_cell",
        "api_database": "asyncio_connection asyncio_slave_connection backend connection_debug connection_parameters"
        " connection_recycle_time connection_trace db_inc_retry_interval db_max_retries db_max_retry_interval"
        " db_retry_interval max_overflow max_pool_size max_retries mysql_sql_mode mysql_wsrep_sync_wait pool_timeout"
        " retry_interval slave_connection sqlite_synchronous synchronous_reader",
        "filter_scheduler": "cross_cell_move_weight_multiplier",
        "scheduler": "discover_hosts_in_cells_interval",
    }),
    ("operations are durable: each step is tried again until its operation's deadline, whatever restarts meanwhile", {
        "DEFAULT": "arq_binding_timeout block_device_allocate_retries block_device_allocate_retries_interval"
        " instance_delete_interval live_migration_retry_count long_rpc_timeout maximum_instance_delete_attempts"
        " migrate_max_retries network_allocate_retries reboot_timeout reimage_timeout_per_gb rescue_timeout"
        " shelved_poll_interval",
        "placement": "allocation_conflict_retry_count",
        "libvirt": "rbd_destroy_volume_retries rbd_destroy_volume_retry_interval wait_soft_reboot_seconds",
    }),
    ("a database or broker that is away is waited for as long as the caller waits", {
        "database": "asyncio_connection asyncio_slave_connection backend connection_debug connection_trace"
        " db_inc_retry_interval db_max_retries db_max_retry_interval db_retry_interval max_retries mysql_sql_mode"
        " pool_timeout retry_interval slave_connection sqlite_synchronous synchronous_reader",
        "placement_database": "connection_debug connection_trace max_retries mysql_sql_mode pool_timeout retry_interval"
        " slave_connection sqlite_synchronous",
    }),
    ("ports, records and quotas are read when they are needed, and told of when they change", {
        "DEFAULT": "heal_instance_info_cache_interval scheduler_instance_sync_interval sync_power_state_pool_size"
        " periodic_fuzzy_delay",
        "compute": "resource_provider_association_refresh sharing_providers_max_uuids_per_request",
        "filter_scheduler": "track_instance_changes",
        "neutron": "extension_sync_interval",
        "quota": "count_usage_from_placement recheck_quota",
    }),
    ("the work of a host is bounded by max_concurrent_builds", {
        "DEFAULT": "max_concurrent_live_migrations max_concurrent_snapshots thread_pool_statistic_period",
        "image_cache": "precache_concurrency",
    }),
    ("a daemon stops within its service manager's patience by itself", {"DEFAULT": "manager_shutdown_timeout"}),
    ("signs of life travel over the message bus", {"DEFAULT": "servicegroup_driver"}),
    ("no files of hosts are mounted or changed by programs that these would configure", {
        "DEFAULT": "injected_network_template pybasedir rootwrap_config timeout_nbd use_rootwrap_daemon virt_mkfs",
    }),
    ("the proxies find out by themselves", {"DEFAULT": "console_host source_is_ipv6"}),
    ("what images are cached as follows from [libvirt] images_type", {"DEFAULT": "force_raw_images"}),
    ("the destination of a live migration has its ports plugged by the hypervisor, while memory is copied", {
        "compute": "live_migration_wait_for_vif_plug",
    }),
    ("simple tenant usage and default networks need no configuration", {
        "api": "neutron_default_project_id use_neutron_default_nets",
    }),
    ("answers are made by the declarations that would check them", {"api": "response_validation"}),
    ("vendor data are read from a file", {
        "api": "vendordata_dynamic_connect_timeout vendordata_dynamic_failure_fatal vendordata_dynamic_read_timeout"
        " vendordata_dynamic_ssl_certfile",
    }),
    ("these are options of the plugin that auth_type names", {
        "cinder": "default_domain_id default_domain_name tenant_id tenant_name",
        "glance": "default_domain_id default_domain_name tenant_id tenant_name",
        "keystone": "default_domain_id default_domain_name tenant_id tenant_name",
        "neutron": "default_domain_id default_domain_name tenant_id tenant_name",
        "placement": "default_domain_id default_domain_name tenant_id tenant_name",
    }),
    ("logs are configured in [DEFAULT]", {"cinder": "debug", "glance": "debug"}),
    ("hosts that fail builds are chosen less often, and not disabled", {
        "compute": "consecutive_build_service_disable_threshold",
    }),
    ("a guest is asked again and again to shut down while it is waited for", {"compute": "shutdown_retry_interval"}),
    ("guests have no cells of memory", {"compute": "packing_host_numa_cells_allocation_strategy"}),
    ("images in Ceph are downloaded like others", {"glance": "rbd_ceph_conf rbd_connect_timeout rbd_pool rbd_user"}),
    ("resized guests' images are in use until the resize is confirmed", {
        "image_cache": "remove_unused_resized_minimum_age_seconds",
    }),
    ("it belongs to a kind of disks, volumes or guests that is refused", {
        "libvirt": "ceph_mount_options ceph_mount_point_base cpu_power_governor_high cpu_power_governor_low"
        " cpu_power_management_strategy gid_maps images_cpu_time_limit images_rbd_ceph_conf"
        " images_rbd_glance_copy_poll_interval images_rbd_glance_copy_timeout images_rbd_glance_store_name"
        " images_rbd_pool images_volume_group iser_use_multipath num_aoe_discover_tries num_iser_scan_tries"
        " quobyte_client_cfg quobyte_mount_point_base rbd_connect_timeout realtime_scheduler_priority"
        " smbfs_mount_options smbfs_mount_point_base sparse_logical_volumes supported_tpm_secret_security swtpm_group"
        " swtpm_user uid_maps volume_clear volume_clear_size vzstorage_cache_path vzstorage_log_path"
        " vzstorage_mount_group vzstorage_mount_opts vzstorage_mount_perms vzstorage_mount_point_base"
        " vzstorage_mount_user",
    }),
    ("os-brick finds volumes with its own patience", {"libvirt": "num_nvme_discover_tries num_volume_scan_tries"}),
    ("a live migration's pause grows by QEMU's own measure up to live_migration_downtime", {
        "libvirt": "live_migration_downtime_delay live_migration_downtime_steps live_migration_monitor_interval",
    }),
    ("disks travel through libvirt", {"libvirt": "remote_filesystem_transport"}),
    ("the bridge comes with the port", {"neutron": "ovs_bridge"}),
    ("the pool is named in the request, or is the first external network", {"neutron": "default_floating_pool"}),
    ("limits are kept here", {"quota": "unified_limits_resource_list unified_limits_resource_strategy"}),
    ("a guest's serial port is one that is free on its host's my_ip", {"serial_console": "port_range proxyclient_address"}),
    ("storage policies are refused", {"vmware": "pbm_default_policy pbm_wsdl_location"}),
    ("screens of guests on vCenter are refused", {
        "vmware": "console_delay_seconds vnc_keymap vnc_port vnc_port_total",
    }),
    ("requests pass a fixed chain: log, limits, CORS, token, API", {"wsgi": "api_paste_config"}),
)  # fmt: skip

NEEDLESS: dict[tuple[str, str], str] = {
    (group, name): why for why, groups in _NEEDLESS for group, names in groups.items() for name in names.split()
}


def needless(group: str, option: str) -> str | None:
    """Why an option of upstream's needs no answer here; None for one that this does not hold for."""
    return NEEDLESS.get((group, option)) or GROUPS.get(group)
