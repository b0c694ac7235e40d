"""A simulated vCenter with a driver for its cluster."""

from pathlib import Path

import pytest

from tests.functional.driver_contract import kind_vmware
from tests.simulators.vcenter import simulator


@pytest.fixture(scope="session")
def vcenter_program(request):
    return simulator.build(Path(request.config.cache.mkdir("vcenter")))


@pytest.fixture
def hypervisor(vcenter_program, tmp_path):
    with kind_vmware.running(tmp_path, vcenter_program) as started:
        yield started


@pytest.fixture
def vcenter(hypervisor):
    return hypervisor.vcenter


@pytest.fixture
def driver(hypervisor):
    return hypervisor.driver()
