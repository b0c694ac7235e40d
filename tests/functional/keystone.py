"""An Identity service in memory: enough of its API v3 to say whether a project is one.

Any project is, until a test says which are. The real Keystone is used end to end.
"""

import json

import webob


class FakeKeystone:
    def __init__(self):
        self.projects = None

    def __call__(self, environ, start_response):
        return self._answer(webob.Request(environ))(environ, start_response)

    def _answer(self, request):
        match request.method, request.path_info.strip("/").split("/"):
            case "GET", ["v3", "projects", project_id]:
                if self.projects is not None and project_id not in self.projects:
                    return _json(404, {"error": {"code": 404, "message": f"Could not find project: {project_id}."}})
                return _json(200, {"project": {"id": project_id, "name": project_id, "enabled": True}})
        return webob.Response(status=404)


def _json(status, content):
    return webob.Response(status=status, body=json.dumps(content).encode(), content_type="application/json")
