"""The way to other services: a keystoneauth adapter per group of the configuration."""

from typing import Any

import requests
import urllib3
from keystoneauth1 import adapter as keystone_adapter
from keystoneauth1 import loading, plugin
from oslo_config import cfg

_SERVICE_TYPES = {
    "cinder": "block-storage",
    "glance": "image",
    "keystone": "identity",
    "manila": "shared-file-system",
    "neutron": "network",
    "placement": "placement",
}

# Some groups have upstream's option for how often a service is tried.
_ATTEMPTS = {"cinder": "http_retries", "glance": "num_retries", "neutron": "http_retries"}


def adapter(conf: cfg.ConfigOpts, group: str, transport: requests.Session | None = None) -> keystone_adapter.Adapter:
    """An adapter that logs in as [group] says and finds the service in the catalog, or at endpoint_override.

    transport replaces the HTTP below it. Connections are kept open and shared by threads. A request is given
    up after [group] timeout.
    """
    auth = _credentials(conf, group)
    options = {"session": transport or _transport(_attempts(conf, group))}
    session = loading.load_session_from_conf_options(conf, group, auth=auth, **options)
    return loading.load_adapter_from_conf_options(
        conf,
        group,
        session=session,
        auth=auth,
        service_type=conf[group].service_type or _SERVICE_TYPES[group],
        user_agent="nova",
        **_place(conf, group),
    )


def _place(conf: cfg.ConfigOpts, group: str) -> dict[str, Any]:
    """What the groups say of their service that keystoneauth does not read itself."""
    if group == "glance" and conf.glance.api_servers:
        return {"endpoint_override": conf.glance.api_servers[0]}
    if group == "keystone":
        # Catalogs name the Identity service with its version, or without.
        return {"min_version": conf.keystone.min_version or "3", "max_version": conf.keystone.max_version or "3.latest"}
    return {}


def _credentials(conf: cfg.ConfigOpts, group: str) -> plugin.BaseAuthPlugin | None:
    """The install guide gives [glance] an address alone: then it logs in as the services that check tokens do."""
    if conf[group].auth_type is None:
        group = "keystone_authtoken"
        loading.register_auth_conf_options(conf, group)
    return loading.load_auth_from_conf_options(conf, group)


def _attempts(conf: cfg.ConfigOpts, group: str) -> int:
    """Further attempts to reach a service."""
    return int(conf[group][_ATTEMPTS[group]]) if group in _ATTEMPTS else 3


class _Attempts(urllib3.Retry):
    """Tries again where that is cheap and safe: nobody took the connection, or it broke under a request to read.

    What took its time is not tried again: the caller has waited long enough, and the request may have been done.
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

    def increment(
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


def _transport(attempts: int) -> requests.Session:
    session = requests.Session()
    # Looking for proxies in the environment is a quarter of the cost of a request.
    session.trust_env = False
    for scheme in ("http://", "https://"):
        adapter = requests.adapters.HTTPAdapter(pool_connections=10, pool_maxsize=100, max_retries=_Attempts(attempts))
        session.mount(scheme, adapter)
    return session
