"""A real Cinder over SQLite and sparse files: one process, shared by the tests that need its own rules.

FakeCinder is faster and does what a test says; this one says what Cinder allows. It stands in its place: both have
add(), of(), attachments and snapshots.
"""

from tests.functional.cloud import wait
from tests.functional.real_services import SCRIPTS, RealService

CONF = """
[DEFAULT]
use_stderr = true
transport_url = local:///cinder
host = cloud
state_path = {directory}
my_ip = 127.0.0.1
api_paste_config = {directory}/api-paste.ini
resource_query_filters_file = {shipped}/resource_filters.json
glance_api_servers = {glance}
auth_strategy = noauth
enabled_backends = files
max_over_subscription_ratio = 100000
quota_volumes = -1
quota_gigabytes = -1
quota_snapshots = -1
per_volume_size_limit = -1
[files]
volume_driver = file_volumes.FileDriver
volume_backend_name = files
file_volumes_directory = {directory}/volumes
[database]
connection = sqlite:///{directory}/cinder.db?timeout=60
# What a test has written need not outlive the machine.
sqlite_synchronous = false
[oslo_concurrency]
lock_path = {directory}/locks
[nova]
auth_type = admin_token
endpoint = http://127.0.0.1:{compute}/v2.1
token = admin:service
"""

PASTE = """
[composite:osapi_volume]
use = call:cinder.api:root_app_factory
/v3: v3
[pipeline:v3]
pipeline = request_id faultwrap believing context apiv3
[filter:request_id]
paste.filter_factory = oslo_middleware.request_id:RequestId.factory
[filter:faultwrap]
paste.filter_factory = cinder.api.middleware.fault:FaultWrapper.factory
[filter:believing]
paste.filter_factory = believing:Believing.factory
[filter:context]
paste.filter_factory = context_of_cinder:Context.factory
[app:apiv3]
paste.app_factory = cinder.api.v3.router:APIRouter.factory
"""

CONTEXT = '''
"""Cinder's own middleware makes this only behind Keystone."""

import webob.dec
from cinder import context
from cinder.wsgi import common


class Context(common.Middleware):
    @webob.dec.wsgify(RequestClass=common.Request)
    def __call__(self, request):
        request.environ["cinder.context"] = context.RequestContext(
            request.headers["X-User-Id"],
            request.headers["X-Project-Id"],
            is_admin=request.headers["X-User-Id"] == "admin",
            roles=request.headers["X-Roles"].split(","),
            service_roles=["service"] if request.headers.get("X-Service-Token") else [],
        )
        return self.application
'''


class RealCinder(RealService):
    name = "Cinder"
    application = "cinder_all:application"

    def __init__(self, directory, glance):
        super().__init__(directory)
        self._glance = glance

    def configure(self):
        shipped = SCRIPTS.parent / "etc" / "cinder"
        places = {"compute": self.compute_port, "glance": self._glance.address}
        self.write("cinder.conf", CONF.format(directory=self.directory, shipped=shipped, **places))
        self.write("api-paste.ini", PASTE)
        self.write("context_of_cinder.py", CONTEXT)
        self.run(SCRIPTS / "cinder-manage", *self._configured(), "db", "sync")

    def start(self):
        super().start()
        self.ask("POST", "/types", {"volume_type": {"name": "plain"}})
        shared = {"name": "shared", "extra_specs": {"multiattach": "<is> True"}}
        self.ask("POST", "/types", {"volume_type": shared})

    def environment(self):
        return {"SERVICE_ARGUMENTS": " ".join(map(str, self._configured()))}

    def ask(self, method, path, body=None, version="3.71", token="admin:project"):
        return super().ask(
            method,
            f"/v3{path}",
            body,
            token,
            X_Service_Token="admin:service",
            OpenStack_API_Version=f"volume {version}",
        )

    def clear(self):
        """Take away what a test has left that failed."""
        for attachment_id in self.attachments:
            self.ask("DELETE", f"/attachments/{attachment_id}")
        for snapshot_id in self.snapshots:
            self.ask("DELETE", f"/snapshots/{snapshot_id}")

    def add(self, size=1, multiattach=False, bootable=False):
        kind = "shared" if multiattach else "plain"
        made = self.ask("POST", "/volumes", {"volume": {"size": size, "volume_type": kind}})["volume"]["id"]
        wait(lambda: self.volume(made)["status"] == "available", f"volume {made} is made")
        if bootable:
            self.ask("POST", f"/volumes/{made}/action", {"os-set_bootable": {"bootable": True}})
        return made

    def volume(self, volume_id):
        return self.ask("GET", f"/volumes/{volume_id}")["volume"]

    def set_status(self, volume_id, status):
        self.ask("POST", f"/volumes/{volume_id}/action", {"os-reset_status": {"status": status}})

    def places(self, volume_id):
        """Where a volume is: (server, host) of each of its attachments that is complete."""
        return sorted((one["server_id"], one["host_name"]) for one in self.volume(volume_id)["attachments"])

    def of(self, server_id):
        """The volumes a server has attachments to."""
        return sorted(one["volume_id"] for one in self.attachments.values() if one["instance"] == server_id)

    @property
    def volumes(self):
        found = self.ask("GET", "/volumes/detail?all_tenants=1")["volumes"]
        return {one["id"]: one for one in found}

    @property
    def attachments(self):
        found = self.ask("GET", "/attachments/detail?all_tenants=1")["attachments"]
        return {one["id"]: one for one in found}

    @property
    def snapshots(self):
        found = self.ask("GET", "/snapshots/detail?all_tenants=1")["snapshots"]
        return {one["id"]: one for one in found}

    def _configured(self):
        return ("--config-file", self.directory / "cinder.conf")
