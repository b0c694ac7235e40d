"""What a daemon needs, looked at in the background: failures are named at once, and whoever hangs is one of them."""

import logging
import threading

import pytest

from nova import errors, neighbours, readiness
from nova.concurrency import wait_for
from nova.readiness import Check, Readiness


class Neighbour:
    """It answers, refuses, or lets those who ask wait."""

    def __init__(self, name):
        self.name = name
        self.is_there = True
        self.answers = threading.Event()
        self.answers.set()
        self.was_asked = threading.Event()

    def look(self):
        self.was_asked.set()
        self.answers.wait(60)
        if not self.is_there:
            raise errors.Unavailable(service=self.name, reason="it cannot be reached")

    def check(self, **options):
        return Check("neighbour", self.name, self.look, interval_s=0.02, **options)


class Clock:
    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def watch(clock):
    made = []

    def watch(*checks):
        made.append(Readiness(clock))
        made[-1].watch(checks)
        return made[-1]

    yield watch
    for one in made:
        one.stop()


@pytest.fixture
def neighbour(request):
    neighbour = Neighbour(f"Neighbour of {request.node.name}")
    yield neighbour
    neighbour.answers.set()


def test_what_is_missing_is_named_with_its_reason_until_it_is_back(watch, neighbour):
    ready = watch(neighbour.check())
    assert wait_for(lambda: ready.failing() == {}, 60)

    neighbour.is_there = False
    assert wait_for(lambda: ready.failing() == {"neighbour": "it cannot be reached"}, 60)

    neighbour.is_there = True
    assert wait_for(lambda: ready.failing() == {}, 60)


def test_nobody_is_ready_before_the_first_look(watch, neighbour):
    neighbour.answers.clear()

    assert watch(neighbour.check()).failing() == {"neighbour": "nobody has looked yet"}


def test_a_check_that_hangs_fails_and_holds_up_nobody(watch, neighbour, clock):
    ready = watch(neighbour.check())
    assert wait_for(lambda: ready.failing() == {}, 60)

    neighbour.answers.clear()
    neighbour.was_asked.clear()
    assert neighbour.was_asked.wait(60)
    clock.now += 9

    assert ready.failing() == {"neighbour": "it does not answer"}
    neighbour.answers.set()
    assert wait_for(lambda: ready.failing() == {}, 60)


def test_a_daemon_that_starts_waits_for_its_start(watch, neighbour):
    ready = watch(neighbour.check())
    ready.hold("start", "it is starting")
    assert wait_for(lambda: ready.failing() == {"start": "it is starting"}, 60)

    ready.release("start")

    assert ready.failing() == {}
    assert list(ready.state()) == ["neighbour"]


def test_what_two_components_need_is_looked_at_once_and_two_databases_are_two(watch, neighbour):
    other = Neighbour("Another")
    other.is_there = False

    ready = watch(neighbour.check(), neighbour.check(), other.check())

    assert wait_for(lambda: ready.failing() == {"neighbour-2": "it cannot be reached"}, 60)
    assert list(ready.state()) == ["neighbour", "neighbour-2"]


def test_the_log_tells_once_of_one_that_goes_and_once_of_its_return(neighbour, caplog, monkeypatch):
    caplog.set_level(logging.INFO, "nova.neighbours")
    monkeypatch.setattr(neighbours.time, "monotonic", clock := Clock())

    for _ in range(100):
        neighbours.lost(neighbour.name, "it cannot be reached")
        clock.now += 0.1
    # Asked for before it went.
    neighbours.answered(neighbour.name)
    assert neighbour.name in neighbours.away()
    clock.now += 5
    for _ in range(100):
        neighbours.answered(neighbour.name)

    told = [record.getMessage() for record in caplog.records if neighbour.name in record.getMessage()]
    assert told == [f"{neighbour.name} is away: it cannot be reached", f"{neighbour.name} is back after 15 s"]


def test_whoever_is_behind_one_that_is_away_is_not_told_of(neighbour, caplog, monkeypatch):
    caplog.set_level(logging.INFO, "nova.neighbours")
    monkeypatch.setattr(neighbours.time, "monotonic", clock := Clock())
    behind = f"What is behind {neighbour.name}"

    neighbours.lost(neighbour.name, "it cannot be reached")
    neighbours.lost(behind, "it does not answer", behind=neighbour.name)
    clock.now += 5
    neighbours.answered(neighbour.name)
    neighbours.answered(behind)

    assert behind not in caplog.text
    # Others of this process may be away.
    assert not {behind, neighbour.name} & set(neighbours.away())


def test_a_disk_with_too_little_room_is_named(tmp_path):
    readiness.disk(str(tmp_path / "not" / "made" / "yet"), 0).look()

    with pytest.raises(errors.Unavailable, match="MiB left"):
        readiness.disk(str(tmp_path), 1 << 40).look()
