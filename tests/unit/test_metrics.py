"""What a daemon says of itself: healthy, or what fails; and its counters."""

import json

import webob

from nova.conf import load
from nova.http import health
from nova.http.front import Front
from nova.http.wsgi import plain_fault


def ask(path, checks):
    return webob.Request.blank(path).get_response(health.page(lambda: checks))


def test_a_daemon_whose_checks_pass_is_healthy():
    answer = ask("/healthz", {"database": True, "hears conductor": True})

    assert answer.status_int == 200
    assert json.loads(answer.body)["healthy"] is True


def test_a_daemon_that_is_not_well_names_what_fails():
    answer = ask("/healthz", {"database": False, "hears conductor": True})

    assert answer.status_int == 503
    assert json.loads(answer.body)["failing"] == ["database"]


def test_requests_are_counted_by_method_and_status():
    webob.Request.blank("/").get_response(Front(webob.Response(status=418), load(files=[]), plain_fault))

    assert b'nova_http_request_seconds_count{method="GET",status="418"} 1.0' in ask("/metrics", {}).body


def test_there_is_nothing_else():
    assert ask("/", {}).status_int == 404
