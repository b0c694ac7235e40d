"""Fixtures: a cloud with what the case's operation needs, kept for the next case when this one has passed."""

import pytest

from tests.functional.every_operation.matrix import Clouds
from tests.functional.operation_set_ups import SETUPS


@pytest.fixture(scope="module")
def clouds(make_module_cloud):
    return Clouds(make_module_cloud)


@pytest.fixture
def cloud(clouds, operation, request):
    settings = SETUPS[operation].settings
    before = request.session.testsfailed
    yield clouds.lend(settings)
    if request.session.testsfailed == before:
        clouds.empty(settings)
    else:
        clouds.discard(settings)
