"""A real Glance, and a wire between it and a test that can be cut after some bytes."""

import socket
import threading

import pytest
from keystoneauth1 import adapter, session, token_endpoint

from nova.clients.image import Images

SERVICE_TOKEN = "nova:service:admin"


@pytest.fixture(scope="session")
def glance_directory(real_glance):
    return real_glance.directory


@pytest.fixture(scope="session")
def glance(real_glance):
    """The port of a running Glance."""
    return real_glance.port


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
