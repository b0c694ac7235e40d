"""Carries HTTP requests straight into WSGI applications of this process: no port, no thread.

What can become of a request on its way, or in a service that is not well, is a fault of the adapter.
"""

import io
import time
from urllib.parse import unquote, urlsplit

import requests
from requests.adapters import BaseAdapter, HTTPAdapter


def _refuses(request, timeout):
    raise requests.ConnectionError("HTTPConnectionPool: [Errno 111] Connection refused", request=request)


def _never_answers(request, timeout):
    assert timeout is not None, f"{request.method} {request.url} would wait for ever"
    _, answer_s = timeout if isinstance(timeout, tuple) else (None, timeout)
    # Some requests may take minutes; a test has no minutes.
    time.sleep(min(answer_s, 0.2))
    raise requests.ReadTimeout(f"Read timed out. (read timeout={answer_s})", request=request)


def _answers(status, body, content_type="application/json"):
    def answer(request, timeout):
        response = requests.Response()
        response.request, response.url, response.status_code = request, request.url, status
        response.headers["Content-Type"] = content_type
        response.raw = io.BytesIO(body)
        return response

    return answer


def _is_slow(request, timeout):
    time.sleep(0.05)


_TRACE = b'{"error": {"message": "Traceback: SomeError at 0x7f00", "code": 500}}'
# Each gives the answer, or raises, or gives None, after which the application is asked.
FAULTS = {
    None: lambda request, timeout: None,
    "refuses": _refuses,
    "never answers": _never_answers,
    "fails": _answers(500, _TRACE),
    "is overloaded": _answers(503, b"<html><h1>503 Service Unavailable</h1></html>", "text/html"),
    "denies our credentials": _answers(401, b'{"error": {"message": "Unauthorized", "code": 401}}'),
    "is something else": _answers(200, b"<html><h1>It works!</h1></html>", "text/html"),
    "speaks another language": _answers(200, b'{"bonjour": ["monde"]}'),
    "is slow": _is_slow,
}


# What is asked is done, and nobody hears of it.
LOSES_ANSWERS = "loses answers"


class WsgiAdapter(BaseAdapter):
    """Mount it on a requests.Session for the address an application is to have.

    fault is one of FAULTS, or LOSES_ANSWERS; fault_after() lets the weather change between two requests.
    """

    def __init__(self, app):
        super().__init__()
        self.app = app
        self.fault = None
        self._change = None

    def fault_after(self, requests, fault, method="POST"):
        """Take the fault when so many more requests of a method have been answered."""
        self._change = (requests, fault, method)

    def send(self, request, timeout=None, **ignored):
        if self._change is not None and request.method == self._change[2]:
            left, fault, method = self._change
            self._change = (left - 1, fault, method) if left else None
            self.fault = self.fault if left else fault
        loses_answer = self.fault == LOSES_ANSWERS
        faulty = None if loses_answer else FAULTS[self.fault](request, timeout)
        if faulty is not None:
            return faulty
        response = requests.Response()
        response.request, response.url = request, request.url

        def start_response(status, headers, exc_info=None):
            response.status_code = int(status.split()[0])
            response.reason = status.partition(" ")[2]
            response.headers.update(headers)

        chunks = self.app(_environ(request), start_response)
        if loses_answer:
            raise requests.ReadTimeout("Read timed out.", request=request)
        response.raw = io.BytesIO(b"".join(chunks))
        response.encoding = "utf-8"
        return response

    def close(self):
        pass


class RealAdapter(HTTPAdapter):
    """Mount it for the address a service is to have in the tests; it is another one on the wire."""

    def __init__(self, there):
        super().__init__(pool_maxsize=50)
        self._there = there

    def send(self, request, **options):
        parts = urlsplit(request.url)
        request.url = f"{self._there}{parts.path}" + (f"?{parts.query}" if parts.query else "")
        # Nothing on loopback is reached through a proxy.
        return super().send(request, **{**options, "proxies": {}})


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
