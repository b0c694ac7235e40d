"""An Identity service in memory: enough of its API v3 to say whether a project is one, and who has signed a request.

Any project is, until a test says which are. Signatures are checked by the code that the real Keystone uses, which is
used end to end.
"""

import base64
import datetime
import hashlib
import hmac
import json

import webob
from keystoneclient.contrib.ec2.utils import Ec2Signer

# An access key is USER:PROJECT, as tokens are; everybody's secret key is this one.
SECRET = "secret"


class FakeKeystone:
    def __init__(self):
        self.projects = None
        # Requests to check a signature.
        self.checks = 0

    def __call__(self, environ, start_response):
        return self._answer(webob.Request(environ))(environ, start_response)

    def _answer(self, request):
        match request.method, request.path_info.strip("/").split("/"):
            case "GET", ["v3", "projects", project_id]:
                if self.projects is not None and project_id not in self.projects:
                    return _json(404, {"error": {"code": 404, "message": f"Could not find project: {project_id}."}})
                return _json(200, {"project": {"id": project_id, "name": project_id, "enabled": True}})
            case "GET", ["v3", "auth", "tokens"]:
                return _json(200, {"token": _token(request.headers["X-Subject-Token"])})
            case "POST", ["v3", "s3tokens"]:
                return self._check_s3_signature(request.json["credentials"], request.headers.get("X-Auth-Token"))
            case "POST", ["v3", "ec2tokens"]:
                return self._check_signature(request.json["credentials"], request.headers.get("X-Auth-Token"))
        return webob.Response(status=404)

    def _check_signature(self, credentials, token):
        self.checks += 1
        if token != "admin:service" or credentials["signature"] != Ec2Signer(SECRET).generate(credentials):
            return _json(401, {"error": {"code": 401, "message": "The request requires authentication."}})
        response = _json(200, {"token": _token(credentials["access"])})
        response.headers["X-Subject-Token"] = credentials["access"]
        return response

    def _check_s3_signature(self, credentials, token):
        text = base64.urlsafe_b64decode(credentials["token"]).decode()
        key = f"AWS4{SECRET}".encode()
        for part in (*text.split("\n")[2].split("/"), text):
            key = hmac.new(key, part.encode(), hashlib.sha256).digest()
        if token != "admin:service" or credentials["signature"] != key.hex():
            return _json(401, {"error": {"code": 401, "message": "The request requires authentication."}})
        return _json(200, {"token": _token(credentials["access"])})


def _token(access):
    """Of an access key, or the token that is the same."""
    user, _, project = access.partition(":")
    ends = datetime.datetime.now(datetime.UTC) + datetime.timedelta(hours=1)
    roles = ["admin", "service"] if user == "admin" else ["reader"] if user == "reader" else ["member", "reader"]
    return {
        "user": {"id": user, "domain": {"id": "default"}},
        "project": {"id": project, "domain": {"id": "default"}},
        "roles": [{"name": role} for role in roles],
        "expires_at": ends.isoformat(),
    }


def _json(status, content):
    return webob.Response(status=status, body=json.dumps(content).encode(), content_type="application/json")
