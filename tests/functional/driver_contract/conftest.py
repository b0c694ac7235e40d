"""The fixture of the suite: one hypervisor of each kind. A kind joins with a module kind_NAME.py and a line in KINDS."""

from pathlib import Path

import pytest

from tests.functional.driver_contract import kind_fake, kind_libvirt, kind_vmware, kind_xenapi
from tests.functional.libvirt.conftest import first_host, host, make_host  # noqa: F401
from tests.simulators.vcenter import simulator

KINDS = {
    "fake": lambda request, directory: kind_fake.running(directory),
    "libvirt": lambda request, directory: kind_libvirt.running(directory, request.getfixturevalue("host")),
    "xenapi": lambda request, directory: kind_xenapi.running(directory),
    "vmware": lambda request, directory: kind_vmware.running(directory, request.getfixturevalue("vcenter_program")),
}


@pytest.fixture(scope="session")
def vcenter_program(request):
    return simulator.build(Path(request.config.cache.mkdir("vcenter")))


@pytest.fixture(params=list(KINDS))
def hypervisor(request, tmp_path_factory):
    """A hypervisor with nothing of ours on it; its short directory fits into a socket's address."""
    with KINDS[request.param](request, tmp_path_factory.mktemp("hv")) as started:
        yield started


@pytest.fixture
def driver(hypervisor):
    return hypervisor.driver()
