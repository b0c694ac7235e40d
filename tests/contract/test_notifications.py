"""What is told of a real cloud has the shape of the contract's samples, event type by event type."""

import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from conftest import find_contract, parametrize
from notification_scenes import heard_in
from notification_shapes import Contract

from nova.notifications import table
from tests.functional.cloud import Cloud, make_templates

# Event types this control plane has no occasion for, and why. doc/notifications.md says so to operators.
KNOWN = {
    "aggregate.cache_images.progress": "hosts fetch images by themselves and tell nobody when they have them",
    "libvirt.connect.error": "a host that lost its libvirt fails the steps it is asked for, and that is told",
    "metrics.update": "there are no monitors: hosts are measured by what measures machines",
    "volume.usage": "volumes are measured by the Block Storage service",
}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "event_type" not in metafunc.fixturenames:
        return
    directory = find_contract(metafunc.config)
    cases: list[Any] = []
    if (directory / "notifications.json").is_file():
        contract = Contract(directory)
        cases = sorted(contract.events.keys() | contract.samples.keys())
    parametrize(metafunc, ("event_type",), cases, f"notifications under {directory}")


@pytest.fixture(scope="module")
def contract(contract_dir: Path) -> Contract:
    if not (contract_dir / "notifications.json").is_file():
        pytest.skip(f"no notifications under {contract_dir}: give --contract-dir or CONTRACT_DIR")
    return Contract(contract_dir)


@pytest.fixture(scope="module")
def heard(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Notifications by event type."""
    templates = make_templates(tmp_path_factory.mktemp("templates"))
    clouds = []

    def make(settings: str) -> Cloud:
        cloud = Cloud(tmp_path_factory.mktemp("cloud"), templates, settings)
        clouds.append(cloud)
        cloud.start()
        cloud.glance.add("tiny")
        for number, name in enumerate(("m1.tiny", "m1.small"), 1):
            flavor = {"name": name, "ram": 512 * number, "vcpus": number, "disk": number, "id": name}
            cloud.client("admin", "admin").post("/flavors", {"flavor": flavor})
        return cloud

    found: dict[str, list[dict[str, Any]]] = {}
    for one in heard_in(make):
        found.setdefault(one["event_type"], []).append(one)
    yield found
    for cloud in clouds:
        cloud.stop()


def test_has_the_shape_of_its_sample_wherever_it_is_told(event_type: str, heard: Any, contract: Contract) -> None:
    told = heard.get(event_type, [])

    if event_type in KNOWN:
        assert told == [], f"{event_type} is told after all: {KNOWN[event_type]}"
        return
    assert told, f"{event_type} is never told"
    assert {problem for one in told for problem in contract.differences(one)} == set()


def test_nothing_is_told_that_the_contract_does_not_have(heard: Any, contract: Contract) -> None:
    there_is = contract.events.keys() | contract.samples.keys()

    assert heard.keys() - there_is == set()
    assert table.event_types() - there_is == set()


def test_everything_the_table_has_is_told(heard: Any) -> None:
    assert table.event_types() - heard.keys() == set()
