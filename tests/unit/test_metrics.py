"""What a daemon says of itself: alive, ready, or what is missing; and its counters."""

import json
import re
import sys
from pathlib import Path

import webob
from prometheus_client.parser import text_string_to_metric_families

from nova.conf import load
from nova.http import health
from nova.http.front import Front
from nova.http.wsgi import plain_fault
from nova.readiness import Readiness

FAMILY = re.compile(r"^# TYPE (\w+)", re.M)


def reference():
    """What writes the pages of the reference."""
    root = Path(__file__).parents[2]
    sys.path[:0] = [str(root / "doc/ext"), str(root / "tools")]
    try:
        import reference
    finally:
        del sys.path[:2]
    return reference


def ask(path, missing=(), is_alive=True):
    readiness = Readiness()
    for name in missing:
        readiness.hold(name, f"{name} does not answer")
    return webob.Request.blank(path).get_response(health.page(readiness, lambda: is_alive))


def test_a_daemon_that_has_what_it_needs_is_ready():
    answer = ask("/readyz")

    assert answer.status_int == 200
    assert json.loads(answer.body) == {"ready": True, "failing": [], "checks": []}


def test_a_daemon_that_misses_something_names_it_and_lives():
    answer = ask("/readyz", ["database", "glance"])

    assert answer.status_int == 503
    told = json.loads(answer.body)
    assert (told["ready"], told["failing"]) == (False, ["database", "glance"])
    assert told["reasons"]["database"] == "database does not answer"
    assert ask("/healthz", ["database"]).status_int == 200


def test_whoever_asks_may_leave_checks_out():
    assert ask("/readyz?exclude=glance&exclude=neutron", ["glance"]).status_int == 200
    assert ask("/readyz?exclude=glance", ["database", "glance"]).status_int == 503


def test_a_daemon_whose_main_loop_stands_still_is_not_alive():
    answer = ask("/healthz", is_alive=False)

    assert answer.status_int == 503
    assert json.loads(answer.body)["healthy"] is False


def test_requests_are_counted_by_method_route_and_code():
    webob.Request.blank("/").get_response(Front(webob.Response(status=418), load(files=[]), plain_fault))

    assert b'nova_http_requests_total{code="418",method="GET",route="unmatched"} 1.0' in ask("/metrics").body


def test_methods_that_clients_invent_make_no_series():
    for method in ("BREW", "PROPFIND"):
        request = webob.Request.blank("/", method=method)
        request.get_response(Front(webob.Response(status=418), load(files=[]), plain_fault))

    page = ask("/metrics").text
    assert 'nova_http_requests_total{code="418",method="other",route="unmatched"} 2.0' in page
    assert "BREW" not in page


def test_the_page_of_the_documentation_has_what_a_daemon_serves():
    served = {name for name in FAMILY.findall(ask("/metrics").text) if name.startswith("nova_")}

    assert served == set(re.findall(r"^\| `(nova_\w+)` \|", reference().figures(), re.M))
    assert served >= {"nova_http_requests_total", "nova_operation_duration_seconds", "nova_build_info"}


def test_names_and_units_are_as_prometheus_has_them():
    families = list(text_string_to_metric_families(ask("/metrics").text))

    for family in (one for one in families if one.name.startswith("nova_")):
        assert family.documentation, family.name
        assert family.type != "histogram" or family.name.endswith("_seconds")
        assert not family.name.endswith(("_ms", "_minutes", "_mb"))


def test_there_is_nothing_else():
    assert ask("/").status_int == 404
