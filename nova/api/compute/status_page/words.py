"""An answer in HTML: templates, and the headers that keep a page to itself.

Names of servers, hosts and projects are other people's texts: templates escape everything, and the policy of the
content lets no script run but our own file.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import jinja2
import webob

from nova.clock import span, utcnow
from nova.http.wsgi import Environ, StartResponse

ROOT = "/status"
_HERE = Path(__file__).parent
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    # Without a referrer browsers do not say either which site a form is of.
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-store",
}
_STATIC = {"style.css": "text/css", "script.js": "text/javascript"}


def page(request: webob.Request, template: str, status: int = 200, **values: Any) -> webob.Response:
    """A page from templates/. values are what it shows."""
    text = _ENVIRONMENT.get_template(template).render(root=f"{request.script_name}{ROOT}", now=utcnow(), **values)
    answer = webob.Response(text=text, status=status, content_type="text/html", charset="UTF-8")
    answer.headers.update(_HEADERS.items())
    return answer


def static(name: str) -> webob.Response | None:
    """A file of static/; None for no file of ours."""
    if name not in _STATIC:
        return None
    content = (_HERE / "static" / name).read_bytes()
    answer = webob.Response(body=content, content_type=_STATIC[name], charset="UTF-8")
    answer.headers["X-Content-Type-Options"] = "nosniff"
    return answer


def moved(request: webob.Request, path: str = "") -> webob.Response:
    """Sends a browser to a page of ours."""
    answer = webob.Response(status=303, content_type="text/html")
    answer.headers.update(_HEADERS.items())
    # As a path: a host's name in it would be the client's word.
    answer.headers["Location"] = f"{request.script_name}{ROOT}{path}"
    return answer


def send(answer: webob.Response, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    """The answer as it stands: by itself WebOb makes a whole address of a path, with whatever host the client names."""
    start_response(answer.status, answer.headerlist)
    chunks: Iterable[bytes] = [] if environ["REQUEST_METHOD"] == "HEAD" else answer.app_iter
    return chunks


_ENVIRONMENT = jinja2.Environment(
    loader=jinja2.FileSystemLoader(_HERE / "templates"),
    autoescape=True,
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_ENVIRONMENT.filters["span"] = span
