"""Fixtures: a running cloud, with and without a host, a flavor and an image."""

import pytest

from nova import concurrency
from nova.http.limits import Limits
from nova.http.server import HttpServer
from nova.http.service import listen
from tests.functional.cloud import Cloud, make_templates
from tests.functional.glance import FakeGlance
from tests.functional.nova_all import ImageService, free_port
from tests.functional.real_cinder import RealCinder
from tests.functional.real_glance import RealGlance
from tests.functional.real_keystone import RealKeystone
from tests.functional.real_neutron import RealNeutron

_stopping = []
# Files that take minutes begin first: one that began last would be waited for alone.
_LONG = (
    "test_promises.py",
    "test_nova_all.py",
    "test_beside_real_services.py",
    "test_accepted_in_bad_weather.py",
    "test_packages.py",
    "test_debian_package.py",
    "test_commands.py",
)


def pytest_collection_modifyitems(items):
    items.sort(key=lambda item: item.path.name not in _LONG)


@pytest.fixture(scope="session")
def templates(tmp_path_factory):
    return make_templates(tmp_path_factory.mktemp("templates"))


@pytest.fixture
def make_cloud(tmp_path_factory, templates):
    """Start clouds with settings of their own; they are stopped at the end."""
    yield from _clouds(tmp_path_factory, templates)


@pytest.fixture(scope="module")
def make_module_cloud(tmp_path_factory, templates):
    """The same for clouds that a whole module shares."""
    yield from _clouds(tmp_path_factory, templates)


def _clouds(tmp_path_factory, templates):
    made = []

    def make(settings="", hosts=()):
        """hosts: the names of those it begins with, on a network."""
        cloud = Cloud(tmp_path_factory.mktemp("cloud"), templates, settings)
        made.append(cloud)
        cloud.start()
        cloud.glance.add("tiny")
        admin = cloud.client("admin", "admin")
        for number, (name, ram) in enumerate((("m1.tiny", 512), ("m1.small", 2048)), 1):
            flavor = {"name": name, "ram": ram, "vcpus": number, "disk": number, "id": name}
            assert admin.post("/flavors", {"flavor": flavor}).status_code == 200
        for host in hosts:
            cloud.add_host(host)
        if hosts:
            cloud.add_network()
        return cloud

    yield make
    # What a step under way still waits for, the next test need not wait for.
    for cloud in made:
        _stopping.append(concurrency.spawn(cloud.stop))


@pytest.fixture(scope="session", autouse=True)
def everything_stops():
    yield
    for thread in _stopping:
        thread.join()


@pytest.fixture
def image_service():
    """For daemons that are processes of their own."""
    yield from _image_services()


@pytest.fixture(scope="module")
def image_service_of_module():
    yield from _image_services()


def _image_services():
    glance = FakeGlance()
    port = free_port()
    server = HttpServer(listen("127.0.0.1", port), glance, Limits(requests=10, connections_per_source=0))
    server.start()
    yield ImageService(port, glance.add("tiny"))
    server.stop()


@pytest.fixture
def cloud(make_cloud):
    return make_cloud()


@pytest.fixture
def user(cloud):
    """An administrator with servers of a project's."""
    return cloud.client("admin", "project")


@pytest.fixture(params=["nova-network", "neutron"])
def cloud_on_networks(request, make_cloud):
    """A cloud with either of the two that may serve its networks."""
    cloud = make_cloud()
    if request.param == "neutron":
        cloud.stand_beside(neutron=request.getfixturevalue("real_neutron"))
    return cloud


@pytest.fixture(scope="session")
def real_cinder(tmp_path_factory, real_glance):
    yield from _running(RealCinder(tmp_path_factory.mktemp("cinder"), real_glance))


@pytest.fixture(scope="session")
def real_glance(tmp_path_factory):
    yield from _running(RealGlance(tmp_path_factory.mktemp("glance")))


@pytest.fixture(scope="session")
def real_keystone(tmp_path_factory):
    yield from _running(RealKeystone(tmp_path_factory.mktemp("keystone")))


@pytest.fixture(scope="session")
def real_neutron(tmp_path_factory):
    yield from _running(RealNeutron(tmp_path_factory.mktemp("neutron")))


def _running(service):
    try:
        service.start()
        yield service
    finally:
        service.stop()
