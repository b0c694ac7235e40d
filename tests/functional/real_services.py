"""Services of a real cloud, each a process of its own that the tests of a run share.

The stand-ins of these tests are faster and do what a test says; these say what the services allow. They believe a
token USER:PROJECT or USER:PROJECT:ROLES, as the stand-ins do.
"""

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import requests

from nova.http.limits import Limits
from nova.http.server import HttpServer
from nova.http.service import listen
from tests.functional.cloud import wait
from tests.functional.nova_all import free_port

ROOT = Path(__file__).parents[2]
SCRIPTS = Path(sys.executable).parent

BELIEVING = '''
"""Makes the headers of keystonemiddleware from a token USER:PROJECT[:ROLES]; the user admin is an administrator."""


class Believing:
    def __init__(self, application):
        self.application = application

    @classmethod
    def factory(cls, global_conf, **local_conf):
        return cls

    def __call__(self, environ, start_response):
        user, project, roles, *_ = (environ.get("HTTP_X_AUTH_TOKEN", "") + ":::").split(":")
        environ["HTTP_X_USER_ID"] = user
        environ["HTTP_X_PROJECT_ID"] = project
        usual = "admin,member,reader" if user == "admin" else "member,reader"
        if project == "service":
            usual += ",service"
        environ.setdefault("HTTP_X_ROLES", roles or usual)
        environ["HTTP_X_IDENTITY_STATUS"] = "Confirmed"
        return self.application(environ, start_response)
'''


class RealService:
    """One service behind gunicorn. configure() writes its files; application is what gunicorn serves.

    compute_port: where it finds the Compute API, which is that of the cloud that stands beside it.
    """

    name = ""
    application = ""

    def __init__(self, directory: Path):
        self.directory = directory
        self.port = free_port()
        self.address = f"http://127.0.0.1:{self.port}"
        self._session = requests.Session()
        self._session.trust_env = False
        self._process = None
        self._compute = self._placement = None
        self.compute_port = free_port()
        limits = Limits(requests=10, connections_per_source=0)
        self._for_compute = HttpServer(listen("127.0.0.1", self.compute_port), self._ask_compute, limits)

    def start(self):
        self._for_compute.start()
        self.configure()
        self.write("believing.py", BELIEVING)
        gunicorn = (SCRIPTS / "gunicorn", "--config", ROOT / "tools" / "cloud" / "gunicorn.py")
        with (self.directory / "log").open("ab") as log:
            self._process = self._begin(log, *gunicorn, "--bind", f"127.0.0.1:{self.port}", self.application)
        wait(self._answers, f"{self.name} answers; see {self.directory}/log")

    def stop(self):
        if self._process is not None:
            # Nobody waits for its last reports.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        self._for_compute.stop()

    def stand_beside(self, compute, placement):
        """It tells these APIs, WSGI applications, from now on; what was left of others goes."""
        # Cinder asks about the attachments that go.
        self._compute, self._placement = compute, placement
        self.clear()

    def clear(self):
        raise NotImplementedError

    def configure(self):
        raise NotImplementedError

    def write(self, name, text):
        (self.directory / name).write_text(text)

    def run(self, *command):
        """Run a program to its end."""
        with (self.directory / "log").open("ab") as log:
            process = self._begin(log, *command)
        assert process.wait(120) == 0, f"{command} failed; see {self.directory}/log"

    def ask(self, method, path, body=None, token="admin:project", **headers):
        """The answer's content. headers: with underscores for dashes."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        answer = self._session.request(
            method, self.address + path, json=body, headers={"X-Auth-Token": token, **named}, timeout=60
        )
        assert answer.status_code < 400, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json() if answer.content else None

    def _ask_compute(self, environ, start_response):
        path = environ["PATH_INFO"]
        if not path.startswith("/placement"):
            return self._compute(environ, start_response)
        there = {**environ, "SCRIPT_NAME": "/placement", "PATH_INFO": path.removeprefix("/placement")}
        return self._placement(there, start_response)

    def _answers(self):
        assert self._process.poll() is None, f"{self.name} has ended; see {self.directory}/log"
        try:
            return self._session.get(self.address, timeout=60).status_code < 500
        except (requests.ConnectionError, requests.Timeout):
            return False

    def _begin(self, log, *command):
        paths = [str(self.directory), str(ROOT / "tools" / "cloud" / "volumes"), str(ROOT)]
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(paths),
            "PYTHONWARNINGS": "ignore",
            **self.environment(),
        }
        command = list(map(str, command))
        return subprocess.Popen(
            command, stdout=log, stderr=log, env=environment, cwd=self.directory, start_new_session=True
        )

    def environment(self):
        return {}
