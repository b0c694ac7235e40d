"""What is still done behind a point of no return when a step has used up its tries: first what can do without it.

A step that failed because somebody is away is *left*, and tried again later; one that was refused is *given up*. A
step that needs one of them shares its fate. Pure: the step runner asks, and commits what it is told.
"""

from typing import Any

import msgspec

from nova import errors
from nova.conductor.engine.operation import Operation, Step
from nova.conductor.engine.recovery import OperationExpired
from nova.db.operations import Failure


def is_missing_any(failure: Failure | None) -> bool:
    """Whether a step behind the point was left, or given up."""
    return failure is not None and bool(failure.left or failure.given_up)


def without(
    workflow: Operation[Any], step: Step[Any], failure: Failure, error: errors.DomainError, is_late: bool
) -> Failure:
    """The failure, when a step has used up its tries with an error."""
    is_left = workflow.finishes_later
    if is_left and not isinstance(error, errors.Unavailable | errors.StepTimedOut | OperationExpired):
        # Who has just come back may refuse what he takes in the next round.
        is_left = is_late and step.name not in failure.refused
        failure = msgspec.structs.replace(failure, refused=(*failure.refused, step.name) if is_late else ())
    if isinstance(error, errors.HostUnreachable | errors.StepTimedOut) and "host" in error.details:
        failure = msgspec.structs.replace(failure, hosts=tuple(sorted({*failure.hosts, error.details["host"]})))
    return _marked(workflow, failure, step, is_left)


def done(failure: Failure | None, step: Step[Any]) -> Failure | None:
    """The failure, when a step is done that was left before."""
    if failure is None or step.name not in failure.left:
        return failure
    return msgspec.structs.replace(failure, left=tuple(name for name in failure.left if name != step.name))


def following(
    workflow: Operation[Any], step: Step[Any], document: Any, failure: Failure | None, is_late: bool
) -> tuple[Step[Any] | None, Failure | None]:
    """The step to do after this one, if there is one that needs nothing that is missing; and what is missing then.

    is_late: only what was left is done, in another round.
    """
    if failure is None or not (is_late or is_missing_any(failure)):
        return workflow.after(step, document), failure
    while (step_after := workflow.after(step, document)) is not None:
        step = step_after
        if is_late and step.name not in failure.left:
            continue
        missing = _before(workflow, step, (*failure.left, *failure.given_up)) - step.able_without
        if not missing:
            return step, failure
        failure = _marked(workflow, failure, step, is_left=missing.isdisjoint(failure.given_up))
    return None, failure


def is_settled(workflow: Operation[Any], failure: Failure) -> bool:
    """Whether the server is what the operation makes of it, though steps are left."""
    return not failure.given_up and all(workflow.step(name).can_wait for name in failure.left)


def _before(workflow: Operation[Any], step: Step[Any], names: tuple[str, ...]) -> frozenset[str]:
    earlier = workflow.steps[: workflow.steps.index(step)]
    return frozenset(other.name for other in earlier if other.name in names)


def _marked(workflow: Operation[Any], failure: Failure, step: Step[Any], is_left: bool) -> Failure:
    """The failure with a step among those that are left, or given up; both in the order of the steps."""
    left, given_up = set(failure.left) - {step.name}, set(failure.given_up)
    (left if is_left else given_up).add(step.name)
    order = [other.name for other in workflow.steps]
    return msgspec.structs.replace(
        failure,
        left=tuple(name for name in order if name in left),
        given_up=tuple(name for name in order if name in given_up),
    )
