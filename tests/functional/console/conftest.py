"""Clouds whose consoles can be opened."""

import pytest
from consoles import Cloud, Screen


@pytest.fixture(scope="module", params=["threading", "eventlet"])
def cloud(request, tmp_path_factory):
    cloud = Cloud(tmp_path_factory.mktemp("consoles"), request.param)
    cloud.start()
    yield cloud
    cloud.close()


@pytest.fixture
def make_cloud(tmp_path):
    """A cloud with options of its own; threading unless it says otherwise."""
    made = []

    def make(options: str = "", backend: str = "threading") -> Cloud:
        directory = tmp_path / str(len(made))
        directory.mkdir()
        made.append(Cloud(directory, backend, options))
        made[-1].start()
        return made[-1]

    yield make
    for cloud in made:
        cloud.close()


@pytest.fixture
def screen():
    screen = Screen()
    yield screen
    screen.close()
