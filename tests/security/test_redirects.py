"""Redirects stay within the site, and nothing a user says becomes a header."""

import http.client

import pytest

from nova.console import pages
from nova.structs.guest import ConsoleKind

PATHS = (
    "//evil.example/%2e%2e",
    "//evil.example/",
    "//evil.example/x.html?token={token}",
    "/http://evil.example/x.html?token={token}",
    "/https:/evil.example/x.html?token={token}",
    "/javascript:alert(1)//x.html?token={token}",
    "/\\evil.example/x.html?token={token}",
    "/%2f%2fevil.example/x.html?token={token}",
    "/spice_auto.html%0d%0aSet-Cookie:x?token={token}",
    "/vnc_auto.html/..//evil.example/vnc_auto.html?path=%3Ftoken%3D{token}",
)


@pytest.mark.parametrize("proxy", ["spice_html5", "novnc"])
@pytest.mark.parametrize("path", PATHS)
def test_a_proxy_redirects_to_no_other_site(make_consoles, screen, proxy, path):
    consoles = make_consoles()
    names = ("spice", "spice-html5") if proxy == "spice_html5" else ("vnc", "novnc")
    kind = ConsoleKind.SPICE_HTML5 if proxy == "spice_html5" else ConsoleKind.NOVNC
    token = consoles.token(consoles.boot(kind, screen), *names)

    connection = http.client.HTTPConnection("127.0.0.1", consoles.port[proxy], timeout=10)
    connection.request("GET", path.replace("{token}", token))
    answer = connection.getresponse()

    location = answer.headers.get("Location") or ""
    assert not location.startswith(("http", "//", "/\\", "javascript:")), location
    assert "Set-Cookie" not in answer.headers
    connection.close()


@pytest.mark.parametrize("target", [path.replace("{token}", "t") for path in PATHS if "spice_auto" not in path])
def test_the_spice_page_is_one_of_this_sites(target):
    location = pages.spice_redirect("/usr/share/spice-html5", target)

    assert location is None or location.startswith("x.html?token=t&path=")
