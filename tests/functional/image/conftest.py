"""A real Glance with a file store and SQLite, whose tokens name user, project and role: no Keystone needed.

Between it and a test stands a wire that can be cut after some bytes.
"""

import os
import socket
import subprocess
import sys
import threading
import urllib.request
from pathlib import Path

import pytest
from keystoneauth1 import adapter, session, token_endpoint

from nova import concurrency
from nova.clients.image import Images

SERVICE_TOKEN = "nova:service:admin"

SETTINGS = """
[DEFAULT]
enabled_backends = file:file
worker_self_reference_url = http://127.0.0.1:{port}
[glance_store]
default_backend = file
[file]
filesystem_store_datadir = {directory}/images
[os_glance_tasks_store]
filesystem_store_datadir = {directory}/tasks
[os_glance_staging_store]
filesystem_store_datadir = {directory}/staging
[database]
connection = sqlite:///{directory}/glance.sqlite
"""

PIPELINE = """
[pipeline:glance-api]
pipeline = identity context api
[filter:identity]
paste.filter_factory = identity_from_token:filter_factory
[filter:context]
paste.filter_factory = glance.api.middleware.context:ContextMiddleware.factory
[composite:api]
use = egg:Paste#urlmap
/v2: v2
[app:v2]
paste.app_factory = glance.api.v2.router:API.factory
"""

# Glance's own migrations make the same tables in ten times the time.
MAKE_TABLES = """
import sqlalchemy
from glance.db.sqlalchemy import models
models.register_models(sqlalchemy.create_engine("sqlite:///{directory}/glance.sqlite"))
"""


@pytest.fixture(scope="session")
def glance_directory(tmp_path_factory):
    return tmp_path_factory.mktemp("glance")


@pytest.fixture(scope="session")
def glance(glance_directory):
    """The port of a running Glance."""
    directory = glance_directory
    port = free_port()
    (directory / "glance-api.conf").write_text(SETTINGS.format(directory=directory, port=port))
    (directory / "glance-api-paste.ini").write_text(PIPELINE)
    environment = {
        **os.environ,
        "OS_GLANCE_CONFIG_DIR": str(directory),
        "PYTHONWARNINGS": "ignore",
        "PYTHONPATH": str(Path(__file__).parent),
    }
    programs = Path(sys.executable).parent
    subprocess.run([sys.executable, "-c", MAKE_TABLES.format(directory=directory)], env=environment, check=True)
    (directory / "gunicorn.py").write_text("import sys\nthreads = 8\ncontrol_socket_disable = True\ndel sys.argv[1:]\n")
    command = [programs / "gunicorn", "--config", directory / "gunicorn.py", "--bind", f"127.0.0.1:{port}"]
    with (directory / "log").open("w") as log:
        process = subprocess.Popen([*command, "glance.wsgi.api:application"], env=environment, stdout=log, stderr=log)
    try:
        concurrency.wait_for(lambda: answers(port) or process.poll() is not None, 60, interval_s=0.1)
        if not answers(port):
            pytest.fail(f"Glance did not start: {(directory / 'log').read_text()[-1000:]}")
        yield port
    finally:
        process.terminate()
        process.wait()


@pytest.fixture
def images(glance):
    """A client that is nobody but the service, and remembers nothing."""
    return make_client(glance)


@pytest.fixture
def make_images(glance):
    return lambda **options: make_client(glance, **options)


@pytest.fixture
def wire(glance):
    wire = Wire(glance)
    yield wire
    wire.close()


class Wire:
    """A TCP way to Glance; cut_after lists how many bytes each of the next connections brings before it breaks."""

    def __init__(self, port):
        self._port = port
        self.cut_after = []
        self.bytes_brought = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self):
        self._listener.close()

    def _accept(self):
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            far = socket.create_connection(("127.0.0.1", self._port))
            budget = self.cut_after.pop(0) if self.cut_after else None
            threading.Thread(target=self._carry, args=(near, far, None), daemon=True).start()
            threading.Thread(target=self._carry, args=(far, near, budget), daemon=True).start()

    def _carry(self, source, target, budget):
        try:
            while data := source.recv(65536):
                if budget is not None:
                    data, budget = data[:budget], budget - len(data)
                self.bytes_brought += len(data) if target is not None else 0
                target.sendall(data)
                if budget is not None and budget <= 0:
                    break
        except OSError:
            pass
        for end in (source, target):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue


def make_client(port, cache_s=0.0, **options):
    auth = token_endpoint.Token(f"http://127.0.0.1:{port}", SERVICE_TOKEN)
    return Images(
        adapter.Adapter(session.Session(auth=auth), service_type="image", connect_retries=0), cache_s=cache_s, **options
    )


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def answers(port):
    request = urllib.request.Request(f"http://127.0.0.1:{port}/v2/images", headers={"X-Auth-Token": SERVICE_TOKEN})
    try:
        return urllib.request.urlopen(request, timeout=5).status == 200
    except OSError:
        return False
