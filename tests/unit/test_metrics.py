"""What a daemon says of itself: alive, ready, or what is missing; and its counters."""

import json

import webob

from nova.conf import load
from nova.http import health
from nova.http.front import Front
from nova.http.wsgi import plain_fault
from nova.readiness import Readiness


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


def test_requests_are_counted_by_method_and_status():
    webob.Request.blank("/").get_response(Front(webob.Response(status=418), load(files=[]), plain_fault))

    assert b'nova_http_request_seconds_count{method="GET",status="418"} 1.0' in ask("/metrics").body


def test_there_is_nothing_else():
    assert ask("/").status_int == 404
