"""nova-objectstore as a process of its own, and whoever uses it."""

import os
import signal
import subprocess
import sys
import uuid

import boto3
import requests
from botocore.config import Config

from tests.functional.cloud import wait
from tests.functional.nova_all import free_port

MAIN = "import sys; from nova.cmd.objectstore import main; sys.exit(main())"
REGION = "RegionOne"


class Daemon:
    """A nova-objectstore with settings of its own. kill() ends it as a power cut would."""

    def __init__(self, directory, keystone, settings=""):
        self.directory = directory
        self.port = free_port()
        self.scheme = "https" if "enabled_ssl_apis" in settings else "http"
        self.log = directory / "log"
        self.buckets = directory / "buckets"
        (directory / "nova.conf").write_text(
            f"[DEFAULT]\nstate_path = {directory}\nbuckets_path = {self.buckets}\nlog_file = {self.log}\n"
            f"s3_listen = 127.0.0.1\ns3_listen_port = {self.port}\ns3_workers = 1\n{settings}\n"
            f"{keystone.section('keystone_authtoken')}"
        )
        self.process = None

    @property
    def url(self):
        return f"{self.scheme}://localhost:{self.port}"

    def start(self):
        command = [sys.executable, "-c", MAIN, "--config-file", str(self.directory / "nova.conf")]
        self.process = subprocess.Popen(command, start_new_session=True)
        wait(self._answers, f"nova-objectstore answers; see {self.log}")
        return self

    def kill(self):
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
            self.process.wait(timeout=60)

    def files(self):
        """Every file that holds an object's bytes."""
        return [path for path in self.buckets.glob("*/data/*/*") if path.is_file()]

    def _answers(self):
        assert self.process.poll() is None, f"nova-objectstore has ended; see {self.log}"
        try:
            return requests.get(self.url, timeout=60, verify=False).status_code == 403
        except requests.ConnectionError:
            return False


class User:
    """Somebody with a key pair of their own."""

    def __init__(self, keystone, role="member", project_id=None):
        name = f"user-{uuid.uuid4().hex[:8]}"
        self.project_id, self.id = keystone.add_user(name, role, project_id)
        self.access, self.secret = keystone.add_credential(self.project_id, self.id)

    def client(self, daemon, verify=None, secret=None, **options):
        """boto3's, which tries nothing twice."""
        return boto3.client(
            "s3",
            endpoint_url=daemon.url,
            aws_access_key_id=self.access,
            aws_secret_access_key=secret or self.secret,
            region_name=REGION,
            verify=verify,
            config=Config(s3={"addressing_style": "path"}, retries={"total_max_attempts": 1}, **options),
        )
