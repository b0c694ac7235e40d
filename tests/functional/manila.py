"""A Shared File Systems service in memory: enough of its API v2 for servers to have shares.

A test makes shares by add(); a rule of access is active at once, unless rules_are says otherwise.
"""

import json
import uuid

import webob


class FakeManila:
    def __init__(self):
        self.shares = {}
        self.rules = {}
        self.locks = {}
        self.rules_are = "active"

    def add(self, project="project", protocol="NFS", **facts):
        share_id = str(uuid.uuid4())
        self.shares[share_id] = {
            "id": share_id,
            "project_id": project,
            "status": "available",
            "share_proto": protocol,
            **facts,
        }
        return share_id

    def addresses(self, share_id):
        """Who may reach a share."""
        return {one["access_to"] for one in self.rules.values() if one["share_id"] == share_id}

    def __call__(self, environ, start_response):
        request = webob.Request(environ)
        parts = [part for part in request.path_info.split("/") if part not in ("", "v2")]
        handler = getattr(self, "_" + parts[0].replace("-", "_"))
        status, content = handler(request, *parts[1:])
        body = b"" if content is None else json.dumps(content).encode()
        return webob.Response(status=status, body=body, content_type="application/json")(environ, start_response)

    def _shares(self, request, share_id, what=None):
        share = self.shares.get(share_id)
        project = (request.headers.get("X-Auth-Token") or "").partition(":")[2]
        if share is None or project not in (share["project_id"], "service"):
            return 404, {"itemNotFound": {"message": f"Share {share_id} could not be found."}}
        if what == "action":
            return self._act(share, request.json)
        if what == "export_locations":
            places = (
                {"path": f"192.0.2.9:/{name}/{share_id}", "preferred": name == "fast"} for name in ("slow", "fast")
            )
            return 200, {"export_locations": [{"is_admin_only": False, **place} for place in places]}
        return 200, {"share": share}

    def _act(self, share, body):
        if "allow_access" in body:
            asked = body["allow_access"]
            if asked["access_to"] in self.addresses(share["id"]):
                return 400, {"badRequest": {"message": "Share access exists already."}}
            rule = {"id": str(uuid.uuid4()), "share_id": share["id"], "state": self.rules_are, **asked}
            self.rules[rule["id"]] = rule
            return 200, {"access": rule}
        denied = body["deny_access"]
        if not denied.get("unrestrict"):
            return 403, {"forbidden": {"message": "The rule is locked."}}
        if self.rules.pop(denied["access_id"], None) is None:
            return 404, {"itemNotFound": {"message": "no such rule"}}
        return 202, None

    def _share_access_rules(self, request):
        found = [one for one in self.rules.values() if one["share_id"] == request.GET["share_id"]]
        return 200, {"access_list": found}

    def _resource_locks(self, request, lock_id=None):
        if request.method == "DELETE":
            if self.locks.pop(lock_id, None) is None:
                return 404, {"itemNotFound": {"message": "no such lock"}}
            return 204, None
        if request.method == "POST":
            lock = {"id": str(uuid.uuid4()), **request.json["resource_lock"]}
            self.locks[lock["id"]] = lock
            return 200, {"resource_lock": lock}
        names = ("resource_id", "lock_reason")
        found = [one for one in self.locks.values() if all(one[name] == request.GET[name] for name in names)]
        return 200, {"resource_locks": found}
