"""Where a console's address leads, whose pages may open one, and where its token is found."""

import pytest

from nova.console import pages


@pytest.mark.parametrize(
    ("target", "cookies", "token"),
    [
        ("/?token=abc", None, "abc"),
        ("/websockify?token=abc", "token=other", "abc"),
        ("/vnc_auto.html?path=%3Ftoken%3Dabc", None, "abc"),
        ("/vnc.html?autoconnect=true&path=websockify%3Ftoken%3Dabc", None, "abc"),
        ("/websockify", "token=abc", "abc"),
        ("/websockify", "theme=dark; token=abc; lang=en", "abc"),
        ("/websockify", None, None),
        ("/websockify", "theme=dark", None),
        ("/websockify", ";;;=\x00", None),
        ("/?token=", None, None),
        ("/vnc.html?path=" + "path%3D" * 50, None, None),
        ("/vnc.html?path=%2F%3Fpath%3D%2F%3Ftoken%3Dabc", None, None),
        ("/?" + "path=/?" * 3000 + "token=abc", None, None),
        ("/vnc.html?path=%2F%2F%5B", None, None),
        ("http://[/?token=abc", None, None),
    ],
)
def test_a_token_is_found_where_browsers_put_it(target, cookies, token):
    assert pages.token_of(target, cookies) == token


@pytest.mark.parametrize(
    ("origin", "host", "is_allowed"),
    [
        (None, "cloud.example:6080", True),
        ("http://cloud.example:6080", "cloud.example:6080", True),
        ("https://CLOUD.example", "cloud.example:6080", True),
        ("https://dashboard.example", "cloud.example:6080", True),
        ("http://[::1]:6080", "[::1]:6080", True),
        ("https://evil.example", "cloud.example:6080", False),
        ("https://cloud.example.evil.example", "cloud.example:6080", False),
        ("https://evil.example/cloud.example", "cloud.example:6080", False),
        ("null", "cloud.example:6080", False),
        ("", "cloud.example:6080", False),
        ("http://[", "cloud.example:6080", False),
        ("https://evil.example", None, False),
    ],
)
def test_only_a_page_of_this_host_or_an_allowed_one_opens_consoles(origin, host, is_allowed):
    assert pages.origin_is_allowed(origin, host, ["Dashboard.example"]) is is_allowed


@pytest.fixture
def web(tmp_path):
    (tmp_path / "vnc.html").write_text("noVNC")
    return tmp_path


def test_the_automatic_page_is_novncs_page_told_to_connect(web):
    (web / "vnc_auto.html").symlink_to("vnc.html")

    assert pages.novnc_redirect(str(web), "/vnc_auto.html?path=%3Ftoken%3Dabc") == (
        "vnc.html?autoconnect=true&path=%3Ftoken%3Dabc"
    )


def test_an_installation_without_the_automatic_page_has_one_nevertheless(web):
    assert pages.novnc_redirect(str(web), "/vnc_auto.html") == "vnc.html?autoconnect=true"


def test_an_automatic_page_of_its_own_is_left_alone(web):
    (web / "vnc_auto.html").write_text("an older noVNC")

    assert pages.novnc_redirect(str(web), "/vnc_auto.html?path=%3Ftoken%3Dabc") is None


@pytest.mark.parametrize("target", ["/vnc.html?path=x", "/vnc_lite.html", "/app/ui.js", "/vnc_auto.html?autoconnect=0"])
def test_other_pages_are_what_they_are(web, target):
    assert pages.novnc_redirect(str(web), target) is None


@pytest.mark.parametrize(
    ("target", "location"),
    [
        ("/spice_auto.html?token=abc", "spice_auto.html?token=abc&path=%2F%3Ftoken%3Dabc"),
        ("/spice_auto.html?token=abc&path=%2F%3Ftoken%3Dabc", None),
        ("/spice_auto.html", None),
        ("/main.js?token=abc", None),
    ],
)
def test_the_spice_page_gets_its_token_into_the_websockets_path(target, location):
    assert pages.spice_redirect("/usr/share/spice-html5", target) == location


def test_a_refusal_is_a_page_that_shows_no_markup_of_others():
    page = pages.refusal("No <script>", "a & b").decode()

    assert "No &lt;script&gt;" in page
    assert "a &amp; b" in page
