"""How clients find their way: versions, links, other origins, a path prefix, another WSGI server."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.functional.placement.cloud import Placement

ORIGIN = "http://dashboard.example.com"


@pytest.mark.parametrize(
    ("asked", "status", "answered"),
    [
        ("placement 1.5", 200, "placement 1.5"),
        ("placement latest", 200, "placement 1.39"),
        ("compute 2.90, placement 1.7", 200, "placement 1.7"),
        ("compute 2.90", 200, "placement 1.0"),
        ("", 200, "placement 1.0"),
        ("placement 1.40", 406, None),
        ("placement 2.0", 406, None),
        ("placement 1.05", 400, None),
        ("placement 1", 400, None),
        ("placement ", 400, None),
        ("placement 1.٣", 400, None),
        ("placement 1.999999999999999999999", 400, None),
    ],
)
def test_version_header_is_understood(placement: Placement, asked: str, status: int, answered: str | None) -> None:
    answer = placement.call("GET", "/", headers={"OpenStack-API-Version": asked})

    assert answer.status == status
    assert answer.headers.get("openstack-api-version") == answered
    if status == 406:
        assert (answer.error["min_version"], answer.error["max_version"]) == ("1.0", "1.39")


def test_every_answer_carries_its_request_id(placement: Placement) -> None:
    answer = placement.call("GET", "/nowhere")

    assert answer.headers["x-openstack-request-id"] == answer.error["request_id"]


def test_links_lead_to_where_the_service_is_mounted(placement: Placement) -> None:
    host = placement.add_host("host")

    provider = placement.get(f"/placement/resource_providers/{host}")

    links = {link["rel"]: link["href"] for link in provider["links"]}
    assert links["self"] == f"/placement/resource_providers/{host}"
    assert placement.get(links["usages"])["usages"] == {}


def test_other_origins_are_let_in_only_when_the_operator_says_so(placement: Placement) -> None:
    open_one = placement.colleague(f"[cors]\nallowed_origin = {ORIGIN}\n")
    asking = {"Origin": ORIGIN, "Access-Control-Request-Method": "GET"}

    assert placement.call("OPTIONS", "/", headers=asking).status == 405
    allowed = open_one.call("OPTIONS", "/", headers=asking)

    assert allowed.status == 200
    assert allowed.headers["access-control-allow-origin"] == ORIGIN
    assert "access-control-allow-origin" not in open_one.call("GET", "/", headers={"Origin": "http://evil"}).headers


def test_a_page_of_another_origin_sends_and_reads_what_this_api_is_made_of(placement: Placement) -> None:
    open_one = placement.colleague(
        f"[cors]\nallowed_origin = {ORIGIN}\nallow_headers = X-Mine\nexpose_headers = X-Ours\n"
    )
    asking = {
        "Origin": ORIGIN,
        "Access-Control-Request-Method": "PUT",
        "Access-Control-Request-Headers": "content-type,openstack-api-version,x-auth-token,x-mine",
    }

    allowed = open_one.call("OPTIONS", "/traits", headers=asking).headers
    answered = open_one.call("GET", "/traits", headers={"Origin": ORIGIN}).headers
    strange = open_one.call("OPTIONS", "/", headers={**asking, "Access-Control-Request-Headers": "x-strange"}).headers

    assert allowed["access-control-allow-origin"] == answered["access-control-allow-origin"] == ORIGIN
    assert set(allowed["access-control-allow-headers"].lower().split(",")) >= {"x-auth-token", "openstack-api-version"}
    assert set(answered["access-control-expose-headers"].split(",")) >= {"X-Ours", "OpenStack-API-Version", "Location"}
    assert "access-control-allow-origin" not in strange


def test_wsgi_module_serves_the_configuration_it_is_given(placement: Placement, tmp_path: Path) -> None:
    conf = tmp_path / "wsgi.conf"
    conf.write_text(f"[api]\nauth_strategy = noauth2\n[placement_database]\nconnection = {placement.url}\n")
    ask = (
        "from nova.wsgi.placement import application\n"
        "environ = {'REQUEST_METHOD': 'GET', 'PATH_INFO': '/traits', 'HTTP_X_AUTH_TOKEN': 'admin',"
        " 'HTTP_OPENSTACK_API_VERSION': 'placement 1.6'}\n"
        "print(b''.join(application(environ, lambda status, headers: print(status))).decode())\n"
    )

    done = subprocess.run(
        [sys.executable, "-c", ask],
        env={"NOVA_CONFIG_FILES": str(conf), "PYTHONPATH": str(Path(__file__).parents[3])},
        capture_output=True,
        text=True,
    )

    assert done.stdout.startswith("200 OK"), done.stderr
    assert "HW_CPU_X86_AVX" in done.stdout
