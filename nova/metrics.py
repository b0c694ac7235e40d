"""What a daemon counts about itself, in Prometheus' terms, and what its health is made of.

Counting costs a microsecond and goes on whether anybody asks or not; [DEFAULT] health_port opens the
page. /healthz answers 200 while every check passes and 503 with the names of those that do not.
"""

import json
import time
from collections.abc import Callable, Iterable
from typing import Any

from prometheus_client import CONTENT_TYPE_LATEST, Counter, Gauge, Histogram, generate_latest

_LATENCY = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_WORK = (0.01, 0.05, 0.1, 0.5, 1, 5, 15, 60, 300, 1800)

HTTP = Histogram("nova_http_request_seconds", "HTTP requests answered", ["method", "status"], buckets=_LATENCY)
CALLS = Histogram("nova_rpc_call_seconds", "Calls answered over the bus", ["method", "outcome"], buckets=_LATENCY)
STEPS = Histogram("nova_step_seconds", "Steps of operations done", ["operation", "step", "outcome"], buckets=_WORK)
TAKEOVERS = Counter("nova_operation_takeovers", "Operations taken over from a conductor that fell silent")
DRIVING = Gauge("nova_operations_driving", "Operations this conductor is working on")
LATE = Gauge("nova_operations_oldest_due_seconds", "How long the operation that waits longest is due")
DEAF = Gauge("nova_rpc_deaf", "Whether this daemon does not hear itself through its own queue", ["topic"])

Wsgi = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


def counted(app: Wsgi) -> Wsgi:
    """app, with its answers counted."""

    def count(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        began = time.perf_counter()

        def start(status: str, headers: Any, exc_info: Any = None) -> Any:
            HTTP.labels(environ["REQUEST_METHOD"], status[:3]).observe(time.perf_counter() - began)
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
