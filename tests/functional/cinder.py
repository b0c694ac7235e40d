"""A Block Storage service in memory: enough of its API v3 for servers to have volumes.

A test makes volumes by add(); volumes asked for over HTTP are available at once. A volume with a project is not there
for users of any other.
"""

import json
import uuid

import webob


class FakeCinder:
    def __init__(self):
        self.volumes = {}
        self.attachments = {}
        self.snapshots = {}
        # The status a volume has after an image was to be written to it.
        self.reimaged_are = "reserved"
        # Why no image can be written to a volume.
        self.refuses_images: str | None = None
        # The status a volume has when it was asked for.
        self.volumes_are = "available"
        self.refused_deletions = 0
        # What happens to a volume right after its deletion was refused.
        self.after_refusal = lambda volume: None
        # The status a snapshot has when it was asked for.
        self.snapshots_are = "available"

    def add(self, size=1, **facts):
        volume_id = str(uuid.uuid4())
        self.volumes[volume_id] = {
            "id": volume_id,
            "name": "",
            "description": None,
            "status": self.volumes_are,
            "size": size,
            "bootable": "false",
            "multiattach": False,
            "availability_zone": "nova",
            "volume_type": None,
            "snapshot_id": None,
            "created_at": "2026-01-01T00:00:00.000000",
            "metadata": {},
            "attachments": [],
            **facts,
        }
        return volume_id

    def add_snapshot(self, volume_id):
        """A snapshot that the service makes with the help of the volume's host."""
        snapshot_id = str(uuid.uuid4())
        self.snapshots[snapshot_id] = {"id": snapshot_id, "volume_id": volume_id, "status": "creating", "size": 1}
        return snapshot_id

    def of(self, server_id):
        """The volumes a server has attachments to."""
        return sorted(one["volume_id"] for one in self.attachments.values() if one["instance"] == server_id)

    def __call__(self, environ, start_response):
        request = webob.Request(environ)
        parts = [part for part in request.path_info.split("/") if part not in ("", "v3")]
        handler = getattr(self, "_" + parts[0])
        status, content = handler(request, *parts[1:]) if ".." not in parts else (404, None)
        body = b"" if content is None else json.dumps(content).encode()
        return webob.Response(status=status, body=body, content_type="application/json")(environ, start_response)

    def _volumes(self, request, volume_id=None, action=None):
        if volume_id is None:
            asked = request.json["volume"]
            made = self.add(asked["size"], bootable=str("imageRef" in asked or "snapshot_id" in asked).lower())
            self.volumes[made] |= {"metadata": asked.get("metadata", {}), "snapshot_id": asked.get("snapshot_id")}
            return 202, {"volume": self.volumes[made]}
        if volume_id == "detail":
            return 200, {"volumes": list(self.volumes.values())}
        volume = self.volumes.get(volume_id)
        if volume is None or _is_hidden(request, volume):
            return 404, {"itemNotFound": {"message": f"Volume {volume_id} could not be found."}}
        if action is not None:
            return self._act(volume, request.json)
        if request.method == "DELETE":
            has_snapshots = any(one["volume_id"] == volume_id for one in self.snapshots.values())
            if volume["status"] not in ("available", "error") or has_snapshots:
                self.refused_deletions += 1
                self.after_refusal(volume)
                return 400, {"badRequest": {"message": "Invalid volume: it is in use, or has snapshots."}}
            del self.volumes[volume_id]
            return 202, None
        return 200, {"volume": volume}

    def _act(self, volume, body):
        if "os-begin_detaching" in body:
            if volume["status"] != "in-use":
                return 400, {"badRequest": {"message": "Invalid volume: it is not in use."}}
            volume["status"] = "detaching"
        if "os-extend" in body:
            if body["os-extend"]["new_size"] <= volume["size"]:
                return 400, {"badRequest": {"message": "New size for extend must be greater than current size."}}
            volume["size"] = body["os-extend"]["new_size"]
        if "os-roll_detaching" in body:
            volume["status"] = "in-use"
        if "os-reimage" in body and self.refuses_images:
            return 400, {"badRequest": {"message": self.refuses_images}}
        if "os-reimage" in body:
            if volume["status"] != "reserved":
                return 400, {"badRequest": {"message": "Invalid volume: it must be available or reserved."}}
            volume["reimaged_with"] = body["os-reimage"]["image_id"]
            volume["status"] = self.reimaged_are
        return 202, None

    def _attachments(self, request, attachment_id=None, action=None):
        if attachment_id is None:
            return self._reserve(request.json["attachment"])
        if attachment_id == "detail":
            wanted = {"instance_id": "instance", "volume_id": "volume_id"}
            found = list(self.attachments.values())
            for name, field in wanted.items():
                if name in request.GET:
                    found = [one for one in found if one[field] == request.GET[name]]
            return 200, {"attachments": found}
        attachment = self.attachments.get(attachment_id)
        if attachment is None:
            return 404, {"itemNotFound": {"message": "no such attachment"}}
        volume = self.volumes[attachment["volume_id"]]
        if request.method == "DELETE":
            if attachment["connection_info"] and not request.headers.get("X-Service-Token"):
                return 409, {"conflictingRequest": {"message": "Detach volume from its server by the Compute API."}}
            del self.attachments[attachment_id]
            self._settle(volume)
            return 200, {"attachments": []}
        if action is not None:
            attachment["status"] = "attached"
            volume["status"] = "in-use"
            return 204, None
        others = (one for one in self.attachments.values() if one["volume_id"] == volume["id"] and one != attachment)
        if not volume["multiattach"] and any(one["connection_info"] for one in others):
            message = f"Resource conflict: duplicate connectors detected on volume {volume['id']}"
            return 409, {"conflictingRequest": {"message": message}}
        self._connect(attachment, volume, request.json["attachment"]["connector"])
        return 200, {"attachment": attachment}

    def _connect(self, attachment, volume, connector):
        host = connector["host"]
        attachment |= {"host": host, "status": "attaching"}
        attachment["connection_info"] = {
            "driver_volume_type": "fake",
            "volume": volume["id"],
            "host": host,
            "name": f"volume-{volume['id']}",
        }
        volume["status"] = "attaching"

    def _reserve(self, asked):
        volume = self.volumes.get(asked["volume_uuid"])
        if volume is None:
            return 404, {"itemNotFound": {"message": "no such volume"}}
        others = {one["instance"] for one in self.attachments.values() if one["volume_id"] == volume["id"]}
        is_free = volume["status"] == "available" or (volume["multiattach"] and volume["status"] == "in-use")
        is_own = asked["instance_uuid"] in others and volume["status"] in ("in-use", "reserved")
        if not is_free and not is_own:
            return 400, {"badRequest": {"message": f"Volume {volume['id']} is {volume['status']}."}}
        made = {
            "id": str(uuid.uuid4()),
            "volume_id": volume["id"],
            "instance": asked["instance_uuid"],
            "status": "reserved",
            "connection_info": {},
        }
        self.attachments[made["id"]] = made
        if is_free:
            volume["status"] = "reserved"
        if asked.get("connector"):
            self._connect(made, volume, asked["connector"])
        return 200, {"attachment": made}

    def _settle(self, volume):
        states = {one["status"] for one in self.attachments.values() if one["volume_id"] == volume["id"]}
        # The first by the alphabet says what the volume is, as in the real one.
        volume["status"] = min(states, default="available").replace("attached", "in-use")

    def _snapshots(self, request, snapshot_id=None, action=None):
        if snapshot_id is None:
            asked = request.json["snapshot"]
            if asked["volume_id"] not in self.volumes:
                return 404, {"itemNotFound": {"message": f"Volume {asked['volume_id']} could not be found."}}
            size = self.volumes[asked["volume_id"]]["size"]
            facts = {"status": self.snapshots_are, "size": size, "created_at": "2026-01-01T00:00:00.000000"}
            made = {"id": str(uuid.uuid4()), **facts, **asked}
            self.snapshots[made["id"]] = made
            return 202, {"snapshot": made}
        if snapshot_id == "detail":
            return 200, {"snapshots": list(self.snapshots.values())}
        found = self.snapshots.get(snapshot_id)
        if found is not None and action is not None:
            found |= request.json["os-update_snapshot_status"]
            return 202, None
        if found is None:
            return 404, {"itemNotFound": {"message": "no such snapshot"}}
        if request.method == "DELETE":
            del self.snapshots[snapshot_id]
            return 202, None
        return 200, {"snapshot": found}


def _is_hidden(request, record):
    project = (request.headers.get("X-Auth-Token") or "").partition(":")[2]
    return record.get("project") not in (None, project) and project not in ("service", "admin")
