"""The embedded cloud, the distributed one, and one with Neutron, each with the tests of its mode in their order.

With `-n 2` two of them stand side by side; without, one after the other.

E2E_CLOUD names the directory of a cloud that is already up (CLOUD_DIR of tools/cloud.sh): then the
tests of its mode run against it, and leave it up.
"""

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from xdist.scheduler import LoadScopeScheduling

from tests.e2e.running_cloud import Cloud

MODES = ("embedded", "distributed", "neutron")
# Those of a test that names none: what is ours is in both. A test that is about Neutron names it.
MODES_OF_ALL_TESTS = MODES[:2]
PORT_OFFSETS = {"embedded": 1100, "distributed": 1200, "neutron": 1300}


class ByMode(LoadScopeScheduling):
    """All tests of one cloud go to one worker."""

    def _split_scope(self, nodeid: str) -> str:
        parameters = re.split(r"[\[\]-]", nodeid)
        return next((mode for mode in MODES if mode in parameters), "")


def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> ByMode:
    return ByMode(config, log)


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers", "mode(*modes): the modes of the cloud a test is for; without it, embedded and distributed"
    )
    config.addinivalue_line("markers", "late: the test cuts hosts off, with all that runs on them")
    config.addinivalue_line("markers", "last: the test takes the cloud down")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test that uses the cloud runs in every mode its marker names."""
    if "cloud" not in metafunc.fixturenames:
        return
    marker = metafunc.definition.get_closest_marker("mode")
    modes = [mode for mode in MODES if mode in (marker.args if marker else MODES_OF_ALL_TESTS)]
    metafunc.parametrize("cloud", modes, indirect=True, scope="session")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """All tests of one mode stand together, those that cut hosts off and those that take the cloud down at their end.

    A cloud that was there before gets the tests of its mode, and stays.
    """
    running = os.environ.get("E2E_CLOUD")
    chosen = [item for item in items if not running or fits(item, mode_of(Path(running)))]
    if len(chosen) < len(items):
        items[0].config.hook.pytest_deselected(items=[item for item in items if item not in chosen])
    items[:] = sorted(chosen, key=lambda item: (MODES.index(wanted_mode(item) or MODES[0]), _lateness(item)))


def _lateness(item: pytest.Item) -> int:
    return 2 if item.get_closest_marker("last") else 1 if item.get_closest_marker("late") else 0


def wanted_mode(item: pytest.Item) -> str | None:
    """The mode of the cloud that a test runs against; None when it uses no cloud."""
    callspec = getattr(item, "callspec", None)
    return callspec.params.get("cloud") if callspec else None


def fits(item: pytest.Item, mode: str) -> bool:
    return wanted_mode(item) in (None, mode) and item.get_closest_marker("last") is None


@pytest.fixture(scope="session")
def cloud(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    mode = request.param
    if running := os.environ.get("E2E_CLOUD"):
        yield Cloud(Path(running), mode, int(settings_of(Path(running))["OFFSET"]))
        return
    # Not below pytest's own directory: QEMU's user must get to the guests' disks.
    cloud = Cloud(Path(f"/var/tmp/nova-e2e-{mode}"), mode, PORT_OFFSETS[mode])
    # What an interrupted run has left.
    cloud.down()
    cloud.up()
    yield cloud
    cloud.down()


def mode_of(directory: Path) -> str:
    settings = settings_of(directory)
    return "neutron" if settings["NEUTRON"] == "1" else settings["MODE"]


def settings_of(directory: Path) -> dict[str, str]:
    """What the cloud was asked for."""
    return dict(line.split("=", 1) for line in (directory / "settings").read_text().splitlines())
