"""One step of one operation, as the engine has it in hand."""

from dataclasses import dataclass
from datetime import datetime
from typing import Generic

from nova import errors
from nova.conductor.engine.operation import Document, Operation, Step
from nova.db.operations import Failure, Lease
from nova.structs.operation import StepAnswer


@dataclass(frozen=True)
class Turn(Generic[Document]):
    """What the step is, what it works on, and the host's answer to it, if that is here."""

    workflow: Operation[Document]
    held: Lease
    step: Step[Document]
    document: Document
    answer: StepAnswer | None
    started: datetime

    def failure(
        self, error: errors.DomainError, trace: str | None = None, resume_at: Step[Document] | None = None
    ) -> Failure:
        """Why the operation does not simply go on after this step, with what went before. trace: of a defect."""
        message, whole, details = error.for_users, error.message, trace or error.for_administrators
        earlier = self.held.failure or Failure(error="", message="")
        if self.held.failure is not None:
            message = _with_history(message, earlier.message)
            whole = _with_history(whole, earlier.whole_message or earlier.message)
            if details or earlier.details:
                details = _with_history(details or error.message, earlier.details or earlier.message)
        return Failure(
            error=type(error).__name__,
            message=message,
            whole_message=None if whole == message else whole,
            details=details,
            resume_at=None if resume_at is None else resume_at.name,
            status=error.status,
            function=self.step.name,
            module=self.step.do.__module__,
            left=earlier.left,
            given_up=earlier.given_up,
            is_settled=earlier.is_settled,
            rounds=earlier.rounds,
        )


def _with_history(reason: str, earlier: str) -> str:
    """A failure after others: the last reason first, for whoever reads only the beginning."""
    return reason if earlier == reason else f"{reason} Before that: {earlier}"
