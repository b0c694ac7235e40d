"""The metadata API as a WSGI application: paths to documents, and one document a guest may write.

Whatever a guest sends, it is answered with its own documents or an error without a trace.
"""

import logging
from collections.abc import Iterable

import webob
from oslo_config import cfg

from nova import errors
from nova.api.metadata.guests import Addresses, Guests
from nova.clients import adapters
from nova.clients.network.client import Networking
from nova.http.front import Front
from nova.http.wsgi import ROUTE, Environ, StartResponse, plain_fault
from nova.metadata.documents import NoSuchDocument
from nova.rpc.conductor import ConductorCalls

LOG = logging.getLogger(__name__)

_PASSWORD = "/password"
_LONGEST_BODY = 1020


def application(conf: cfg.ConfigOpts, conductor: ConductorCalls, networking: Addresses | None = None) -> Front:
    """The API. networking answers device_at(); without it the Networking API is asked.

    A guest's address is that of the connection; [oslo_middleware] enable_proxy_headers_parsing makes
    it the last in X-Forwarded-For. Raises BadConfiguration for a metadata proxy without a secret.
    """
    networking = networking or Networking(adapters.service_adapter(conf, "neutron"))
    return Front(_Metadata(Guests(conf, conductor, networking)), conf, plain_fault)


class _Metadata:
    def __init__(self, guests: Guests) -> None:
        self._guests = guests

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        request = webob.Request(environ)
        try:
            answer = self._answer(request)
        except NoSuchDocument:
            answer = _error(404, "There is no such document.")
        except errors.DomainError as error:
            answer = self._refusal(request, error)
        return answer(environ, start_response)

    def _refusal(self, request: webob.Request, error: errors.DomainError) -> webob.Response:
        """Errors behind this API are logged for the operator; the guest gets no details."""
        if error.status < 500:
            return _error(error.status, error.for_users)
        LOG.warning("%s from %s cannot be answered: %s", request.path, request.remote_addr, error)
        return _error(503, "The metadata of this server cannot be read now; try again.")

    def _answer(self, request: webob.Request) -> webob.Response:
        path = _path(request)
        request.environ[ROUTE] = "/openstack" if path.startswith("/openstack") else "/ec2"
        is_password = path.startswith("/openstack/") and path.endswith(_PASSWORD)
        if request.method == "POST" and is_password:
            return self._take_password(request, path)
        if request.method not in ("GET", "HEAD"):
            answer = _error(405, "The method is not allowed for this document.")
            answer.allow = ("GET", "HEAD", "POST") if is_password else ("GET", "HEAD")
            return answer
        content = self._guests.documents_for(request.environ).read(path)
        kind = "application/json" if path.endswith(".json") else "text/plain"
        return webob.Response(body=content, content_type=kind, charset="UTF-8")

    def _take_password(self, request: webob.Request, path: str) -> webob.Response:
        documents = self._guests.documents_for(request.environ)
        # A version that is too old to have it is 404 here too.
        documents.read(path)
        body = request.body_file.read(_LONGEST_BODY + 1)
        if not body or len(body) > _LONGEST_BODY:
            raise errors.Invalid(f"The password must have 1 to {_LONGEST_BODY} bytes.")
        try:
            self._guests.keep_password(documents, body.decode())
        except UnicodeDecodeError:
            raise errors.Invalid("The password is no text.") from None
        return webob.Response(status=200, content_type="text/plain", charset="UTF-8")


def _path(request: webob.Request) -> str:
    try:
        return request.path_info.rstrip("/")
    except UnicodeDecodeError:
        raise NoSuchDocument from None


def _error(status: int, message: str) -> webob.Response:
    return webob.Response(status=status, text=f"{message}\n", content_type="text/plain", charset="UTF-8")
