"""Users who ask hosts that hang, or are down, keep nobody else waiting."""

import contextlib
import threading

import pytest

from nova import errors
from nova.conductor import host_questions
from nova.conductor.host_questions import HostQuestions


class Alive:
    def __init__(self, *hosts):
        self._hosts = hosts

    def is_up(self, host):
        return host in self._hosts


@pytest.fixture
def questions(monkeypatch):
    monkeypatch.setattr(host_questions, "_PATIENCE_S", 0.01)
    return HostQuestions(lambda host: f"the daemon of {host}", Alive("one", "two", "three"), most=6)


def waiting(questions, host, count):
    """So many questions that a host has not answered yet."""
    stack = contextlib.ExitStack()
    for _ in range(count):
        stack.enter_context(questions.to(host))
    return stack


def test_a_host_that_is_down_is_not_asked(questions):
    with pytest.raises(errors.HostUnreachable), questions.to("gone"):
        pass


def test_a_host_that_hangs_keeps_few_waiting_and_the_others_are_asked(questions):
    with waiting(questions, "one", 4):
        with pytest.raises(errors.HostUnreachable), questions.to("one"):
            pass
        with questions.to("two") as daemon:
            assert daemon == "the daemon of two"


def test_hosts_that_hang_together_keep_no_more_than_half_of_the_threads(questions):
    waits = waiting(questions, "one", 3), waiting(questions, "two", 3)
    with waits[0], waits[1], pytest.raises(errors.HostUnreachable), questions.to("three"):
        pass


def test_what_was_answered_waits_no_more(questions):
    with contextlib.suppress(errors.GuestNotFound), questions.to("one"):
        raise errors.GuestNotFound(guest="gone")
    with waiting(questions, "one", 4):
        pass
    with waiting(questions, "one", 4):
        pass


def test_who_comes_beyond_waits_for_a_place(questions, monkeypatch):
    monkeypatch.setattr(host_questions, "_PATIENCE_S", 60)
    answered = []
    waits = waiting(questions, "one", 4)

    def ask():
        with questions.to("one") as daemon:
            answered.append(daemon)

    fifth = threading.Thread(target=ask)
    fifth.start()
    waits.close()
    fifth.join()

    assert answered == ["the daemon of one"]
