"""An Identity service over HTTP that knows any token: for how long, and of which project's member."""

import datetime
import json

import webob

from nova.http.limits import Limits
from nova.http.server import HttpServer
from nova.http.service import listen

CONFIGURATION = """
[api]
auth_strategy = keystone
[keystone_authtoken]
auth_type = password
auth_url = {url}
www_authenticate_uri = {url}
username = nova
password = secret
project_name = service
user_domain_id = default
project_domain_id = default
"""


class Identity:
    def __init__(self, lifetime_s):
        self.project = "11111111111111111111111111111111"
        self._lifetime_s = lifetime_s
        self._server = HttpServer(listen("127.0.0.1", 0), self, Limits(requests=4, connections_per_source=0))
        self._url = f"http://127.0.0.1:{self._server.address[1]}/v3"

    def start(self):
        self._server.start()

    def stop(self):
        self._server.stop()

    def configuration(self):
        return CONFIGURATION.format(url=self._url)

    def __call__(self, environ, start_response):
        return self._answer(webob.Request(environ))(environ, start_response)

    def _answer(self, request):
        match request.method, request.path_info.strip("/"):
            case "POST", "v3/auth/tokens":
                return _json(201, {"token": self._token("nova", 3600)}, {"X-Subject-Token": "services-token"})
            case "GET", "v3/auth/tokens":
                return _json(200, {"token": self._token("user", self._lifetime_s)}, {})
            case "GET", "v3":
                links = [{"rel": "self", "href": self._url}]
                version = {"id": "v3.14", "status": "stable", "links": links}
                return _json(200, {"version": version}, {})
        return webob.Response(status=404)

    def _token(self, user, lifetime_s):
        now = datetime.datetime.now(datetime.UTC)
        places = [
            {"interface": interface, "region": "one", "region_id": "one", "url": self._url, "id": interface}
            for interface in ("public", "internal", "admin")
        ]
        domain = {"id": "default", "name": "Default"}
        return {
            "methods": ["password"],
            "user": {"id": user, "name": user, "domain": domain},
            "project": {"id": self.project, "name": "project", "domain": domain},
            "roles": [{"id": name, "name": name} for name in ("member", "reader")],
            "issued_at": f"{now:%Y-%m-%dT%H:%M:%S}.000000Z",
            "expires_at": f"{now + datetime.timedelta(seconds=lifetime_s):%Y-%m-%dT%H:%M:%S.%f}Z",
            "catalog": [{"type": "identity", "id": "identity", "name": "keystone", "endpoints": places}],
        }


def _json(status, content, headers):
    answer = webob.Response(status=status, body=json.dumps(content).encode(), content_type="application/json")
    answer.headers.update(headers)
    return answer
