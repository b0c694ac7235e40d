"""A real Cinder over SQLite and sparse files: one process, shared by the tests that need its own rules.

FakeCinder is faster and does what a test says; this one says what Cinder allows. It stands in its place: both have
add(), of(), attachments and snapshots.
"""

import os
import signal
import subprocess
import sys
from pathlib import Path

import requests

from tests.functional.cloud import wait
from tests.functional.nova_all import free_port

ROOT = Path(__file__).parents[2]
SCRIPTS = Path(sys.executable).parent

CONF = """
[DEFAULT]
use_stderr = true
transport_url = local:///cinder
host = cloud
state_path = {directory}
my_ip = 127.0.0.1
api_paste_config = {directory}/api-paste.ini
resource_query_filters_file = {shipped}/resource_filters.json
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
connection = sqlite:///{directory}/cinder.db
# What a test has written need not outlive the machine.
sqlite_synchronous = false
[oslo_concurrency]
lock_path = {directory}/locks
[nova]
auth_type = admin_token
endpoint = http://127.0.0.1:{compute}/v2.1
token = admin:service
"""

# Whoever a token names is believed, as the other services of these tests do.
PASTE = """
[composite:osapi_volume]
use = call:cinder.api:root_app_factory
/v3: v3
[pipeline:v3]
pipeline = request_id faultwrap believing apiv3
[filter:request_id]
paste.filter_factory = oslo_middleware.request_id:RequestId.factory
[filter:faultwrap]
paste.filter_factory = cinder.api.middleware.fault:FaultWrapper.factory
[filter:believing]
paste.filter_factory = believing:Believing.factory
[app:apiv3]
paste.app_factory = cinder.api.v3.router:APIRouter.factory
"""

BELIEVING = '''
"""Makes the context of a request from a token USER:PROJECT; the user admin is an administrator."""

import webob.dec
from cinder import context
from cinder.wsgi import common


class Believing(common.Middleware):
    @webob.dec.wsgify(RequestClass=common.Request)
    def __call__(self, request):
        user, _, project = request.headers.get("X-Auth-Token", "").partition(":")
        made = context.RequestContext(
            user,
            project,
            is_admin=user == "admin",
            roles=["admin", "member", "reader"] if user == "admin" else ["member", "reader"],
            service_roles=["service"] if request.headers.get("X-Service-Token") else [],
        )
        request.environ["cinder.context"] = made
        return self.application
'''


class RealCinder:
    """compute_port: where it tells a Compute API of volumes that have grown."""

    def __init__(self, directory: Path):
        self.directory = directory
        self.compute_port = free_port()
        self.url = f"http://127.0.0.1:{free_port()}/v3"
        self._session = requests.Session()
        self._session.trust_env = False
        self._process = None

    def start(self):
        (self.directory / "cinder.conf").write_text(
            CONF.format(directory=self.directory, shipped=SCRIPTS.parent / "etc" / "cinder", compute=self.compute_port)
        )
        (self.directory / "api-paste.ini").write_text(PASTE)
        (self.directory / "believing.py").write_text(BELIEVING)
        with (self.directory / "cinder.log").open("ab") as log:
            self._run(log, SCRIPTS / "cinder-manage", *self._configured(), "db", "sync").wait(120)
            command = [SCRIPTS / "gunicorn", "--config", ROOT / "tools" / "cloud" / "gunicorn.py"]
            address = self.url.removeprefix("http://").removesuffix("/v3")
            self._process = self._run(log, *command, "--bind", address, "cinder_all:application")
        wait(self._answers, f"Cinder answers; see {self.directory}/cinder.log", timeout_s=120)
        self.ask("POST", "/types", {"volume_type": {"name": "plain"}})
        shared = {"name": "shared", "extra_specs": {"multiattach": "<is> True"}}
        self.ask("POST", "/types", {"volume_type": shared})

    def stop(self):
        if self._process is not None:
            # Nobody waits for its last reports.
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()

    def ask(self, method, path, body=None, version="3.71", token="admin:project"):
        headers = {
            "X-Auth-Token": token,
            "X-Service-Token": "admin:service",
            "OpenStack-API-Version": f"volume {version}",
        }
        answer = self._session.request(method, self.url + path, json=body, headers=headers, timeout=60)
        assert answer.status_code < 400, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json() if answer.content else None

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

    def _answers(self):
        assert self._process.poll() is None, f"Cinder has ended; see {self.directory}/cinder.log"
        try:
            return self.ask("GET", "/volumes")
        except (requests.ConnectionError, requests.Timeout):
            return None

    def _configured(self):
        return ("--config-file", self.directory / "cinder.conf")

    def _run(self, log, *command):
        paths = [str(self.directory), str(ROOT / "tools" / "cloud" / "volumes"), str(ROOT)]
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(paths),
            "PYTHONWARNINGS": "ignore",
            "SERVICE_ARGUMENTS": " ".join(map(str, self._configured())),
        }
        return subprocess.Popen(
            list(map(str, command)),
            stdout=log,
            stderr=log,
            env=environment,
            cwd=self.directory,
            start_new_session=True,
        )
