"""/healthz and /metrics of a daemon, and the count of the requests it answers.

[DEFAULT] health_port opens the page. /healthz answers 200 while every check passes and 503 with the names of
those that do not.
"""

import json
import time
from collections.abc import Callable, Iterable
from typing import Any

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from nova import metrics
from nova.http.wsgi import Wsgi


def counted(app: Wsgi) -> Wsgi:
    """app, with its answers counted."""

    def count(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        began = time.perf_counter()

        def start(status: str, headers: Any, exc_info: Any = None) -> Any:
            metrics.HTTP.labels(environ["REQUEST_METHOD"], status[:3]).observe(time.perf_counter() - began)
            return start_response(status, headers, exc_info)

        return app(environ, start)

    return count


def page(checks: Callable[[], dict[str, bool]]) -> Wsgi:
    """/healthz and /metrics. checks gives each check's name and whether it passes."""

    def answer(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
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


def _send(start_response: Callable[..., Any], status: str, kind: str, body: bytes) -> list[bytes]:
    start_response(status, [("Content-Type", kind), ("Content-Length", str(len(body)))])
    return [body]
