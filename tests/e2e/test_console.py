"""The guest's screen in a user's browser."""

import base64
import io
import os
from pathlib import Path

import pytest
from PIL import Image, ImageChops

from tests.e2e.browser import open_browser

CANVAS = "document.querySelector('canvas')"
# A screen that has arrived has a size and shows more than black.
SCREEN_IS_THERE = f"""(() => {{
    const canvas = {CANVAS};
    if (!canvas || canvas.width < 400) return false;
    const data = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
    for (let i = 0; i < data.length; i += 4) if (data[i] + data[i + 1] + data[i + 2] > 300) return true;
    return false;
}})()"""


def test_the_novnc_page_shows_the_guests_login_prompt(cloud, tmp_path):
    first = cloud.openstack("server", "show", "first")
    cloud.wait_for_console(first["id"], "first login:")
    url = cloud.openstack("console", "url", "show", "--novnc", "first")["url"]

    with open_browser(tmp_path / "profile") as browser:
        browser.open(url)
        assert browser.wait_for(SCREEN_IS_THERE), "no screen has arrived in the page"
        browser.take_picture(pictures(tmp_path) / f"novnc-{cloud.mode}.png")
        seen = canvas_picture(browser)

    real = hypervisor_picture(cloud, first, tmp_path)
    assert seen.size == real.size
    assert share_of_text(real) > 0.01, "the guest's own screen is empty"
    # The cursor blinks; all else must be the same.
    assert share_of_difference(seen, real) < 0.001


def test_a_console_url_without_its_token_shows_nothing(cloud, tmp_path):
    url = cloud.openstack("console", "url", "show", "--novnc", "first")["url"]

    with open_browser(tmp_path / "profile") as browser:
        browser.open(url.replace("token%3D", "token%3D0").replace("token=", "token=0"))
        screen_came = browser.wait_for(SCREEN_IS_THERE, timeout_s=5)

    assert not screen_came


@pytest.mark.mode("embedded")
def test_what_is_typed_into_the_page_reaches_the_guest(cloud, tmp_path):
    first = cloud.openstack("server", "show", "first")
    cloud.wait_for_console(first["id"], "first login:")
    url = cloud.openstack("console", "url", "show", "--novnc", "first")["url"]

    with open_browser(tmp_path / "profile") as browser:
        browser.open(url)
        browser.wait_for(SCREEN_IS_THERE)
        browser.evaluate(f"{CANVAS}.focus()")
        browser.type_text("nobody")
        before = hypervisor_picture(cloud, first, tmp_path)
        browser.type_text("\n")
        changed = cloud.wait_for(
            lambda: share_of_difference(before, hypervisor_picture(cloud, first, tmp_path)) > 0.001, timeout_s=20
        )

    assert changed


def pictures(tmp_path: Path) -> Path:
    """Where a person finds the pictures afterwards."""
    directory = Path(os.environ.get("E2E_PICTURES", tmp_path))
    directory.mkdir(parents=True, exist_ok=True)
    return directory


def canvas_picture(browser) -> Image.Image:
    data = browser.evaluate(f"{CANVAS}.toDataURL('image/png')").split(",", 1)[1]
    return Image.open(io.BytesIO(base64.b64decode(data))).convert("RGB")


def hypervisor_picture(cloud, server, tmp_path) -> Image.Image:
    """The guest's screen as libvirt sees it, on the host that runs the guest."""
    host = server["OS-EXT-SRV-ATTR:host"]
    inside = f"/var/lib/nova/{server['id']}.screen"
    cloud.in_host(host, "virsh", "-q", "screenshot", server["id"], inside)
    outside = cloud.directory / "hosts" / host / "nova" / f"{server['id']}.screen"
    try:
        return Image.open(io.BytesIO(outside.read_bytes())).convert("RGB")
    finally:
        outside.unlink()


def share_of_text(picture: Image.Image) -> float:
    lit = sum(picture.convert("L").histogram()[100:])
    return lit / (picture.width * picture.height)


def share_of_difference(left: Image.Image, right: Image.Image) -> float:
    difference = ImageChops.difference(left, right).convert("L")
    return sum(difference.histogram()[32:]) / (left.width * left.height)
