"""Runs every gabbi file of the contract's placement/gabbits against Placement, one pytest test per request."""

import json
import unittest
from pathlib import Path
from typing import Any

import pytest
from gabbi import handlers, suitemaker, utils

from tests.contract.conftest import find_contract, parametrize
from tests.contract.placement_fixtures import Cloud, make_fixture_module

CLOUD = Cloud()


class GabbiFile:
    """One file: its requests in order, and the fixtures that stand around them."""

    active: "GabbiFile | None" = None

    def __init__(self, path: Path, fixtures: Any) -> None:
        self.name = path.stem
        self.suite = suitemaker.test_suite_from_dict(
            unittest.TestLoader(),
            path.stem.replace("_", "-"),
            utils.load_yaml(yaml_file=str(path)),
            str(path.parent),
            "placement",
            80,
            fixtures,
            lambda: CLOUD,
            test_loader_name="contract",
            handlers=[handler() for handler in handlers.RESPONSE_HANDLERS],
        )

    def enter(self) -> None:
        """Stand the fixtures up, once those of the file before are gone."""
        if GabbiFile.active is not self:
            GabbiFile.leave()
            self.suite.start(unittest.TestResult(), list(self.suite))
            GabbiFile.active = self

    @staticmethod
    def leave() -> None:
        if GabbiFile.active is not None:
            GabbiFile.active.suite.stop()
            GabbiFile.active = None


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    directory = find_contract(metafunc.config) / "placement"
    cases = []
    if directory.is_dir():
        fixtures = make_fixture_module(json.loads((directory / "fixtures.json").read_text()), CLOUD)
        for path in sorted(directory.glob("gabbits/*.yaml")):
            gabbi_file = GabbiFile(path, fixtures)
            cases.extend(
                pytest.param(gabbi_file, test, id=f"{path.name}:{test.test_data['name']}") for test in gabbi_file.suite
            )
    parametrize(metafunc, ("gabbi_file", "request_test"), cases, f"gabbi files under {directory}")


@pytest.fixture(scope="module", autouse=True)
def _clean_up():
    yield
    GabbiFile.leave()


def test_answers_as_the_contract_says(gabbi_file: GabbiFile, request_test: unittest.TestCase) -> None:
    gabbi_file.enter()

    result = unittest.TestResult()
    request_test(result)

    for _, trace in [*result.errors, *result.failures]:
        pytest.fail(trace, pytrace=False)
    for _, reason in result.skipped:
        pytest.skip(reason)
