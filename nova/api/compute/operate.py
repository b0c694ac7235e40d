"""Asks the conductor for an operation on the server in the path, as nearly every action does."""

import threading
import time
from collections.abc import Callable
from typing import Any

from nova import errors
from nova.api.compute.request import Request
from nova.rpc.conductor import ConductorCalls
from nova.structs.context import Context
from nova.structs.instance import Instance

# A caller who waits for a host waits no longer; the operation goes on all the same.
_PATIENCE_S = 55.0
_QUESTION_S = 5.0
# Clients do not wait long for an answer, and a server has one operation at a time.
_TURN_S = 20.0
_TURN_PAUSE_S = 0.2
# Of requests that wait for a turn; others are refused at once: whoever waits keeps a thread from other users.
_waiters = threading.BoundedSemaphore(4)
# For a step that is one question to another service.
_STEP_S = 2.0


def operate(request: Request, operation: str, /, **arguments: Any) -> Instance:
    """Accept an operation on the server in the path; it is durable when this returns. Raises what ServerCalls.operate does."""
    return in_turn(request.conductor, request.context, request.server.uuid, operation, arguments)


def in_turn(
    conductor: ConductorCalls, context: Context, server_id: str, operation: str, arguments: dict[str, Any]
) -> Instance:
    """Ask the conductor for an operation, and wait a little where it comes behind another one that shows nothing of itself.

    Raises what ServerCalls.operate does.
    """
    try:
        return conductor.operate(context, server_id, operation, arguments)
    except errors.ServerInUse:
        if not _waiters.acquire(blocking=False):
            raise
    try:
        return _again(lambda: conductor.operate(context, server_id, operation, arguments))
    finally:
        _waiters.release()


def _again(ask: Callable[[], Instance]) -> Instance:
    deadline = time.monotonic() + _TURN_S
    while True:
        time.sleep(_TURN_PAUSE_S)
        try:
            return ask()
        except errors.ServerInUse:
            if time.monotonic() >= deadline:
                raise


def operate_and_wait(request: Request, operation: str, /, **arguments: Any) -> Instance:
    """Accept an operation and give the server once it is over. Raises what made it fail."""
    operate(request, operation, **arguments)
    deadline = time.monotonic() + _PATIENCE_S
    while time.monotonic() < deadline:
        if _has_succeeded(request, operation, _QUESTION_S):
            return request.conductor.server(request.context, request.server.uuid)
    raise errors.Unavailable("The server's host has not answered yet; what was asked for goes on.")


def operate_past(request: Request, operation: str, step: str, /, **arguments: Any) -> None:
    """Accept an operation whose first step asks another service: a caller who asks that, too, is to find it done.

    Raises what that service refused it for; any other failure is the operation's, which was accepted. Waits little.
    """
    operate(request, operation, **arguments)
    try:
        _has_succeeded(request, operation, _STEP_S, step)
    except errors.DomainError as error:
        if error.status < 500:
            raise


def _has_succeeded(request: Request, operation: str, wait_s: float, step: str | None = None) -> bool:
    """False when it is not over, nor past the step, within wait_s. Raises what made it fail."""
    context, server_id = request.context, request.server.uuid
    outcome = request.conductor.outcome(context, server_id, context.request_id, operation, wait_s, step)
    if outcome is not None and outcome.error is not None:
        whole = outcome.whole_message if context.is_admin else None
        raise errors.by_name(outcome.error)(whole or outcome.message)
    return outcome is not None
