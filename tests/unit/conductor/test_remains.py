"""Which steps are done without one that has used up its tries, which are left for later, and which never are."""

from nova import errors
from nova.conductor.engine import remains
from nova.conductor.engine.operation import Operation, Step, from_the_start, unchanged
from nova.db.operations import Failure
from nova.structs.instance import VmState

AWAY = errors.Unavailable(service="The Image service", reason="it cannot be reached")
BROKEN = errors.GuestFailed(reason="the guest does not start")
NOTHING = Failure(error="", message="")


def one(op, context):
    return op


def two(op, context):
    return op


def three(op, context):
    return op


def four(op, context):
    return op


WORKFLOW = Operation(
    "an operation",
    Failure,
    steps=(
        Step(one, can_wait=True),
        Step(two, despite=(one,), can_wait=True),
        Step(three),
        Step(four, despite=(one, three), can_wait=True),
    ),
    from_states=frozenset(VmState),
    succeeds_as=unchanged,
    no_return_after=from_the_start,
    finishes_later=True,
)
ONE, TWO, THREE, FOUR = WORKFLOW.steps


def after(step, failure, is_late=False):
    found, then = remains.following(WORKFLOW, step, None, failure, is_late)
    return found.name if found else None, then.left, then.given_up


def failed(step, error, failure=NOTHING, is_late=False):
    return remains.without(WORKFLOW, step, failure, error, is_late)


def test_a_step_is_done_without_one_that_it_does_not_need():
    assert after(ONE, failed(ONE, AWAY)) == ("two", ("one",), ())


def test_a_step_that_needs_one_that_is_left_is_left_too():
    assert after(TWO, failed(ONE, AWAY)) == ("four", ("one", "three"), ())


def test_a_step_that_needs_one_that_is_given_up_is_given_up_too():
    failure = failed(TWO, BROKEN, failed(ONE, AWAY))

    assert after(TWO, failure) == (None, ("one",), ("two", "three", "four"))


def test_what_was_left_alone_is_done_in_another_round():
    failure = Failure(error="", message="", left=("one", "three"))

    assert after(ONE, remains.done(failure, ONE), is_late=True) == ("three", ("three",), ())
    assert after(ONE, failure, is_late=True) == (None, ("one", "three"), ())
    assert after(THREE, remains.done(remains.done(failure, ONE), THREE), is_late=True) == (None, (), ())


def test_what_is_left_may_be_refused_once():
    assert failed(ONE, BROKEN).given_up == ("one",)
    refused = failed(ONE, BROKEN, failed(ONE, AWAY), is_late=True)

    assert refused.left == ("one",)
    assert failed(ONE, BROKEN, refused, is_late=True).given_up == ("one",)


def test_a_server_is_settled_when_all_that_is_left_can_wait():
    assert remains.is_settled(WORKFLOW, Failure(error="", message="", left=("one", "four")))
    assert not remains.is_settled(WORKFLOW, Failure(error="", message="", left=("one", "three")))
    assert not remains.is_settled(WORKFLOW, Failure(error="", message="", left=("one",), given_up=("four",)))
