"""Ways to a server's screen and serial port: remote consoles and what their tokens open.

Source: Compute API reference, "Servers remote consoles", "Server consoles".
"""

from typing import Any

from nova import errors
from nova.api.compute.request import Request
from nova.api.compute.versions import ALL_CONSOLE_TOKENS
from nova.http.declaration import SERVER, action, get, post
from nova.http.schema import (
    ANY,
    INTEGER,
    STRING,
    URI,
    UUID,
    Plain,
    Shape,
    body,
    enum,
    nullable,
    obj,
    optional,
    query,
    required,
    versioned,
)
from nova.http.view import made, shows, single, view
from nova.structs.console import ConsoleAccess, RemoteConsole

_RULE = "os_compute_api:os-remote-consoles"
_ERRORS = (400, 404, 409, 501)

_OLD_TYPES = ("novnc", "xvpvnc", "spice-html5", "serial", "rdp-html5")
_PROTOCOL = versioned(enum("vnc", "spice", "serial", "rdp"), v2_8=enum("vnc", "spice", "serial", "rdp", "mks"))
_TYPE = versioned(
    enum(*_OLD_TYPES), v2_8=enum(*_OLD_TYPES, "webmks"), v2_99=enum(*_OLD_TYPES, "webmks", "spice-direct")
)
_CONSOLE = view(shows("protocol", _PROTOCOL), shows("type", _TYPE), shows("url", URI))


@post(
    "/servers/{server_id}/remote-consoles",
    policy=_RULE,
    target=SERVER,
    since="2.6",
    body=body("remote_console", required("protocol", _PROTOCOL), required("type", _TYPE)),
    answer=single("remote_console", _CONSOLE),
    errors=_ERRORS,
)
def create(request: Request) -> RemoteConsole:
    """The URL of a console with a token that is good for [consoleauth] token_ttl seconds."""
    fields = request.body["remote_console"]
    return request.conductor.console(request.context, request.server.uuid, fields["protocol"], fields["type"])


def _old_console(name: str, protocol: str, *types: str) -> Any:
    """An action that gave consoles until 2.5."""
    kind: Shape = enum(*types)
    shown: Shape = kind if len(types) > 1 else Plain({"type": "string", "const": types[0]})
    # The answer's root key was never promised for SPICE.
    key = optional if protocol == "spice" else required

    @action(
        name,
        policy=_RULE,
        until="2.5",
        body=obj(required("type", kind)),
        answer=made(obj(key("console", obj(required("type", shown), required("url", URI))))),
        status=200,
        errors=_ERRORS,
    )
    def give(request: Request) -> dict[str, Any]:
        """The URL of a console. From 2.6 on, remote-consoles give it."""
        address = request.conductor.console(request.context, request.server.uuid, protocol, request.body["type"])
        return {"console": {"type": address.type, "url": address.url}}

    return give


get_vnc_console = _old_console("os-getVNCConsole", "vnc", "novnc", "xvpvnc")
get_spice_console = _old_console("os-getSPICEConsole", "spice", "spice-html5")
get_serial_console = _old_console("os-getSerialConsole", "serial", "serial")


@action(
    "os-getRDPConsole",
    policy=_RULE,
    until="2.5",
    body=ANY,
    answer=made(
        obj(
            required(
                "console", obj(required("type", Plain({"type": "string", "const": "rdp-html5"})), required("url", URI))
            )
        )
    ),
    status=200,
    errors=_ERRORS,
)
def get_rdp_console(request: Request) -> None:
    """Always 400: no hypervisor of this release offers RDP."""
    raise errors.ConsoleTypeUnavailable(console_type="rdp-html5")


_ACCESS = view(
    shows("instance_uuid", UUID, "instance_id"),
    shows("host", nullable(STRING), lambda access, request: access.address.host),
    shows("port", INTEGER, lambda access, request: access.address.port),
    shows("internal_access_path", nullable(STRING), lambda access, request: access.address.path),
    shows("tls_port", nullable(INTEGER), lambda a, r: a.address.tls_port, since="2.99", is_optional=True),
)


@get(
    "/os-console-auth-tokens/{token}",
    policy="os_compute_api:os-console-auth-tokens",
    query=query(strict_since="2.99"),
    answer=single("console", _ACCESS),
    errors=(400, 401, 404),
)
def show_token(request: Request, token: str) -> ConsoleAccess:
    """Where a console token leads. Until 2.30 only RDP tokens can be read, and there are none: always 400."""
    if not request.since(ALL_CONSOLE_TOKENS):
        raise errors.Invalid("Before microversion 2.31 only RDP consoles are shown, and there are none.")
    return request.conductor.console_token(request.context, token)
