"""The outermost layer of every API: the request's scheme, the guard of errors, its count and its line in the log.

Whatever fails below, in our code or in a middleware above it, is an error in the API's own format, and in the log
with its trace and the request's id.
"""

import logging
import sys
import time
from collections.abc import Iterable, Iterator
from typing import Any

from oslo_config import cfg

from nova import log_context, metrics
from nova.http.access_log import AccessLog
from nova.http.wsgi import INTERNAL, ROUTE, Environ, Fault, StartResponse, Wsgi, request_id

LOG = logging.getLogger(__name__)

# Whoever invents others makes no series of its own.
_METHODS = frozenset(("DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"))


class Front:
    """An application as its clients meet it. fault is how it words errors."""

    def __init__(self, app: Wsgi, conf: cfg.ConfigOpts, fault: Fault, log: AccessLog | None = None) -> None:
        self._app = app
        self.fault = fault
        self._scheme_header = conf.wsgi.secure_proxy_ssl_header
        self._log = log or AccessLog()
        self._logs_all = conf.wsgi.access_log

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        if self._scheme_header and environ.get(self._scheme_header) in ("http", "https"):
            environ["wsgi.url_scheme"] = environ[self._scheme_header]
        exchange = _Exchange(environ, start_response, self._log, self._logs_all)
        try:
            chunks = self._app(environ, exchange.start)
        except Exception:
            exchange.log_failure()
            chunks = self.fault(500, INTERNAL)(environ, exchange.start_over)
        if isinstance(chunks, list):
            exchange.end(sum(map(len, chunks)))
            return chunks
        return exchange.counted(chunks)


class _Exchange:
    """A request and its answer, as far as they are counted and logged."""

    def __init__(self, environ: Environ, start_response: StartResponse, log: AccessLog, logs_all: bool) -> None:
        self._environ = environ
        self._start_response = start_response
        self._log = log
        self._logs_all = logs_all
        # An application may write its own path into the environ.
        self._target = (environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", ""), environ.get("QUERY_STRING", ""))
        self._began = time.perf_counter()
        self._status = ""

    def start(self, status: str, headers: Any, exc_info: Any = None) -> Any:
        self._status = status[:3]
        return self._start_response(status, headers, *filter(None, [exc_info]))

    def start_over(self, status: str, headers: Any, exc_info: Any = None) -> Any:
        """Answer an error instead of what may have been begun."""
        return self.start(status, headers, sys.exc_info() if self._status else None)

    def log_failure(self) -> None:
        # The id is in every line that is logged for a request.
        log_context.follow(request_id(self._environ))
        LOG.exception("%s %s failed", self._environ["REQUEST_METHOD"], self._log.shown(self._target[0], ""))

    def counted(self, chunks: Iterable[bytes]) -> Iterator[bytes]:
        """An answer that comes about while it is sent."""
        size = 0
        try:
            for chunk in chunks:
                size += len(chunk)
                yield chunk
        except Exception:
            self.log_failure()
            raise
        finally:
            if (close := getattr(chunks, "close", None)) is not None:
                close()
            self.end(size)

    def end(self, size: int) -> None:
        environ = self._environ
        seconds = time.perf_counter() - self._began
        method = environ["REQUEST_METHOD"] if environ["REQUEST_METHOD"] in _METHODS else "other"
        route = environ.get(ROUTE, "unmatched")
        metrics.REQUESTS.labels(method, route, self._status).inc()
        metrics.HTTP.labels(method, route).observe(seconds)
        if self._logs_all:
            self._log.write(environ, self._target, self._status, size, seconds)
