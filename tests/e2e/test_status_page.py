"""The pages of /status in an administrator's browser."""

from tests.e2e.browser import open_browser
from tests.e2e.running_cloud import unused_name
from tests.e2e.test_console import pictures

LOG_IN = """(() => {{
    const form = document.querySelector('form.login');
    if (!form) return false;
    form.user.value = {user!r};
    form.password.value = {password!r};
    form.project.value = {project!r};
    form.querySelector('button').click();
    return true;
}})()"""
IS_LIVE = "document.getElementById('live')?.hidden === false"
# Of a form's fields, the variables of openrc.
USER = {"user": "USERNAME", "password": "PASSWORD", "project": "PROJECT_NAME"}
FAILURES = "document.getElementById('failures').innerText"


def test_what_fails_appears_by_itself_and_scheduling_is_a_picture(cloud, tmp_path):
    environment = cloud.environment()
    user = {name: environment[f"OS_{variable}"] for name, variable in USER.items()}
    first = cloud.openstack("server", "show", "first")
    huge = cloud.sdk().compute.create_flavor(name=unused_name("huge"), ram=256, vcpus=1, disk=1 << 30)

    with open_browser(tmp_path / "profile") as browser:
        browser.open(address(cloud))
        assert browser.wait_for(LOG_IN.format(**user)), "no form has come"
        assert browser.wait_for(IS_LIVE), "the page does not hear of changes"
        with cloud.server("lost", flavor_id=huge.id) as server:
            assert browser.wait_for(f"{FAILURES}.includes('{server.id}')"), "the page does not show what failed"
            assert "No valid host was found" in browser.evaluate(FAILURES)
            browser.take_picture(pictures(tmp_path) / f"status-{cloud.mode}.png")
        browser.open(f"{address(cloud)}/servers/{first['id']}")
        assert browser.wait_for("document.querySelector('svg.funnel polygon.passes')?.getBBox().width > 0")
        browser.take_picture(pictures(tmp_path) / f"status-server-{cloud.mode}.png")
        assert f"Chosen: {first['OS-EXT-SRV-ATTR:host']}" in browser.evaluate("document.body.innerText")
    cloud.sdk().compute.delete_flavor(huge)


def address(cloud):
    compute = cloud.sdk().compute.get_endpoint()
    return f"{compute.partition('/v2.1')[0]}/status"
