"""Askings and claims take turns, and nobody waits for long for what Placement is late with."""

import threading

import pytest

from nova import concurrency
from nova.scheduler.phases import Phases

LONG_S = 60.0


@pytest.fixture
def aside():
    """Runs a function in a thread of its own; gives an event that tells of its end."""
    threads = []

    def run(function, *args):
        over = threading.Event()
        threads.append(concurrency.spawn(lambda: (function(*args), over.set())))
        return over

    yield run
    for thread in threads:
        thread.join(10)
        assert not thread.is_alive()


def holding(phases, *holders):
    """These hold an answer of Placement."""
    for holder in holders:
        phases.expect(holder)
    phases.begin_asking("first")
    phases.end_asking("first", holders)


def waits(over):
    return not over.wait(0.1)


def goes_on(over):
    return over.wait(10)


def test_askings_go_on_side_by_side():
    phases = Phases(LONG_S)

    phases.begin_asking("one")
    phases.begin_asking("other")


def test_claims_go_on_side_by_side():
    phases = Phases(LONG_S)
    holding(phases, "one", "other")

    phases.begin_claim("one")
    phases.begin_claim("other")


def test_asking_waits_until_every_claim_is_answered(aside):
    phases = Phases(LONG_S)
    holding(phases, "one", "other")
    phases.begin_claim("one")

    asked = aside(phases.begin_asking, "second")
    phases.leave("one")
    assert waits(asked)
    phases.begin_claim("other")
    assert waits(asked)

    phases.leave("other")
    assert goes_on(asked)


def test_claim_waits_for_the_askings_that_are_in_flight(aside):
    phases = Phases(LONG_S)
    phases.expect("one")
    phases.begin_asking("first")
    phases.begin_asking("slow")
    phases.end_asking("first", ["one"])

    claimed = aside(phases.begin_claim, "one")
    assert waits(claimed)

    phases.end_asking("slow", [])
    assert goes_on(claimed)


def test_asking_that_waits_is_in_no_claims_way(aside):
    phases = Phases(LONG_S)
    holding(phases, "one")
    asked = aside(phases.begin_asking, "second")
    assert waits(asked)

    assert goes_on(aside(phases.begin_claim, "one"))

    phases.leave("one")
    assert goes_on(asked)


def test_asking_that_hangs_is_in_no_claims_way_for_long():
    phases = Phases(0.05)
    phases.expect("one")
    phases.begin_asking("first")
    phases.begin_asking("hanging")
    phases.end_asking("first", ["one"])

    phases.begin_claim("one")


def test_claim_that_hangs_is_in_no_askings_way_for_long():
    phases = Phases(0.05)
    holding(phases, "hanging")
    phases.begin_claim("hanging")

    phases.begin_asking("second")


def test_claims_are_waited_for_as_long_as_one_after_the_other_is_answered(aside):
    phases = Phases(1.5)
    holding(phases, *range(10))

    asked = aside(phases.begin_asking, "second")
    for holder in range(10):
        assert not asked.wait(0.2)
        phases.begin_claim(holder)
        phases.leave(holder)

    assert goes_on(asked)


def test_who_left_before_the_answer_came_is_not_waited_for():
    phases = Phases(LONG_S)
    phases.expect("one")
    phases.begin_asking("first")

    phases.leave("one")
    phases.end_asking("first", ["one"])

    phases.begin_asking("second")
