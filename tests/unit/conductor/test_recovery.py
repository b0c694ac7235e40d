"""What follows a step that fails, before and behind its operation's point of no return."""

import pytest

from nova import errors
from nova.conductor.engine.operation import Step
from nova.conductor.engine.recovery import Course, OperationExpired, course_after, undo_is_retried
from nova.rpc.bus import BusFailure

AWAY = errors.Unavailable(service="The Image service", reason="it cannot be reached")
SILENT = errors.HostUnreachable(host="host-1")
LATE = errors.StepTimedOut(host="host-1", step="spawn", timeout_s=600)
BROKEN = errors.GuestFailed(reason="the guest does not start")


def do(op, context):
    return op


STEP = Step(do, retries=4)
OPTIONAL = Step(do, retries=4, is_optional=True)


@pytest.mark.parametrize(
    "error, step, tries, before, behind",
    [
        (errors.Cancelled(), STEP, 0, Course.UNWIND, Course.ABANDON),
        (OperationExpired(deadline_s=3600), STEP, 0, Course.UNWIND, Course.ABANDON),
        (OperationExpired(deadline_s=3600), OPTIONAL, 0, Course.UNWIND, Course.ABANDON),
        (AWAY, STEP, 0, Course.RETRY, Course.RETRY),
        (AWAY, STEP, 3, Course.RETRY, Course.RETRY),
        (AWAY, STEP, 4, Course.UNWIND, Course.ABANDON),
        # There are other hosts, until the server is on this one.
        (SILENT, STEP, 0, Course.UNWIND, Course.RETRY),
        (SILENT, STEP, 3, Course.UNWIND, Course.RETRY),
        (SILENT, STEP, 4, Course.UNWIND, Course.ABANDON),
        (LATE, STEP, 3, Course.UNWIND, Course.RETRY),
        # A refusal seldom becomes a yes.
        (BROKEN, STEP, 0, Course.UNWIND, Course.RETRY),
        (BROKEN, STEP, 1, Course.UNWIND, Course.RETRY),
        (BROKEN, STEP, 2, Course.UNWIND, Course.ABANDON),
        (BROKEN, OPTIONAL, 0, Course.SKIP, Course.SKIP),
        (AWAY, OPTIONAL, 3, Course.RETRY, Course.RETRY),
        (AWAY, OPTIONAL, 4, Course.SKIP, Course.SKIP),
    ],
)
def test_a_failed_step_is_followed_by(error, step, tries, before, behind):
    assert course_after(error, step, tries, is_behind_return=False) is before
    assert course_after(error, step, tries, is_behind_return=True) is behind


@pytest.mark.parametrize(
    "error, tries, is_late, is_retried",
    [
        (BROKEN, 3, False, True),
        (BROKEN, 4, False, False),
        # What another service holds is released when that is back, if it takes until the deadline.
        (AWAY, 100, False, True),
        (AWAY, 100, True, False),
        # A host that is silent cleans up by itself.
        (SILENT, 4, False, False),
        (BusFailure(service="nova-compute", reason="it did not answer in time"), 4, False, False),
        (RuntimeError("a defect"), 3, False, True),
        (RuntimeError("a defect"), 4, False, False),
    ],
)
def test_an_undo_that_fails_is_done_again_for_a_while(error, tries, is_late, is_retried):
    assert undo_is_retried(error, STEP, tries, is_late) is is_retried
