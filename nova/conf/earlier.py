"""Options that earlier releases had under other names, or said in several parts: what they mean today.

An operator who follows the installation guide of an earlier release writes them. What a file says under an option's own
name wins. Source: installation guides, Icehouse to Queens; Compute configuration reference of each, new and deprecated
options.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple
from urllib.parse import quote

# A group and an option.
Name = tuple[str, str]
Values = Mapping[Name, str]


class Translation(NamedTuple):
    """What an option of today is to be, and the options of a file that say so."""

    name: Name
    value: str
    before: tuple[Name, ...]


def _moved(group: str, names: str, prefix: str = "") -> dict[Name, Name]:
    """Options that were in [DEFAULT], under the same name but for a prefix."""
    return {("DEFAULT", f"{prefix}{name}"): (group, name) for name in names.split()}


def _renamed(pairs: str) -> dict[Name, Name]:
    """From lines of group option, group option."""
    words = [tuple(line.split()) for line in pairs.strip().splitlines()]
    return {(old_group, old): (group, new) for old_group, old, group, new in words}


RENAMED: dict[Name, Name] = {
    **_moved("vnc", "novncproxy_base_url novncproxy_host novncproxy_port xvpvncproxy_base_url xvpvncproxy_host"),
    **_moved("vnc", "xvpvncproxy_port"),
    **_moved("vnc", "enabled", "vnc_"),
    **_moved("vnc", "server_listen server_proxyclient_address", "vnc"),
    **_moved("glance", "api_servers num_retries", "glance_"),
    **_moved("cinder", "os_region_name"),
    **_moved("cinder", "catalog_info endpoint_template http_retries cross_az_attach", "cinder_"),
    **_moved("quota", "cores injected_file_content_bytes injected_file_path_length injected_files instances", "quota_"),
    **_moved("quota", "key_pairs metadata_items ram server_group_members server_groups", "quota_"),
    **_moved("api", "auth_strategy config_drive_skip_versions dhcp_domain enable_instance_password"),
    **_moved("api", "metadata_cache_expiration vendordata_jsonfile_path vendordata_providers"),
    **_moved("scheduler", "max_attempts", "scheduler_"),
    **_moved("filter_scheduler", "available_filters host_subset_size weight_classes", "scheduler_"),
    **_moved("filter_scheduler", "disk_weight_multiplier io_ops_weight_multiplier isolated_hosts isolated_images"),
    **_moved("filter_scheduler", "max_instances_per_host max_io_ops_per_host ram_weight_multiplier"),
    **_moved("filter_scheduler", "restrict_isolated_hosts_to_isolated_images"),
    **_moved("image_cache", "remove_unused_base_images remove_unused_original_minimum_age_seconds"),
    **_moved("libvirt", "cpu_mode images_type inject_partition inject_password virt_type", "libvirt_"),
    **_moved("wsgi", "client_socket_timeout tcp_keepidle secure_proxy_ssl_header"),
    **_renamed("""
        DEFAULT             sql_connection                       database  connection
        DEFAULT             sql_max_pool_size                    database  max_pool_size
        DEFAULT             sql_max_overflow                     database  max_overflow
        DEFAULT             sql_idle_timeout                     database  connection_recycle_time
        database            idle_timeout                         database  connection_recycle_time
        DEFAULT             libvirt_type                         libvirt   virt_type
        DEFAULT             libvirt_uri                          libvirt   connection_uri
        DEFAULT             osapi_max_limit                      api       max_limit
        DEFAULT             osapi_compute_link_prefix            api       compute_link_prefix
        DEFAULT             osapi_glance_link_prefix             api       glance_link_prefix
        DEFAULT             scheduler_default_filters            filter_scheduler  enabled_filters
        DEFAULT             image_cache_manager_interval         image_cache  manager_interval
        DEFAULT             image_cache_subdirectory_name        image_cache  subdirectory_name
        DEFAULT             service_neutron_metadata_proxy       neutron   service_metadata_proxy
        DEFAULT             neutron_metadata_proxy_shared_secret neutron   metadata_proxy_shared_secret
        DEFAULT             neutron_url                          neutron   endpoint_override
        DEFAULT             neutron_region_name                  neutron   region_name
        neutron             url                                  neutron   endpoint_override
        keystone_authtoken  auth_uri                             keystone_authtoken  www_authenticate_uri
        placement           os_region_name                       placement region_name
        placement           os_interface                         placement valid_interfaces
    """),
}


def translate(values: Values) -> list[Translation]:
    """What the earlier options among these mean today; those that stand beside their successor mean nothing."""
    found = [
        Translation(new, values[old], (old,)) for old, new in RENAMED.items() if old in values and new not in values
    ]
    for part in (_broker, _image_service, _token_checks, _networking):
        found += [one for one in part(values) if one.name not in values]
    return found


def is_earlier(name: Name) -> bool:
    """Whether earlier releases had this option."""
    return name in RENAMED or name in _PARTS


_RABBIT = ["rabbit_host", "rabbit_port", "rabbit_hosts", "rabbit_userid", "rabbit_password", "rabbit_virtual_host"]


def _broker(values: Values) -> Iterator[Translation]:
    """The broker's parts are one URL."""
    said, before = _first_said(values, _RABBIT, ("DEFAULT", "oslo_messaging_rabbit"))
    if not said:
        return
    port = said.get("rabbit_port", "5672")
    hosts = said.get("rabbit_hosts") or said.get("rabbit_host", "localhost")
    user, password = (quote(said.get(option, "guest"), safe="") for option in ("rabbit_userid", "rabbit_password"))
    places = [f"{user}:{password}@{_with_port(host.strip(), port)}" for host in hosts.split(",")]
    path = quote(said.get("rabbit_virtual_host", "/").removeprefix("/"), safe="")
    yield Translation(("DEFAULT", "transport_url"), f"rabbit://{','.join(places)}/{path}", before)


