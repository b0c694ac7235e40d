"""What went wrong."""

from typing import Any

from nova.notifications.envelope import versioned
from nova.notifications.occasion import Occasion

# The user took the request back: the operation has not failed.
CANCELLED = "Cancelled"


def exception(occasion: Occasion) -> dict[str, Any] | None:
    """The step that failed and its error; None where nothing did."""
    mishap = occasion.circumstances.mishap
    if mishap is None:
        return None
    return versioned(
        "ExceptionPayload",
        "1.1",
        {
            "exception": mishap.error,
            "exception_message": mishap.message,
            "function_name": mishap.function,
            "module_name": mishap.module,
            "traceback": mishap.traceback or f"{mishap.module}.{mishap.function}: {mishap.error}: {mishap.message}",
        },
    )


def failed(occasion: Occasion) -> bool:
    mishap = occasion.circumstances.mishap
    return mishap is not None and mishap.error != CANCELLED


def found_no_host(occasion: Occasion) -> bool:
    mishap = occasion.circumstances.mishap
    return mishap is not None and mishap.error == "NoValidHost"
