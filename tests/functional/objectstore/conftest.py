"""A real Keystone, a nova-objectstore that checks signatures with it, and users."""

import subprocess

import pytest

from tests.functional.objectstore.stores import Daemon, User


@pytest.fixture(scope="session")
def store(real_keystone, tmp_path_factory):
    """The nova-objectstore that tests share: each brings a user with a project of its own."""
    daemon = Daemon(tmp_path_factory.mktemp("objectstore"), real_keystone).start()
    yield daemon
    daemon.stop()


@pytest.fixture
def make_store(real_keystone, tmp_path):
    """One with settings of its own."""
    made = []

    def make(settings="", **options):
        made.append(Daemon(tmp_path, real_keystone, settings, **options).start())
        return made[-1]

    yield make
    for daemon in made:
        daemon.stop()


@pytest.fixture
def user(real_keystone):
    return User(real_keystone)


@pytest.fixture
def s3(store, user):
    """A client of boto3 with a bucket that is called photos."""
    client = user.client(store)
    client.create_bucket(Bucket="photos")
    return client


@pytest.fixture(scope="session")
def certificate(tmp_path_factory):
    """A certificate for localhost, and its key."""
    directory = tmp_path_factory.mktemp("certificate")
    cert, key = directory / "cert.pem", directory / "key.pem"
    names = ("-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1")
    make = ("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2")
    subprocess.run([*make, *names, "-out", cert, "-keyout", key], check=True, capture_output=True)
    return cert, key
