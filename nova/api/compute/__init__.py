"""The Compute API v2.1: its resources, one module each, put together into one application."""

import re
from collections.abc import Iterable

import orjson
import requests
import webob
from oslo_config import cfg

from nova.api.compute import (
    actions,
    admin_actions,
    aggregates,
    assisted_volume_snapshots,
    audit_log,
    availability_zones,
    baremetal,
    consoles,
    discovery,
    events,
    extensions,
    external_events,
    faults,
    flavor_extras,
    flavors,
    hosts,
    hypervisors,
    image_actions,
    images,
    instance_actions,
    interfaces,
    keypairs,
    limits,
    migration_list,
    move_actions,
    network_actions,
    networks,
    openapi,
    quotas,
    removed,
    scheduling,
    security_groups,
    server_facts,
    server_groups,
    server_metadata,
    server_migrations,
    server_tags,
    servers,
    services,
    shares,
    status_page,
    tenant_usage,
    volume_attachments,
    volumes,
)
from nova.api.compute.app import Application, plain
from nova.api.compute.event_feed import EventFeed
from nova.api.compute.request import Services
from nova.clients import adapters
from nova.clients.identity import Logins, Projects
from nova.clients.image import Images
from nova.clients.network.client import Networking
from nova.clients.share import Shares
from nova.clients.volume import Volumes
from nova.http import auth
from nova.http.access_log import AccessLog
from nova.http.browsers import open_to_browsers
from nova.http.declaration import Endpoint, collect
from nova.http.front import Front
from nova.http.policy import Policy
from nova.http.wsgi import CONTEXT, ROUTE, Environ, StartResponse, Wsgi, request_id
from nova.policies import compute as policies
from nova.rpc.conductor import ConductorCalls
from nova.structs.context import Context

# In the order in which the OpenAPI document lists them.
MODULES = (
    servers,
    actions,
    admin_actions,
    image_actions,
    interfaces,
    move_actions,
    network_actions,
    volume_attachments,
    volumes,
    assisted_volume_snapshots,
    shares,
    server_migrations,
    flavors,
    keypairs,
    flavor_extras,
    limits,
    quotas,
    availability_zones,
    services,
    hypervisors,
    instance_actions,
    consoles,
    external_events,
    images,
    extensions,
    aggregates,
    server_groups,
    server_metadata,
    server_tags,
    server_facts,
    tenant_usage,
    audit_log,
    hosts,
    networks,
    security_groups,
    baremetal,
    migration_list,
    openapi,
    scheduling,
    events,
    removed,
)

# Whoever knows a console's token can open the console.
_SECRET_PATH = re.compile(r"(/os-console-auth-tokens/)[^/]+")


def make_services(
    conf: cfg.ConfigOpts,
    conductor: ConductorCalls,
    transport: requests.Session | None = None,
    operations: tuple[Endpoint, ...] = (),
) -> Services:
    """What handlers ask, for the Compute API and for those that do the same in other words."""
    return Services(
        conf=conf,
        operations=operations,
        conductor=conductor,
        events=EventFeed(conductor, conf),
        policy=Policy(conf, policies.list_rules()),
        images=Images(adapters.service_adapter(conf, "glance", transport)),
        network=Networking(adapters.service_adapter(conf, "neutron", transport)),
        volumes=Volumes(adapters.service_adapter(conf, "cinder", transport)),
        shares=Shares(adapters.service_adapter(conf, "manila", transport)),
        projects=Projects(adapters.service_adapter(conf, "keystone", transport)),
    )


# What clients send and read beyond what browsers let through by themselves.
_ASKED_WITH = ("X-Auth-Token", "OpenStack-API-Version", "X-OpenStack-Nova-API-Version", "X-Openstack-Request-Id")
_ANSWERED_WITH = (
    *("Location", "OpenStack-API-Version", "X-OpenStack-Nova-API-Version"),
    *("X-Openstack-Request-Id", "X-Compute-Request-Id"),
)


def application(conf: cfg.ConfigOpts, conductor: ConductorCalls, transport: requests.Session | None = None) -> Front:
    """The whole service, authentication included, as a WSGI application."""
    operations = tuple(collect(*MODULES))
    request_services = make_services(conf, conductor, transport, operations)
    guarded = auth.authenticate(Application(operations, request_services), conf, faults.fault)
    open_to_all = [one for one in operations if one.is_open]
    opened = _Open(conf, guarded, open_to_all, request_services)
    for_browsers = open_to_browsers(opened, conf, _ASKED_WITH, _ANSWERED_WITH)
    if conf.api.status_page:
        logins = Logins(adapters.service_adapter(conf, "keystone", transport))
        for_browsers = status_page.beside(for_browsers, conf, request_services, logins)
    return Front(for_browsers, conf, faults.fault, AccessLog(_SECRET_PATH))


class _Open:
    """Answers what needs no token, and hands everything else on."""

    def __init__(self, conf: cfg.ConfigOpts, guarded: Wsgi, operations: list[Endpoint], services: Services) -> None:
        self._conf = conf
        self._guarded = guarded
        self._application = Application(operations, services)
        self._paths = frozenset(f"/{prefix}{one.path}" for prefix in ("v2", "v2.1") for one in operations)

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        request = webob.Request(environ)
        base_url = (self._conf.api.compute_link_prefix or request.application_url).rstrip("/")
        try:
            path = request.path_info.rstrip("/")
        except UnicodeDecodeError:
            return _not_found(environ, start_response)
        if request.method in ("GET", "HEAD") and path in ("", "/v2", "/v2.1"):
            environ[ROUTE] = path or "/"
            return _discovery(base_url, path)(environ, start_response)
        if path in self._paths and request.method == "GET":
            environ[CONTEXT] = Context(request_id=request_id(environ), remote_address=environ.get("REMOTE_ADDR"))
            return self._application(environ, start_response)
        if path.split("/")[1:2] not in (["v2"], ["v2.1"]):
            return _not_found(environ, start_response)
        return self._guarded(environ, start_response)


def _discovery(base_url: str, path: str) -> webob.Response:
    if not path:
        content = discovery.listing(base_url)
    else:
        content = discovery.document(base_url, "v2.1" if path == "/v2.1" else "v2.0")
    return webob.Response(body=orjson.dumps(content), content_type="application/json", charset="UTF-8")


def _not_found(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    return plain(404, "The resource could not be found.")(environ, start_response)
