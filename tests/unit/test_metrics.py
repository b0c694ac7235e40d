"""What a daemon says of itself: alive, ready, or what is missing; and its counters."""

import json
import re
import sys
from pathlib import Path

import pytest
import webob
from prometheus_client import REGISTRY
from prometheus_client.parser import text_string_to_metric_families

from nova.conf import load
from nova.daemon.whole import combine
from nova.daemon.worker_state import Family, Sample
from nova.db.statements import class_of
from nova.http import health
from nova.http.front import Front
from nova.http.wsgi import plain_fault
from nova.metrics import COMBINED
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
    return webob.Request.blank(path).get_response(health.page(readiness.state, lambda: is_alive))


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


def test_it_is_said_of_every_gauge_how_the_values_of_workers_make_one():
    gauges = {family.name for family in REGISTRY.collect() if family.type in ("gauge", "info")}

    assert gauges == set(COMBINED) & gauges


def test_workers_counts_are_added_up_and_their_gauges_told_as_each_is_meant():
    def worker(passes, hosts, held, answered):
        return [
            Family("nova_check_passes", "", "gauge", [Sample("nova_check_passes", {"check": "bus"}, passes)]),
            Family("nova_hosts", "", "gauge", [Sample("nova_hosts", {"state": "up"}, hosts)]),
            Family("nova_operations_driving", "", "gauge", [Sample("nova_operations_driving", {}, held)]),
            Family(
                "nova_http_requests", "", "counter", [Sample("nova_http_requests_total", {"code": "200"}, answered)]
            ),
        ]

    whole = {one.name: one.samples for one in combine([worker(1, 7, 2, 10), worker(0, 7, 3, 5)])}

    assert whole == {
        "nova_check_passes": [Sample("nova_check_passes", {"check": "bus"}, 0)],
        "nova_hosts": [Sample("nova_hosts", {"state": "up"}, 7)],
        "nova_operations_driving": [Sample("nova_operations_driving", {}, 5)],
        "nova_http_requests": [Sample("nova_http_requests_total", {"code": "200"}, 15)],
    }


@pytest.mark.parametrize(
    "statement, told",
    [
        ("SELECT instances.id, instances.uuid \nFROM instances \nWHERE x", ("select", "instances")),
        ('SELECT count(*) FROM (SELECT a FROM "hosts") AS anon_1', ("select", "hosts")),
        ("INSERT INTO `events` (a) VALUES (%s)", ("insert", "events")),
        ("UPDATE operations SET wake_at=%s", ("update", "operations")),
        ("DELETE FROM quota_limits WHERE x", ("delete", "quota_limits")),
        ("START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY", ("begin", "")),
        ("COMMIT", ("commit", "")),
        ("SET SESSION x", ("other", "")),
    ],
)
def test_a_statement_is_told_by_its_kind_and_its_first_table(statement, told):
    assert class_of(statement) == told


def test_there_is_nothing_else():
    assert ask("/").status_int == 404
