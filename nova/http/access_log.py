"""The access log: one line of INFO for each request, without what opens anything.

    127.0.0.1 "GET /v2.1/servers?limit=2" status: 200 len: 1893 time: 0.0123 id: req-... project: P user: U

Values of query parameters that may be secrets are ***; headers and bodies are not logged at all.
"""

import logging
import re
from urllib.parse import quote, unquote_plus

from nova.http.wsgi import CONTEXT, Environ, request_id

LOG = logging.getLogger(__name__)

_SECRET = re.compile(r"token|sign|user_?data|secret|passw|credential|auth|accesskey|api_?key|^key\Z|^sig\Z", re.I)
# What could end a line of the log, or the quotes in it.
_UNSAFE = re.compile(r"[^!#-~]")


class AccessLog:
    """secret_path finds the parts of a path that are secrets; its groups are kept, the rest of a match is ***."""

    def __init__(self, secret_path: re.Pattern[str] | None = None) -> None:
        self._secret_path = secret_path

    def write(self, environ: Environ, target: tuple[str, str], status: str, size: int, seconds: float) -> None:
        """target is the request's path, decoded to Latin-1, and its query."""
        if not LOG.isEnabledFor(logging.INFO):
            return
        context = environ.get(CONTEXT)
        LOG.info(
            '%s "%s %s" status: %s len: %d time: %.4f id: %s project: %s user: %s',
            environ.get("REMOTE_ADDR", "-"),
            environ["REQUEST_METHOD"],
            self.shown(*target),
            status,
            size,
            seconds,
            request_id(environ),
            (context and context.project_id) or "-",
            (context and context.user_id) or "-",
        )

    def shown(self, path: str, query: str) -> str:
        """A request's target as the log may show it."""
        path = quote(path.encode("latin-1", "replace"), safe="/:@!$&'()*+,;=~")
        if self._secret_path is not None:
            path = self._secret_path.sub(r"\1***", path)
        return f"{path}?{'&'.join(map(_masked, query.split('&')))}" if query else path


def _masked(pair: str) -> str:
    """A query's name=value; a value may be an address with a query of its own."""
    name, equals, value = pair.partition("=")
    if _SECRET.search(unquote_plus(name)) or _SECRET.search(unquote_plus(value)):
        value = "***"
    return _UNSAFE.sub(lambda match: quote(match[0]), name + equals + value)
