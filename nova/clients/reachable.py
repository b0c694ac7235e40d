"""Whether the services around the cloud answer: the checks of daemons that need them.

What is asked for is a service's first page, which needs no token and costs it nothing.
"""

from collections.abc import Callable
from typing import Any

import requests
from keystoneauth1 import exceptions
from keystoneauth1.adapter import Adapter
from keystoneauth1.session import Session
from oslo_config import cfg

from nova import errors
from nova.clients.adapters import service_adapter
from nova.clients.http import reason_of
from nova.readiness import LOOK_S, Check

# As users know them; the same words stand in errors.
NAMES = {
    "glance": "The Image service",
    "keystone": "The Identity service",
    "neutron": "The Networking service",
    "placement": "Placement",
}


def checks(conf: cfg.ConfigOpts, *groups: str, transport: requests.Session | None = None) -> list[Check]:
    """One for each service whose group says how to reach it, and one for the Identity service they are reached with."""
    found: dict[str, Check] = {}
    for group in groups:
        adapter = service_adapter(conf, group, transport)
        if adapter.auth is None and adapter.endpoint_override is None:
            continue
        found[group] = Check(group, NAMES[group], _asking(NAMES[group], adapter.session, _endpoint(adapter)))
        if url := getattr(adapter.auth, "auth_url", None):
            found.setdefault("keystone", _identity(adapter.session, url))
    return list(found.values())


def token_checks(conf: cfg.ConfigOpts) -> list[Check]:
    """The Identity service that checks the tokens of an API; none where tokens are not checked."""
    if conf.api.auth_strategy != "keystone":
        return []
    adapter = service_adapter(conf, "keystone")
    url = conf.keystone_authtoken.www_authenticate_uri or getattr(adapter.auth, "auth_url", None)
    return [_identity(adapter.session, url)] if url else []


def _identity(session: Session, url: str) -> Check:
    return Check("keystone", NAMES["keystone"], _asking(NAMES["keystone"], session, lambda: url))


def _endpoint(adapter: Adapter) -> Callable[[], str]:
    def find() -> str:
        url = adapter.endpoint_override or adapter.get_endpoint()
        if url is None:
            raise exceptions.EndpointNotFound
        return str(url)

    return find


def _asking(service: str, session: Session, find: Callable[[], str]) -> Callable[[], None]:
    options: dict[str, Any] = {"authenticated": False, "raise_exc": False, "redirect": False, "timeout": LOOK_S}

    def look() -> None:
        try:
            answer = session.request(find(), "GET", **options)
        except exceptions.ClientException as error:
            raise errors.Unavailable(service=service, reason=reason_of(error)) from error
        if answer.status_code >= 500:
            raise errors.Unavailable(service=service, reason=f"it answers with status {answer.status_code}")

    return look