def _with_port(host: str, port: str) -> str:
    return host if ":" in host.rpartition("]")[2] else f"{host}:{port}"


_GLANCE = ["host", "port", "protocol"]


def _image_service(values: Values) -> Iterator[Translation]:
    for group, prefix in (("DEFAULT", "glance_"), ("glance", "")):
        said, before = _first_said(values, [f"{prefix}{part}" for part in _GLANCE], (group,))
        if f"{prefix}host" in said:
            scheme, port = said.get(f"{prefix}protocol", "http"), said.get(f"{prefix}port", "9292")
            yield Translation(("glance", "api_servers"), f"{scheme}://{said[f'{prefix}host']}:{port}", before)
            return


_TOKENS = [
    "auth_host",
    "auth_port",
    "auth_protocol",
    "identity_uri",
    "admin_user",
    "admin_password",
    "admin_tenant_name",
]


def _token_checks(values: Values) -> Iterator[Translation]:
    """Credentials of the Identity API's version 2 are those of version 3's default domain."""
    group = "keystone_authtoken"
    said, before = _first_said(values, _TOKENS, (group,))
    if not said:
        return
    host, port = said.get("auth_host", "127.0.0.1"), said.get("auth_port", "35357")
    url = said.get("identity_uri") or f"{said.get('auth_protocol', 'https')}://{host}:{port}"
    yield from _credentials(
        group, url, said.get("admin_user"), said.get("admin_password"), said.get("admin_tenant_name"), before
    )


_NEUTRON = ["admin_auth_url", "admin_username", "admin_password", "admin_tenant_name"]


def _networking(values: Values) -> Iterator[Translation]:
    for group, prefix in (("DEFAULT", "neutron_"), ("neutron", "")):
        said, before = _first_said(values, [prefix + part for part in _NEUTRON], (group,))
        if said:
            url, user, password, project = (said.get(prefix + part) for part in _NEUTRON)
            yield from _credentials("neutron", (url or "").removesuffix("/v2.0"), user, password, project, before)
            return


def _credentials(
    group: str, url: str, user: str | None, password: str | None, project: str | None, before: tuple[Name, ...]
) -> Iterator[Translation]:
    meant = {
        "auth_type": "password",
        "auth_url": url,
        "username": user,
        "password": password,
        "project_name": project or "admin",
        "user_domain_name": "Default",
        "project_domain_name": "Default",
    }
    for option, value in meant.items():
        if value:
            yield Translation((group, option), value, before)


def _first_said(
    values: Values, options: Iterable[str], groups: tuple[str, ...]
) -> tuple[dict[str, str], tuple[Name, ...]]:
    """What the first of the groups that says something of these options says of them, and the names it uses."""
    for group in groups:
        said = {option: values[group, option] for option in options if (group, option) in values}
        if said:
            return said, tuple((group, option) for option in said)
    return {}, ()


_PARTS: frozenset[Name] = frozenset(
    [(group, option) for group in ("DEFAULT", "oslo_messaging_rabbit") for option in _RABBIT]
    + [("DEFAULT", f"glance_{part}") for part in _GLANCE]
    + [("glance", part) for part in _GLANCE]
    + [("keystone_authtoken", option) for option in _TOKENS]
    + [("DEFAULT", f"neutron_{part}") for part in _NEUTRON]
    + [("neutron", part) for part in _NEUTRON]
)
