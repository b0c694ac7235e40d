"""Asks the conductor for an operation on the server in the path, as nearly every action does."""

from typing import Any

from nova.api.framework.request import Request
from nova.structs.instance import Instance


def operate(request: Request, operation: str, **arguments: Any) -> Instance:
    """Accept an operation; it is durable when this returns. Raises what ServerCalls.operate does."""
    return request.conductor.operate(request.context, request.server.uuid, operation, arguments)
