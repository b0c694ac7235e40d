"""Asks the conductor for an operation on the server in the path, as nearly every action does."""

import time
from typing import Any

from nova import errors
from nova.api.compute.request import Request
from nova.structs.instance import Instance

# A caller who waits for a host waits no longer; the operation goes on all the same.
_PATIENCE_S = 55.0
_QUESTION_S = 5.0


def operate(request: Request, operation: str, /, **arguments: Any) -> Instance:
    """Accept an operation; it is durable when this returns. Raises what ServerCalls.operate does."""
    return request.conductor.operate(request.context, request.server.uuid, operation, arguments)


def operate_and_wait(request: Request, operation: str, /, **arguments: Any) -> Instance:
    """Accept an operation and give the server once it is over. Raises what made it fail."""
    server_id = request.server.uuid
    request.conductor.operate(request.context, server_id, operation, arguments)
    deadline = time.monotonic() + _PATIENCE_S
    while time.monotonic() < deadline:
        outcome = request.conductor.outcome(
            request.context, server_id, request.context.request_id, operation, _QUESTION_S
        )
        if outcome is not None and outcome.error is not None:
            whole = outcome.whole_message if request.context.is_admin else None
            raise errors.by_name(outcome.error)(whole or outcome.message)
        if outcome is not None:
            return request.conductor.server(request.context, server_id)
    raise errors.Unavailable("The server's host has not answered yet; what was asked for goes on.")
