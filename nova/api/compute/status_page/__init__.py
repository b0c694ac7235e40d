"""/status: hosts, operations under way and recent failures as pages, for administrators with a browser.

    /status               the cloud
    /status/servers/UUID  one server: its operations, their steps, and how its hosts were chosen
    /status/events        says that something has changed, as Server-Sent Events

The pages are made here, from what the conductor answers; a browser without scripts sees the same, and reloads by hand.
"""

from collections.abc import Iterable

from oslo_config import cfg

from nova.api.compute.request import Services
from nova.api.compute.status_page.login import Login
from nova.api.compute.status_page.pages import Pages
from nova.api.compute.status_page.words import ROOT
from nova.clients.identity import Logins
from nova.http.wsgi import Environ, StartResponse, Wsgi


def beside(app: Wsgi, conf: cfg.ConfigOpts, services: Services, logins: Logins) -> Wsgi:
    """app, with the pages under /status."""
    pages = Login(Pages(services), conf, logins)

    def either(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        path = environ.get("PATH_INFO", "")
        is_page = path == ROOT or path.startswith(f"{ROOT}/")
        return pages(environ, start_response) if is_page else app(environ, start_response)

    return either
