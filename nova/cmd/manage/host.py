"""nova-manage host: the names of compute hosts, and emptying one."""

import argparse
from collections.abc import Iterator
from typing import Any

from oslo_config import cfg

from nova import errors
from nova.cmd.manage.commands import Group, open_database, print_table
from nova.cmd.manage.drain import Drain
from nova.db import host_identity
from nova.rpc.bus import connect
from nova.rpc.conductor import ConductorCalls, conductor_client
from nova.structs.context import Context
from nova.structs.guest import GuestsCompared
from nova.structs.host import ServiceRecord
from nova.structs.instance import PowerState

_OPERATOR = Context(is_admin=True)
_SILENT, _DIFFERENT = 2, 3


def add(groups: Any) -> None:
    group = Group(groups, "host", "compute hosts")
    drained = group.add("drain", drain)
    drained.add_argument("host")
    drained.add_argument("--to", metavar="HOST", help="where its servers go; default: the scheduler chooses")
    drained.add_argument("--at-once", type=int, default=2, metavar="N", help="moves under way at most; default: 2")
    drained.add_argument("--cold", action="store_true", help="stop servers that cannot move while they run")
    audited = group.add("audit", audit)
    audited.add_argument("host", nargs="?", help="this host alone")
    renamed = group.add("rename", rename)
    renamed.add_argument("old")
    renamed.add_argument("new")
    renamed.add_argument("--node", help="the machine's new hypervisor_hostname")


def rename(conf: cfg.ConfigOpts, arguments: argparse.Namespace) -> int:
    """Give a compute host that is down another name, with its node and its servers; then start it under that name."""
    count = open_database(conf).write(lambda c: host_identity.rename(c, arguments.old, arguments.new, arguments.node))
    print(f"Host {arguments.old} is {arguments.new} now, in the records of {count} servers, too.")
    print("The ports of its servers are still bound to the old name: openstack port set --host NEW PORT.")
    return 0


def drain(conf: cfg.ConfigOpts, arguments: argparse.Namespace) -> int:
    """Disable a compute host and move its servers to others, live where they run; 3 when some stay."""
    conductor = _conductor(conf)
    if arguments.to is not None:
        _services(conductor, arguments.to)
    _disable(conductor, arguments.host)
    work = Drain(conductor, arguments.host, arguments.to, max(1, arguments.at_once), arguments.cold)
    try:
        for move in work.run():
            print(f"Server {move.server.uuid}, {move.how}: {move.result or 'moved'}", flush=True)
    except KeyboardInterrupt:
        print("Moves that have begun go on by themselves. Run the command again to go on with the others.")
        return 1
    staying = work.servers()
    print(f"Host {arguments.host} is disabled, and has {len(staying)} servers.")
    return 3 if staying else 0


def audit(conf: cfg.ConfigOpts, arguments: argparse.Namespace) -> int:
    """Ask hosts for their guests, and say where they and the records differ; 3 when they do, 2 when a host is silent.

    Nothing is changed.
    """
    conductor = _conductor(conf)
    rows, silent = [], []
    for host in sorted(service.host for service in _services(conductor, arguments.host)):
        try:
            rows += [(host, *row) for row in _differences(conductor.compare_guests(host))]
        except errors.DomainError as error:
            # Also a nova-compute of an older release, which cannot be asked.
            silent.append(f"Host {host} does not tell: {error}")
    if rows:
        print_table([("Host", "Server", "Difference"), *rows])
    elif not silent:
        print("Every guest has its record, and every server on a host its guest.")
    for line in silent:
        print(line)
    return _SILENT if silent else _DIFFERENT if rows else 0


def _differences(compared: GuestsCompared) -> Iterator[tuple[str, str]]:
    """The server, and what is wrong with it."""
    for uuid, state in compared.unknown.items():
        yield uuid, f"a guest without a record, {PowerState(state).name.lower()}"
    for uuid, host in compared.elsewhere.items():
        yield (
            uuid,
            f"a guest whose server is on {host} by its record"
            if host
            else "a guest whose server is deleted, or on no host",
        )
    for uuid in compared.missing:
        yield uuid, "a server without its guest"


def _disable(conductor: ConductorCalls, host: str) -> None:
    """Raises HostNotFound."""
    for service in _services(conductor, host):
        if not service.is_disabled:
            conductor.update_service(_OPERATOR, service.uuid, True, "drained by nova-manage")


def _services(conductor: ConductorCalls, host: str | None) -> list[ServiceRecord]:
    """Raises HostNotFound."""
    found = conductor.services(_OPERATOR, host, "nova-compute")
    if not found and host is not None:
        raise errors.HostNotFound(host=host)
    return found


def _conductor(conf: cfg.ConfigOpts) -> ConductorCalls:
    return conductor_client(connect(conf))
