"""Consoles that can be opened."""

import pytest

from tests.functional.console.consoles import Consoles, Screen


@pytest.fixture(scope="module", params=["threading", "eventlet"])
def consoles(request, tmp_path_factory):
    consoles = Consoles(tmp_path_factory.mktemp("consoles"), request.param)
    consoles.start()
    yield consoles
    consoles.close()


@pytest.fixture
def make_consoles(tmp_path):
    """A cloud with options of its own; threading unless it says otherwise."""
    made = []

    def make(options: str = "", backend: str = "threading") -> Consoles:
        directory = tmp_path / str(len(made))
        directory.mkdir()
        made.append(Consoles(directory, backend, options))
        made[-1].start()
        return made[-1]

    yield make
    for consoles in made:
        consoles.close()


@pytest.fixture
def screen():
    screen = Screen()
    yield screen
    screen.close()
