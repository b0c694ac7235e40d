"""/healthz and /metrics of a daemon. Whoever asks for them is neither counted nor logged.

[DEFAULT] health_port opens the page. /healthz answers 200 while every check passes and 503 with the names of
those that do not.
"""

import json
from collections.abc import Callable, Iterable

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from nova.http.wsgi import Environ, StartResponse, Wsgi


def page(checks: Callable[[], dict[str, bool]]) -> Wsgi:
    """/healthz and /metrics. checks gives each check's name and whether it passes."""

    def answer(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        path = environ.get("PATH_INFO", "")
        if path == "/metrics":
            return _send(start_response, "200 OK", CONTENT_TYPE_LATEST, generate_latest())
        if path != "/healthz":
            return _send(start_response, "404 Not Found", "text/plain", b"/healthz or /metrics\n")
        results = checks()
        failing = sorted(name for name, passes in results.items() if not passes)
        body = json.dumps({"healthy": not failing, "failing": failing, "checks": sorted(results)}).encode()
        status = "503 Service Unavailable" if failing else "200 OK"
        return _send(start_response, status, "application/json", body)

    return answer


def _send(start_response: StartResponse, status: str, kind: str, body: bytes) -> list[bytes]:
    start_response(status, [("Content-Type", kind), ("Content-Length", str(len(body)))])
    return [body]
