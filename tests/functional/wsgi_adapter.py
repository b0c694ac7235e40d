"""Carries HTTP requests straight into WSGI applications of this process: no port, no thread."""

import io
from urllib.parse import unquote, urlsplit

import requests
from requests.adapters import BaseAdapter


class WsgiAdapter(BaseAdapter):
    """Mount it on a requests.Session for the address an application is to have."""

    def __init__(self, app):
        super().__init__()
        self.app = app
        self.is_down = False

    def send(self, request, **ignored):
        if self.is_down:
            raise requests.ConnectionError("connection refused", request=request)
        response = requests.Response()
        response.request, response.url = request, request.url

        def start_response(status, headers, exc_info=None):
            response.status_code = int(status.split()[0])
            response.reason = status.partition(" ")[2]
            response.headers.update(headers)

        chunks = self.app(_environ(request), start_response)
        response.raw = io.BytesIO(b"".join(chunks))
        response.encoding = "utf-8"
        return response

    def close(self):
        pass


def _environ(request):
    parts = urlsplit(request.url)
    body = request.body or b""
    if hasattr(body, "read"):
        body = body.read()
    elif not isinstance(body, bytes | str):
        body = b"".join(body)
    body = body.encode() if isinstance(body, str) else body
    environ = {
        "REQUEST_METHOD": request.method,
        "SCRIPT_NAME": "",
        "PATH_INFO": unquote(parts.path, "latin-1"),
        "QUERY_STRING": parts.query,
        "SERVER_NAME": parts.hostname,
        "SERVER_PORT": str(parts.port or 80),
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "127.0.0.1",
        "CONTENT_LENGTH": str(len(body)),
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": parts.scheme,
        "wsgi.input": io.BytesIO(body),
        "wsgi.errors": io.StringIO(),
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }
    for name, value in request.headers.items():
        key = name.upper().replace("-", "_")
        text = value.decode("latin-1") if isinstance(value, bytes) else value
        if key == "CONTENT_TYPE":
            environ["CONTENT_TYPE"] = text
        elif key != "CONTENT_LENGTH":
            environ[f"HTTP_{key}"] = text
    environ.setdefault("HTTP_HOST", parts.netloc)
    return environ
