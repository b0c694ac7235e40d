"""Decisions that want the same answer of Placement share one question, and none waits for an answer that never comes."""

import threading

from nova import concurrency
from nova.scheduler.phases import Phases
from nova.scheduler.pictures import Pictures
from nova.structs.flavor import Flavor
from nova.structs.schedule import PlacementRequest


class Broken(Exception):
    pass


class Claims:
    """Promises whose claims are waited for until they are let go, and then in vain."""

    def __init__(self):
        self.is_waited_for = threading.Event()
        self.go = threading.Event()
        self.error = Broken("claims")

    def moment(self):
        return 0

    def wait_for_claims(self, without):
        self.is_waited_for.set()
        self.go.wait(60)
        if self.error:
            raise self.error


class Placement:
    def candidates(self, *args, **kwargs):
        return []


def test_all_who_wait_for_a_question_hear_that_it_could_not_be_asked():
    claims = Claims()
    pictures = Pictures(Placement(), claims, Phases(60), "scheduler")
    request = PlacementRequest(
        instance_id="server",
        project_id="project",
        user_id="user",
        flavor=Flavor(id="1", name="m1", vcpus=1, memory_mb=1),
        resources={"VCPU": 1},
    )
    told = []

    def want(holder):
        try:
            pictures.take(request, {"host": None}, True, None, holder)
        except Broken as error:
            told.append(error)

    first = concurrency.spawn(want, "first")
    assert claims.is_waited_for.wait(60)
    second = concurrency.spawn(want, "second")
    assert concurrency.wait_for(lambda: len(pictures._phases._expecting) == 2, 60, interval_s=0.01)
    claims.go.set()
    for thread in (first, second):
        thread.join(60)
        assert not thread.is_alive()
    assert told == [claims.error, claims.error]

    claims.error = None
    assert pictures.take(request, {"host": None}, True, None, "third").candidates == []
