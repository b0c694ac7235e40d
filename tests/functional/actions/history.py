"""What was done to a server, as its instance actions tell."""

from nova.structs.context import Context


def history(cloud, server_id):
    """(name, state) of each operation, newest first."""
    return [(one.name, one.state) for one in cloud.conductor_calls.operations(Context(), server_id)]
