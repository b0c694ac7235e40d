"""Requests made up from the served OpenAPI document: never a 500, never a status it does not declare.

COMPUTE_FUZZ_EXAMPLES: how many requests per operation; the default is for every run, hundreds for a night.
"""

import os
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings

from nova.api.compute import MODULES, openapi_document
from nova.console.auth import ConsoleAuthService
from nova.http.declaration import collect
from tests.functional.cloud import Cloud, make_templates

_EXAMPLES = int(os.environ.get("COMPUTE_FUZZ_EXAMPLES", "2"))
_VERSIONS = (1, 104)
# A stream that lasts as long as its reader is no request among others.
_OPERATIONS = [one for one in collect(*MODULES) if one.path != "/servers/events"]
_SETTINGS = settings(
    max_examples=_EXAMPLES,
    deadline=None,
    database=None,
    derandomize=True,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Any:
    cloud = Cloud(tmp_path_factory.mktemp("cloud"), make_templates(tmp_path_factory.mktemp("templates")))
    cloud.start()
    cloud.glance.add("tiny")
    consoleauth = ConsoleAuthService(cloud.conf, cloud.bus, cloud.conductor_calls)
    consoleauth.start()
    yield cloud
    consoleauth.stop()
    cloud.stop()


def _fuzz(version: int) -> Any:
    document = openapi_document.document(_OPERATIONS, version, "http://compute")
    schema = schemathesis.openapi.from_dict(document)

    @schema.parametrize()
    @_SETTINGS
    def test(case: Any, cloud: Cloud) -> None:
        client = cloud.client("admin", "admin", f"2.{version}")
        wanted = case.as_transport_kwargs(base_url="http://compute/v2.1", headers=client.headers)

        answer = cloud.transport.request(**wanted)

        declared = document["paths"][case.operation.path][case.operation.method.lower()]["responses"]
        assert answer.status_code != 500
        assert str(answer.status_code) in declared, f"{answer.status_code} {answer.text[:200]}"

    return test


test_oldest_version = _fuzz(_VERSIONS[0])
test_newest_version = _fuzz(_VERSIONS[1])
