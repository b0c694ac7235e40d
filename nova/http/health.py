"""/healthz, /readyz and /metrics of a daemon. Whoever asks for them is neither counted nor logged.

[DEFAULT] health_port opens the page. /healthz answers 200 while the daemon lives: whoever gets another answer, or none,
may start it anew. /readyz answers 200 while the daemon has what it needs, and 503 with the names of what is missing;
?exclude=NAME leaves a check out, as often as it is said. Neither looks at anything when it is asked. A daemon with
several workers has one page, which asks the workers.
"""

import json
from collections.abc import Callable, Iterable
from urllib.parse import parse_qs

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from nova.http.wsgi import Environ, StartResponse, Wsgi

Checks = Callable[[], dict[str, str | None]]


def page(
    checks: Checks, is_alive: Callable[[], bool] = lambda: True, figures: Callable[[], bytes] = generate_latest
) -> Wsgi:
    """The page of one daemon.

    checks: see Readiness.state(); is_alive: whether its main loop still turns; figures: all metrics as text.
    """

    def answer(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        match environ.get("PATH_INFO", ""):
            case "/metrics":
                return _send(start_response, "200 OK", CONTENT_TYPE_LATEST, figures())
            case "/healthz":
                failing = [] if is_alive() else ["main loop"]
                return _tell(start_response, "healthy", failing, ["main loop"])
            case "/readyz":
                left_out = parse_qs(environ.get("QUERY_STRING", "")).get("exclude", [])
                asked = {name: why for name, why in sorted(checks().items()) if name not in left_out}
                reasons = {name: why for name, why in asked.items() if why is not None}
                return _tell(start_response, "ready", list(reasons), list(asked), reasons)
        return _send(start_response, "404 Not Found", "text/plain", b"/healthz, /readyz or /metrics\n")

    return answer


def _tell(
    start_response: StartResponse,
    what: str,
    failing: list[str],
    checks: list[str],
    reasons: dict[str, str] | None = None,
) -> list[bytes]:
    body = {what: not failing, "failing": failing, "checks": checks}
    if reasons:
        body["reasons"] = reasons
    status = "503 Service Unavailable" if failing else "200 OK"
    return _send(start_response, status, "application/json", json.dumps(body).encode())


def _send(start_response: StartResponse, status: str, kind: str, body: bytes) -> list[bytes]:
    start_response(status, [("Content-Type", kind), ("Content-Length", str(len(body)))])
    return [body]
