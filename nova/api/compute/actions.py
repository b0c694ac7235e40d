"""Actions on a running server: its power, its memory, what is inside it. POST /servers/{id}/action.

Source: Compute API reference, "Servers - run an action".
"""

from nova.api.compute.operate import operate
from nova.api.compute.request import Request
from nova.http.declaration import action
from nova.http.schema import ANY, NOTHING, STRING, enum, integer, nullable, obj, optional, required
from nova.http.view import Answer

_POWER = "os_compute_api:servers:"


@action("os-start", policy=f"{_POWER}start", body=ANY, errors=(404, 409))
def start(request: Request) -> None:
    """Power on a stopped server. Raises WrongServerState when it is not stopped."""
    operate(request, "start")


@action("os-stop", policy=f"{_POWER}stop", body=ANY, errors=(404, 409))
def stop(request: Request) -> None:
    """Ask the guest to shut down, and switch it off when it does not within [DEFAULT] shutdown_timeout."""
    operate(request, "stop")


@action(
    "reboot",
    policy=f"{_POWER}reboot",
    body=obj(required("type", enum("HARD", "Hard", "hard", "SOFT", "Soft", "soft"))),
    errors=(404, 409),
)
def reboot(request: Request) -> None:
    """SOFT asks the guest to restart; HARD resets it, also when it is stopped or in ERROR."""
    operate(request, "reboot", kind=request.body["type"].upper())


@action("restore", policy="os_compute_api:os-deferred-delete:restore", body=ANY, errors=(403, 404, 409))
def restore(request: Request) -> None:
    """Bring back a soft-deleted server, within [DEFAULT] reclaim_instance_interval."""
    operate(request, "restore")


@action("forceDelete", policy="os_compute_api:os-deferred-delete:force", body=ANY, errors=(404, 409))
def force_delete(request: Request) -> None:
    """Delete at once, whatever the state and without soft delete."""
    operate(request, "forceDelete")


@action("pause", policy="os_compute_api:os-pause-server:pause", body=ANY, errors=(404, 409, 501))
def pause(request: Request) -> None:
    """Stop the guest's processors; its memory stays in the host."""
    operate(request, "pause")


@action("unpause", policy="os_compute_api:os-pause-server:unpause", body=ANY, errors=(404, 409, 501))
def unpause(request: Request) -> None:
    """Let a paused guest run on."""
    operate(request, "unpause")


@action("suspend", policy="os_compute_api:os-suspend-server:suspend", body=ANY, errors=(404, 409))
def suspend(request: Request) -> None:
    """Write the guest's memory to disk and power it off."""
    operate(request, "suspend")


@action("resume", policy="os_compute_api:os-suspend-server:resume", body=ANY, errors=(404, 409))
def resume(request: Request) -> None:
    """Start a suspended guest from its saved memory."""
    operate(request, "resume")


@action(
    "trigger_crash_dump",
    policy="os_compute_api:servers:trigger_crash_dump",
    since="2.17",
    body=NOTHING,
    errors=(400, 404, 409),
)
def trigger_crash_dump(request: Request) -> None:
    """Send the guest an NMI. What it does with it is the guest's configuration."""
    operate(request, "trigger_crash_dump")


@action(
    "changePassword",
    policy="os_compute_api:os-admin-password",
    body=obj(required("adminPass", STRING)),
    errors=(400, 404, 409, 501),
)
def change_password(request: Request) -> None:
    """Set the administrator's password inside the guest, through its agent. Fails when no agent answers."""
    operate(request, "changePassword", password=request.body["adminPass"])


_LENGTH = nullable(integer(-1))


@action(
    "os-getConsoleOutput",
    policy="os_compute_api:os-console-output",
    body=obj(optional("length", _LENGTH)),
    answer=Answer(lambda text, request: {"output": text}, obj(required("output", STRING))),
    status=200,
    errors=(404, 409, 501),
)
def console_output(request: Request) -> str:
    """The last lines of what the guest wrote to its serial port; all of it without a length."""
    length = request.body.get("length")
    lines = None if length in (None, -1) else length
    text = request.conductor.console_output(request.context, request.server.uuid, _CONSOLE_BYTES)
    # Control characters other than line ends are no text; JSON clients choke on some of them.
    printable = "".join(char for char in text if char in "\n\t\r" or char >= " ")
    if lines is None:
        return printable
    return "\n".join(printable.split("\n")[-lines:]) if lines else ""


_CONSOLE_BYTES = 102400
