"""Actions on a server's power and console: POST /servers/{id}/action.

Source: Compute API reference, "Servers - run an action".
"""

from nova.api.framework.operation import action
from nova.api.framework.request import Request
from nova.api.framework.schema import ANY, STRING, Plain, enum, obj, optional, required
from nova.api.framework.view import Answer

_POWER = "os_compute_api:servers:"


@action("os-start", policy=f"{_POWER}start", body=ANY, errors=(404, 409))
def start(request: Request) -> None:
    request.conductor.operate(request.context, request.server.uuid, "start", {})


@action("os-stop", policy=f"{_POWER}stop", body=ANY, errors=(404, 409))
def stop(request: Request) -> None:
    request.conductor.operate(request.context, request.server.uuid, "stop", {})


@action(
    "reboot",
    policy=f"{_POWER}reboot",
    body=obj(required("type", enum("HARD", "Hard", "hard", "SOFT", "Soft", "soft"))),
    errors=(404, 409),
)
def reboot(request: Request) -> None:
    request.conductor.operate(request.context, request.server.uuid, "reboot", {"kind": request.body["type"].upper()})


_LENGTH = Plain({"type": ["integer", "string", "null"], "minimum": -1, "pattern": "^-?[0-9]+$"})


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
    lines = None if length in (None, "", -1, "-1") else int(length)
    text = request.conductor.console_output(request.context, request.server.uuid, _CONSOLE_BYTES)
    # Control characters other than line ends are no text; JSON clients choke on some of them.
    printable = "".join(char for char in text if char in "\n\t\r" or char >= " ")
    if lines is None:
        return printable
    return "\n".join(printable.split("\n")[-lines:]) if lines else ""


_CONSOLE_BYTES = 102400
