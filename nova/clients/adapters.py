"""How other services are reached: a keystoneauth adapter for each group of the configuration."""

from typing import Any

import requests
import urllib3
from keystoneauth1 import loading, plugin
from keystoneauth1.adapter import Adapter
from oslo_config import cfg

from nova.conf.cinder import ANY_OF_THIS_KIND

_SERVICE_TYPES = {
    "cinder": "block-storage",
    "glance": "image",
    "keystone": "identity",
    "manila": "shared-file-system",
    "neutron": "network",
    "placement": "placement",
}

# Some groups have upstream's option for how often a request is tried again.
_RETRIES = {"cinder": "http_retries", "glance": "num_retries", "neutron": "http_retries"}


def service_adapter(conf: cfg.ConfigOpts, group: str, transport: requests.Session | None = None) -> Adapter:
    """An adapter that logs in as [group] says and finds the service in the catalog, or at endpoint_override.

    transport replaces the HTTP session below it. Connections stay open and threads share them. A request is
    given up after [group] timeout.
    """
    auth = _credentials(conf, group)
    transport = transport or _transport(retries=int(conf[group][_RETRIES[group]]) if group in _RETRIES else 3)
    session = loading.load_session_from_conf_options(conf, group, auth=auth, session=transport)
    return loading.load_adapter_from_conf_options(
        conf,
        group,
        session=session,
        auth=auth,
        user_agent="nova",
        **{"service_type": conf[group].service_type or _SERVICE_TYPES[group], **_location(conf, group)},
    )


def _location(conf: cfg.ConfigOpts, group: str) -> dict[str, Any]:
    """Where a service is, as far as its group has options that keystoneauth does not read itself."""
    if group == "glance" and conf.glance.api_servers:
        return {"endpoint_override": conf.glance.api_servers[0]}
    if group == "cinder":
        return _volume_location(conf)
    if group == "keystone":
        # Catalogs name the Identity service with its version, or without.
        return {"min_version": conf.keystone.min_version or "3", "max_version": conf.keystone.max_version or "3.latest"}
    return {}


def _volume_location(conf: cfg.ConfigOpts) -> dict[str, Any]:
    location: dict[str, Any] = {}
    if conf.cinder.endpoint_template:
        location["endpoint_override"] = conf.cinder.endpoint_template
    if conf.cinder.os_region_name:
        location["region_name"] = conf.cinder.os_region_name
    if conf.cinder.catalog_info != ANY_OF_THIS_KIND:
        kind, name, interface = conf.cinder.catalog_info.split(":", 2)
        location |= {"service_type": kind, "service_name": name or None, "interface": interface.removesuffix("URL")}
    return location


def _credentials(conf: cfg.ConfigOpts, group: str) -> plugin.BaseAuthPlugin | None:
    """The install guide gives [glance] nothing but an address: then the credentials that check tokens are used."""
    if conf[group].auth_type is None:
        group = "keystone_authtoken"
        loading.register_auth_conf_options(conf, group)
    return loading.load_auth_from_conf_options(conf, group)


class _Retry(urllib3.Retry):
    """Tries again where that is cheap and safe: the connection was refused, or it broke during a request to read.

    A request that timed out is not tried again: the caller has waited long enough, and it may have been done.
    """

    def __init__(self, total: int, **options: Any) -> None:
        options = {
            "backoff_factor": 0.2,
            "status": 0,
            "other": 0,
            "allowed_methods": ("DELETE", "GET", "HEAD"),
            "raise_on_status": False,
            **options,
        }
        super().__init__(total, **options)

    def increment(  # type: ignore[override]
        self,
        method: str | None = None,
        url: str | None = None,
        response: Any = None,
        error: Exception | None = None,
        _pool: Any = None,
        _stacktrace: Any = None,
    ) -> urllib3.Retry:
        if isinstance(error, urllib3.exceptions.ReadTimeoutError):
            raise error
        if isinstance(error, urllib3.exceptions.ConnectTimeoutError):
            raise urllib3.exceptions.MaxRetryError(_pool, url or "", error) from error
        return super().increment(method, url, response, error, _pool, _stacktrace)


def _transport(retries: int) -> requests.Session:
    session = requests.Session()
    # Looking for proxies in the environment is a quarter of the cost of a request.
    session.trust_env = False
    for scheme in ("http://", "https://"):
        pool = requests.adapters.HTTPAdapter(pool_connections=10, pool_maxsize=100, max_retries=_Retry(retries))
        session.mount(scheme, pool)
    return session
