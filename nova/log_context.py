"""Which request a thread is working for, so that every line of the log names it.

The id travels with every call over the bus and every order to a host.
"""

from oslo_context import context


def follow(request_id: str | None, user_id: str = "", project_id: str = "", server_id: str | None = None) -> None:
    """This thread works for a request from now on."""
    if request_id:
        context.RequestContext(
            request_id=request_id, user_id=user_id, project_id=project_id, resource_uuid=server_id, overwrite=True
        )


def current() -> str | None:
    """The id of the request this thread works for."""
    found = context.get_current()
    return found.request_id if found is not None else None
