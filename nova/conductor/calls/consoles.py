"""Calls about consoles: what the API shows of one, and what nova-consoleauth has kept."""

from urllib.parse import quote, urlsplit, urlunsplit

import msgspec
from oslo_config import cfg

from nova import errors
from nova.clock import utcnow
from nova.conductor.host_questions import HostQuestions
from nova.db import console_tokens, instances
from nova.db.engine import Database
from nova.rpc.consoleauth import ConsoleAuthCalls
from nova.structs.console import ConsoleAccess, RemoteConsole
from nova.structs.context import Context
from nova.structs.guest import ConsoleAddress, ConsoleKind
from nova.structs.instance import Instance, PowerState
from nova.structs.requests import ServerQuery

# protocol and type of the Compute API; None is a console of hypervisors this release has no driver for.
# Source: Compute API reference, "Create Console".
_KINDS = {
    ("vnc", "novnc"): ConsoleKind.NOVNC,
    ("vnc", "xvpvnc"): ConsoleKind.XVPVNC,
    ("spice", "spice-html5"): ConsoleKind.SPICE_HTML5,
    ("spice", "spice-direct"): ConsoleKind.SPICE_DIRECT,
    ("serial", "serial"): ConsoleKind.SERIAL,
    ("rdp", "rdp-html5"): None,
    ("mks", "webmks"): None,
}
# The same screen shown in another way: hosts know one name for it.
_SCREENS = {ConsoleKind.XVPVNC: ConsoleKind.NOVNC}
# While these run, the guest is about to be somewhere else or nowhere.
_LEAVING = ("deleting", "migrating")
_OFF = (PowerState.SHUTDOWN, PowerState.CRASHED, PowerState.SUSPENDED)


class ConsoleCalls:
    def __init__(
        self,
        conf: cfg.ConfigOpts,
        database: Database,
        questions: HostQuestions,
        consoleauth: ConsoleAuthCalls,
    ) -> None:
        self._conf = conf
        self._database = database
        self._questions = questions
        self._consoleauth = consoleauth

    def console(self, context: Context, server_id: str, protocol: str, type: str) -> RemoteConsole:
        kind = _kind(protocol, type)
        if kind == ConsoleKind.XVPVNC and not self._conf.vnc.xvpvncproxy_base_url:
            raise errors.ConsoleTypeUnavailable(console_type=type)
        instance = self._database.read(lambda c: instances.get(c, server_id))
        address = self._address(instance, kind)
        token = self._consoleauth.authorize(server_id, kind, address)
        return RemoteConsole(protocol=protocol, type=type, url=_url(self._conf, kind, token))

    def console_token(self, context: Context, token: str) -> ConsoleAccess:
        access = self._consoleauth.check(token)
        if access is None:
            raise errors.ConsoleTokenNotFound()
        return access

    def add_console_access(self, token_hash: str, access: ConsoleAccess) -> None:
        self._database.write(lambda c: console_tokens.add(c, token_hash, access))

    def console_access(self, token_hash: str) -> ConsoleAccess | None:
        access = self._database.read(lambda c: console_tokens.get(c, token_hash, utcnow()))
        if access is None:
            return None
        try:
            instance = self._database.read(lambda c: instances.get(c, access.instance_id))
            # Ports are used again: the address that was true when the token was issued may be another guest's now.
            address = self._address(instance, access.kind)
        except (errors.NotFound, errors.Conflict, errors.Invalid):
            return None
        return msgspec.structs.replace(access, address=address, compute_host=instance.host)

    def lasting_consoles(self, accesses: list[ConsoleAccess]) -> list[bool]:
        query = ServerQuery(uuids=tuple({access.instance_id for access in accesses}), is_deleted=False)
        servers = {server.uuid: server for server in self._database.read(lambda c: instances.find(c, query))}
        return [_lasts(access, servers.get(access.instance_id)) for access in accesses]

    def delete_console_access(self, instance_id: str) -> None:
        self._database.write(lambda c: console_tokens.remove_of(c, instance_id))

    def purge_console_access(self) -> int:
        return self._database.write(lambda c: console_tokens.purge(c, utcnow()))

    def _address(self, instance: Instance, kind: ConsoleKind) -> ConsoleAddress:
        if instance.is_deleted:
            raise errors.ServerNotFound(server_id=instance.uuid)
        if instance.host is None:
            raise errors.ServerNotReady(server_id=instance.uuid)
        if instance.task_state in _LEAVING:
            raise errors.WrongServerState(
                action="get_console", server_id=instance.uuid, attribute="task_state", state=instance.task_state
            )
        try:
            with self._questions.to(instance.host) as host:
                return host.console_address(instance.uuid, _SCREENS.get(kind, kind))
        except errors.GuestNotFound as error:
            raise errors.ServerNotReady(server_id=instance.uuid) from error
        except errors.NotImplementedHere as error:
            # A guest that does not run has no console of any kind, which is another matter.
            if instance.power_state != PowerState.RUNNING:
                raise errors.ServerNotReady(server_id=instance.uuid) from error
            raise errors.ConsoleTypeUnavailable(console_type=kind.value) from error


def _lasts(access: ConsoleAccess, server: Instance | None) -> bool:
    if server is None or server.task_state == "rebuilding" or server.power_state in _OFF:
        return False
    # Conductors of the last release did not say the host.
    return access.compute_host in (None, server.host)


def _kind(protocol: str, type: str) -> ConsoleKind:
    try:
        kind = _KINDS[(protocol, type)]
    except KeyError:
        raise errors.ConsoleTypeInvalid(console_type=type) from None
    if kind is None:
        raise errors.ConsoleTypeUnavailable(console_type=type)
    return kind


def _url(conf: cfg.ConfigOpts, kind: ConsoleKind, token: str) -> str:
    """The page to open. noVNC takes the path of its websocket from the page's query, so its token is in there."""
    pages: dict[ConsoleKind, tuple[str, str]] = {
        ConsoleKind.NOVNC: (conf.vnc.novncproxy_base_url, "path=" + quote(f"?token={token}", safe="")),
        ConsoleKind.XVPVNC: (conf.vnc.xvpvncproxy_base_url or "", f"token={token}"),
        ConsoleKind.SPICE_HTML5: (conf.spice.html5proxy_base_url, f"token={token}"),
        ConsoleKind.SPICE_DIRECT: (conf.spice.spice_direct_proxy_base_url, f"token={token}"),
        ConsoleKind.SERIAL: (conf.serial_console.base_url, f"token={token}"),
    }
    base, addition = pages[kind]
    parts = urlsplit(base)
    return urlunsplit(parts._replace(query="&".join(filter(None, (parts.query, addition)))))
