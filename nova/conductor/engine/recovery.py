"""What follows a step that could not be done: the legal reasons to retry, unwind or abandon, in one table.

Pure: the step runner asks, and commits what it is told.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

from nova import errors
from nova.conductor.engine.operation import Step
from nova.rpc.bus import BusFailure
from nova.structs.operation import StepAnswer


class OperationExpired(errors.StepFailed):
    text = "The operation was not done within {deadline_s:.0f} s."


class Course(Enum):
    """What the engine does next."""

    RETRY = auto()  # this step once more, after a pause
    SKIP = auto()  # the next step, as if this one were done
    UNWIND = auto()  # undo this step and those before it
    ABANDON = auto()  # nothing: the operation ends here, and what holds the server's data stays


@dataclass(frozen=True)
class Rule:
    """before, behind: the course while the step can be undone, and behind the point of no return."""

    reason: str
    applies: Callable[[errors.DomainError, Step[Any], int], bool]
    before: Course
    behind: Course


# What a host or a service has said no to is asked for this often more: a refusal seldom becomes a yes.
_TRIES_AFTER_REFUSAL = 2


def _has_tries(step: Step[Any], tries: int) -> bool:
    return tries < step.retries


def _may_come(error: errors.DomainError, step: Step[Any], tries: int) -> bool:
    """Whether another try may go better: for what did not answer it mostly does."""
    if isinstance(error, errors.Unavailable | errors.StepTimedOut):
        return _has_tries(step, tries)
    return tries < min(step.retries, _TRIES_AFTER_REFUSAL)


def _is_away(error: errors.DomainError) -> bool:
    """A service is away, and will be back. A host that is silent is another matter: there are other hosts."""
    return isinstance(error, errors.Unavailable) and not isinstance(error, errors.HostUnreachable)


# The first rule that applies counts.
RULES = (
    Rule(
        "a delete or a reset overtakes it",
        lambda error, step, tries: isinstance(error, errors.Cancelled),
        Course.UNWIND,
        Course.ABANDON,
    ),
    Rule(
        "its deadline has passed",
        lambda error, step, tries: isinstance(error, OperationExpired),
        Course.UNWIND,
        Course.ABANDON,
    ),
    Rule(
        "a service is away, and the step has tries left",
        lambda error, step, tries: _is_away(error) and _has_tries(step, tries),
        Course.RETRY,
        Course.RETRY,
    ),
    Rule("the step is optional", lambda error, step, tries: step.is_optional, Course.SKIP, Course.SKIP),
    Rule("another try may go better", _may_come, Course.UNWIND, Course.RETRY),
    Rule("none may", lambda error, step, tries: True, Course.UNWIND, Course.ABANDON),
)


def course_after(error: errors.DomainError, step: Step[Any], tries: int, is_behind_return: bool) -> Course:
    """What follows when a step has failed, tries times before this one."""
    rule = next(rule for rule in RULES if rule.applies(error, step, tries))
    return rule.behind if is_behind_return else rule.before


def is_refusal(error: Exception, answer: StepAnswer | None) -> bool:
    """Whether a guest that is there has said no, by its host."""
    is_no_answer = isinstance(error, errors.Unavailable | errors.StepTimedOut | errors.GuestNotFound)
    return answer is not None and not is_no_answer


def undo_is_retried(error: Exception, step: Step[Any], tries: int, is_late: bool) -> bool:
    """Whether an undo that failed is done again; what is given up is left to the reconcilers.

    What another service holds is released when that service is back, however long that takes until the
    operation's deadline. A host that is silent cleans up by itself when it comes back.
    """
    is_away = isinstance(error, errors.Unavailable) and not isinstance(error, errors.HostUnreachable | BusFailure)
    return _has_tries(step, tries) or (is_away and not is_late)
