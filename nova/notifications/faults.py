"""What went wrong."""

from typing import Any

from nova.notifications.envelope import versioned
from nova.notifications.event import NotificationEvent

# The user took the request back: the operation has not failed.
CANCELLED = "Cancelled"


def exception(event: NotificationEvent) -> dict[str, Any] | None:
    """The step that failed and its error; None where nothing did."""
    step_error = event.details.step_error
    if step_error is None:
        return None
    return versioned(
        "ExceptionPayload",
        "1.1",
        {
            "exception": step_error.error,
            "exception_message": step_error.message,
            "function_name": step_error.function,
            "module_name": step_error.module,
            "traceback": step_error.traceback
            or f"{step_error.module}.{step_error.function}: {step_error.error}: {step_error.message}",
        },
    )


def failed(event: NotificationEvent) -> bool:
    """Whether the event reports an error, other than a cancellation."""
    step_error = event.details.step_error
    return step_error is not None and step_error.error != CANCELLED


def found_no_host(event: NotificationEvent) -> bool:
    """Whether the operation failed because the scheduler found no host."""
    step_error = event.details.step_error
    return step_error is not None and step_error.error == "NoValidHost"
