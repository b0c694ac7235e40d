"""The way to other services: a keystoneauth adapter per group of the configuration."""

import requests
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


def adapter(conf: cfg.ConfigOpts, group: str, transport: requests.Session | None = None) -> keystone_adapter.Adapter:
    """An adapter that logs in as [group] says and finds the service in the catalog, or at endpoint_override.

    transport replaces the HTTP below it. Connections are kept open and shared by threads.
    """
    auth = _credentials(conf, group)
    options = {"session": transport or _transport()}
    session = loading.load_session_from_conf_options(conf, group, auth=auth, **options)
    return loading.load_adapter_from_conf_options(
        conf,
        group,
        session=session,
        auth=auth,
        service_type=conf[group].service_type or _SERVICE_TYPES[group],
        user_agent="nova",
        **({"connect_retries": 2} if conf[group].connect_retries is None else {}),
        **({"endpoint_override": conf.glance.api_servers[0]} if group == "glance" and conf.glance.api_servers else {}),
    )


def _credentials(conf: cfg.ConfigOpts, group: str) -> plugin.BaseAuthPlugin | None:
    """The install guide gives [glance] an address alone: then it logs in as the services that check tokens do."""
    if conf[group].auth_type is None:
        group = "keystone_authtoken"
        loading.register_auth_conf_options(conf, group)
    return loading.load_auth_from_conf_options(conf, group)


def _transport() -> requests.Session:
    session = requests.Session()
    # Looking for proxies in the environment is a quarter of the cost of a request.
    session.trust_env = False
    for scheme in ("http://", "https://"):
        session.mount(scheme, requests.adapters.HTTPAdapter(pool_connections=10, pool_maxsize=100))
    return session
