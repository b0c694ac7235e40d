"""What a request made in other services before it was refused goes again, and stays when it may have been accepted."""

import pytest

from nova import concurrency, errors
from nova.clients.rollback import Rollback
from nova.rpc.bus import BusFailure, NotAnswered

NO_ANSWER = {"service": "nova-conductor", "reason": "it did not answer in time"}


class Service:
    """Where things are made; away for the first so many deletions."""

    def __init__(self, away=0):
        self.things = []
        self._away = away

    def make(self, name, rollback):
        self.things.append(name)
        rollback.made(name, self.delete, name)

    def delete(self, name):
        if self._away:
            self._away -= 1
            raise errors.Unavailable(**NO_ANSWER)
        self.things.remove(name)


def left_after(error, service):
    with pytest.raises(type(error)), Rollback() as rollback:
        service.make("snapshot", rollback)
        service.make("image", rollback)
        raise error
    return service.things


def test_what_was_made_for_a_refused_request_is_gone_when_the_answer_is_given():
    assert left_after(errors.Invalid("no"), Service()) == []


@pytest.mark.parametrize(
    "error", [NotAnswered(**NO_ANSWER), errors.OutcomeUnknown(service="The database")], ids=["call", "commit"]
)
def test_what_was_made_stays_when_the_request_may_have_been_accepted(error):
    assert left_after(error, Service()) == ["snapshot", "image"]


@pytest.mark.parametrize("error", [BusFailure(**NO_ANSWER), errors.Unavailable(**NO_ANSWER)], ids=["bus", "service"])
def test_what_was_made_goes_when_the_request_reached_nobody(error):
    things = left_after(error, Service())

    wait(lambda: things == [])


def test_a_service_that_is_away_for_a_moment_is_asked_again():
    things = left_after(errors.Invalid("no"), Service(away=1))

    wait(lambda: things == [])


def test_nothing_goes_once_it_is_kept():
    service = Service()
    with Rollback() as rollback:
        service.make("image", rollback)
        rollback.keep()

    assert service.things == ["image"]


def wait(is_so):
    assert concurrency.wait_for(is_so, 60, interval_s=0.01)
