"""The pages of a console proxy: which one a console's address leads to, and what a refused user reads.

The token is in the page's address, because upstream's clients and dashboards build it that way.
"""

import html
import os
import re
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qs, quote, urlsplit

_PAGE = re.compile(r"(?:/[\w.-]+)*/(?P<name>[\w.-]+\.html)", re.ASCII)
_REFUSAL = """<!DOCTYPE html>
<html lang="en">
<head><meta charset="utf-8"><title>{title}</title></head>
<body style="font-family: sans-serif; max-width: 40em; margin: 4em auto">
<h1>{title}</h1>
<p>{text}</p>
</body>
</html>
"""


def token_of(target: str, cookies: str | None = None) -> str | None:
    """The token of a request: in its query, in the websocket path its query names, or in a cookie."""
    try:
        query = parse_qs(urlsplit(target).query)
        if "token" not in query and "path" in query:
            # Once: a path in a path leads no page anywhere, and there is room for thousands of them.
            query, cookies = parse_qs(urlsplit(query["path"][0]).query), None
    except ValueError:
        return None
    if "token" in query:
        return query["token"][0].strip()
    try:
        cookie = SimpleCookie(cookies).get("token") if cookies else None
    except CookieError:
        return None
    return cookie.value if cookie else None


def origin_is_allowed(origin: str | None, host: str | None, allowed: list[str]) -> bool:
    """Whether a page of origin may open a console here. A client that is no browser names none."""
    if origin is None:
        return True
    hostname = _hostname(origin)
    return hostname is not None and hostname in {_hostname(f"//{host}"), *(name.lower() for name in allowed)}


def novnc_redirect(web: str, target: str) -> str | None:
    """noVNC's page connects by itself when it is told to; upstream's vnc_auto.html always did.

    A vnc_auto.html that is a page of its own (older releases of noVNC) is left alone.
    """
    parts = urlsplit(target)
    if parts.path != "/vnc_auto.html" or "autoconnect" in parse_qs(parts.query):
        return None
    auto, page = os.path.join(web, "vnc_auto.html"), os.path.join(web, "vnc.html")
    if not os.path.exists(page) or (os.path.exists(auto) and not os.path.samefile(auto, page)):
        return None
    return "vnc.html?" + "&".join(filter(None, ("autoconnect=true", parts.query)))


def spice_redirect(web: str, target: str) -> str | None:
    """spice-html5 passes the token on in a cookie, which two consoles in one browser would share.

    So the token is put into the websocket's path as well, where it stays with its page.
    """
    parts = urlsplit(target)
    token = token_of(target)
    page = _PAGE.fullmatch(parts.path)
    if page is None or token is None or "path" in parse_qs(parts.query):
        return None
    # Beside the page that was asked for, so that it stays within this site: a path may look like another's address.
    return f"{page['name']}?{parts.query}&path={quote(f'/?token={quote(token)}', safe='')}"


def refusal(title: str, text: str) -> bytes:
    """A page in UTF-8; title and text may hold what a viewer has sent."""
    return _REFUSAL.format(title=html.escape(title), text=html.escape(text)).encode()


def _hostname(url: str) -> str | None:
    try:
        return urlsplit(url).hostname
    except ValueError:
        return None
