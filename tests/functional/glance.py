"""An Image service in memory: enough of its API v2 for servers to boot from.

The real Glance is used end to end; here a test makes images by assignment.
"""

import json
import uuid

import webob


class FakeGlance:
    def __init__(self):
        self.images = {}
        self.data = {}
        # Whether it has no room for data now.
        self.is_full = False
        # What it takes of an upload; by default all.
        self.stores = lambda body: body

    def add(self, name="tiny", **facts):
        image_id = facts.get("id") or str(uuid.uuid4())
        self.images[image_id] = {
            "id": image_id,
            "name": name,
            "status": "active",
            "visibility": "public",
            "owner": "admin",
            "disk_format": "raw",
            "container_format": "bare",
            "size": 1024,
            "checksum": "d41d8cd98f00b204e9800998ecf8427e",
            "min_disk": 0,
            "min_ram": 0,
            "created_at": f"2026-01-01T00:{len(self.images) // 60:02}:{len(self.images) % 60:02}Z",
            "updated_at": "2026-01-01T00:00:00Z",
            "tags": [],
            "protected": False,
            **facts,
        }
        return image_id

    def hashes(self, body):
        """What it says of data that it stored, by the tests that look at it."""
        return {}

    def content(self, image_id):
        return self.data[image_id]

    def __call__(self, environ, start_response):
        return self._answer(webob.Request(environ))(environ, start_response)

    def _answer(self, request):
        parts = request.path_info.strip("/").split("/")
        if parts[:2] != ["v2", "images"]:
            return webob.Response(status=404)
        if len(parts) == 2 and request.method == "POST":
            owner = (request.headers.get("X-Auth-Token") or "").partition(":")[2]
            made = {"status": "queued", "size": None, "owner": owner, "visibility": "private", **request.json}
            image_id = self.add(**made)
            return _json(201, self.images[image_id])
        if len(parts) == 2:
            asked = {name: value for name, value in request.GET.items() if name not in ("limit", "marker")}
            found = [
                one for one in self.images.values() if asked.items() <= one.items() and not _is_hidden(request, one)
            ]
            return _json(200, {"images": found})
        image = self.images.get(parts[2])
        if image is None or _is_hidden(request, image):
            return webob.Response(status=404)
        if parts[3:] == ["file"] and request.method == "PUT" and self.is_full:
            return webob.Response(status=503)
        if parts[3:] == ["file"] and request.method == "PUT":
            self.data[parts[2]] = body = self.stores(request.body)
            image |= {"status": "active", "size": len(body), **self.hashes(body)}
            return webob.Response(status=204)
        if parts[3:] == ["file"]:
            return webob.Response(body=self.data.get(parts[2], b"\0" * image["size"]))
        if request.method == "DELETE" and image["protected"]:
            return webob.Response(status=403)
        if request.method == "DELETE":
            del self.images[parts[2]]
            return webob.Response(status=204)
        if request.method == "PATCH":
            for change in request.json:
                name = change["path"].lstrip("/").replace("~1", "/").replace("~0", "~")
                if change["op"] == "remove":
                    image.pop(name, None)
                else:
                    image[name] = change["value"]
        return _json(200, image)


def _is_hidden(request, image):
    project = (request.headers.get("X-Auth-Token") or "").partition(":")[2]
    return image["visibility"] == "private" and project not in (image["owner"], "service")


def _json(status, content):
    return webob.Response(status=status, body=json.dumps(content).encode(), content_type="application/json")
