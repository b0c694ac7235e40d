"""A daemon's HTTP service in a process of its own: python serving.py BACKEND CONFIG_FILE.

It prints the ports of its API and of its health page as JSON, and ends when its standard input does. The API answers
/slow after a second, /fails not at all, /stream in two pieces, and anything else with what it was sent.
"""

import json
import sys
import time
from pathlib import Path

from nova import backend

if __name__ == "__main__":
    backend.choose(sys.argv[1])

from oslo_log import log as oslo_log

from nova import concurrency
from nova.conf import load
from nova.http import health
from nova.http.front import Front
from nova.http.service import HealthService, HttpService
from nova.http.wsgi import CONTEXT, plain_fault
from nova.readiness import Readiness
from nova.structs.context import Context


def app(environ, start_response):
    path = environ["PATH_INFO"]
    environ[CONTEXT] = Context(user_id="alice", project_id="demo")
    if path == "/fails":
        raise ModuleNotFoundError("No module named 'memcache'")
    if path == "/slow":
        time.sleep(1)
    if path == "/stream":
        start_response("200 OK", [("Content-Type", "text/plain")])
        return iter([b"first,", b"second"])
    told = {
        "method": environ["REQUEST_METHOD"],
        "path": path,
        "query": environ["QUERY_STRING"],
        "body": environ["wsgi.input"].read().decode(),
        "scheme": environ["wsgi.url_scheme"],
        "user": environ.get("HTTP_X_USER_ID"),
    }
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps(told).encode()]


def main():
    conf = load(files=[sys.argv[2]])
    oslo_log.setup(conf, "nova-test")
    service = HttpService(conf, "osapi_compute", Front(app, conf, plain_fault), "127.0.0.1", 0, requests=2)
    page = HealthService(health.page(Readiness().state), "127.0.0.1", 0)
    for one in (service, page):
        one.start()
    print(json.dumps([service.port, page.port]), flush=True)
    concurrency.run_blocking(lambda: Path("/dev/stdin").read_bytes())
    for one in (service, page):
        one.stop()


if __name__ == "__main__":
    main()
