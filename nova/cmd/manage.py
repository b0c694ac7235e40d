"""nova-manage: the operator's hand on the database, for what no API offers.

The commands of upstream's installation guide work. Those about its second database have nothing to
do here, and say so.
"""

import argparse
import sys
import uuid
from collections.abc import Callable

from oslo_config import cfg

from nova import errors, release
from nova.cmd import config_options, placement_manage
from nova.conf import BadConfiguration, load, required
from nova.db import cells, host_identity, hosts, migrations
from nova.db.engine import Database
from nova.structs.host import Cell

_CELL0 = "00000000-0000-0000-0000-000000000000"


def main() -> int:
    if "placement" in sys.argv[1:]:
        return placement_manage.run([word for word in sys.argv[1:] if word != "placement"])
    arguments = parser().parse_args()
    try:
        conf = load(config_options.chosen(arguments))
        required.database(conf)
    except BadConfiguration as error:
        print(f"nova-manage: {error}", file=sys.stderr)
        return 2
    command: Callable[[cfg.ConfigOpts, argparse.Namespace], int] = arguments.command
    return command(conf, arguments)


def db_sync(conf: cfg.ConfigOpts, arguments: argparse.Namespace) -> int:
    """Create or upgrade the tables."""
    if migrations.newest() is None:
        print("nova-manage: this installation has no migrations; install the whole package again", file=sys.stderr)
        return 1
    migrations.sync(conf.database.connection, arguments.version or "head")
    return 0


def db_version(conf: cfg.ConfigOpts, arguments: argparse.Namespace) -> int:
    """Print the newest migration the database has seen."""
    print(migrations.version(conf.database.connection) or "none")
    return 0


def api_db_sync(conf: cfg.ConfigOpts, arguments: argparse.Namespace) -> int:
    """Nothing to do: there is one database."""
    print("There is one database: nova-manage db sync creates all tables.")
    return 0


def map_cell0(conf: cfg.ConfigOpts, arguments: argparse.Namespace) -> int:
    """Record the cell that upstream keeps unplaced servers in; here it holds nothing."""
    return _add_cell(conf, Cell(uuid=_CELL0, name="cell0", transport_url="none:/", database_connection=_shared(conf)))


def create_cell(conf: cfg.ConfigOpts, arguments: argparse.Namespace) -> int:
    """Record a cell: a message bus with its hosts and conductors."""
    cell = Cell(
        uuid=str(uuid.uuid4()),
        name=arguments.name or "",
        transport_url=arguments.transport_url or _transport_url(conf),
        database_connection=_shared(conf),
        is_disabled=arguments.disabled,
    )
    status = _add_cell(conf, cell)
    if not status and arguments.verbose:
        print(cell.uuid)
    return status


def list_cells(conf: cfg.ConfigOpts, arguments: argparse.Namespace) -> int:
    """Print the cells."""
    found = _open(conf).read(cells.find)
    rows: list[tuple[str, ...]] = [("Name", "UUID", "Transport URL", "Database Connection", "Disabled")]
    for cell in found:
        urls = (cell.transport_url, cell.database_connection)
        shown = urls if arguments.verbose else tuple(map(_without_password, urls))
        rows.append((cell.name, cell.uuid, *shown, str(cell.is_disabled)))
    _print_table(rows)
    return 0


def delete_cell(conf: cfg.ConfigOpts, arguments: argparse.Namespace) -> int:
    """Forget a cell."""
    if _open(conf).write(lambda c: cells.remove(c, arguments.cell_uuid)):
        return 0
    print(f"Cell with uuid {arguments.cell_uuid} was not found.", file=sys.stderr)
    return 1


def discover_hosts(conf: cfg.ConfigOpts, arguments: argparse.Namespace) -> int:
    """Print the hosts there are; one is usable as soon as its nova-compute has registered itself."""
    found = _open(conf).read(lambda c: hosts.services(c, binary="nova-compute"))
    print(f"Found {len(found)} hosts; a nova-compute registers itself, so there is nothing to map.")
    if arguments.verbose:
        for service in found:
            print(f"{service.host}: {'up' if service.is_up else 'down'}")
    return 0


def simple_cell_setup(conf: cfg.ConfigOpts, arguments: argparse.Namespace) -> int:
    """cell0 and one cell with this configuration's message bus."""
    known = {cell.uuid for cell in _open(conf).read(cells.find)}
    if _CELL0 not in known:
        map_cell0(conf, arguments)
    if not known - {_CELL0}:
        arguments.name, arguments.disabled = "cell1", False
        create_cell(conf, arguments)
    return discover_hosts(conf, arguments)


def rename_host(conf: cfg.ConfigOpts, arguments: argparse.Namespace) -> int:
    """Give a compute host that is down another name, with its node and its servers; then start it under that name."""
    try:
        count = _open(conf).write(lambda c: host_identity.rename(c, arguments.old, arguments.new, arguments.node))
    except errors.DomainError as error:
        print(f"nova-manage: {error.message}", file=sys.stderr)
        return 1
    print(f"Host {arguments.old} is {arguments.new} now, in the records of {count} servers, too.")
    print("The ports of its servers are still bound to the old name: openstack port set --host NEW PORT.")
    return 0


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(prog="nova-manage", description=__doc__)
    # Upstream's tool takes the options before and behind the command.
    common = argparse.ArgumentParser(add_help=False)
    config_options.add(common, again=True)
    top.add_argument("--version", action="version", version=release.version())
    config_options.add(top)
    groups = top.add_subparsers(metavar="db|api_db|cell_v2|host|placement", required=True)

    def group(name: str, description: str) -> argparse._SubParsersAction:  # type: ignore[type-arg]
        return groups.add_parser(name, help=description).add_subparsers(required=True, metavar="COMMAND")

    def command(of: argparse._SubParsersAction, name: str, function: Callable[..., int]) -> argparse.ArgumentParser:  # type: ignore[type-arg]
        made: argparse.ArgumentParser = of.add_parser(name, help=function.__doc__, parents=[common])
        made.set_defaults(command=function, transport_url=None)
        made.add_argument("--verbose", action="store_true")
        return made

    db = group("db", "the compute database")
    command(db, "sync", db_sync).add_argument("version", nargs="?")
    command(db, "version", db_version)
    api_db = group("api_db", "upstream's second database")
    command(api_db, "sync", api_db_sync).add_argument("version", nargs="?")
    command(api_db, "version", db_version)
    cell = group("cell_v2", "message cells")
    command(cell, "map_cell0", map_cell0).add_argument("--database_connection")
    new = command(cell, "create_cell", create_cell)
    for option in ("--name", "--transport-url", "--database_connection"):
        new.add_argument(option)
    new.add_argument("--disabled", action="store_true")
    command(cell, "list_cells", list_cells)
    command(cell, "delete_cell", delete_cell).add_argument("--cell_uuid", required=True)
    discover = command(cell, "discover_hosts", discover_hosts)
    discover.add_argument("--cell_uuid")
    discover.add_argument("--strict", action="store_true")
    discover.add_argument("--by-service", action="store_true")
    command(cell, "simple_cell_setup", simple_cell_setup).add_argument("--transport-url")
    renamed = command(group("host", "compute hosts"), "rename", rename_host)
    renamed.add_argument("old")
    renamed.add_argument("new")
    renamed.add_argument("--node", help="the machine's new hypervisor_hostname")
    groups.add_parser("placement", help="Placement's database: see placement-manage")
    return top


def _add_cell(conf: cfg.ConfigOpts, cell: Cell) -> int:
    if _open(conf).write(lambda c: cells.add(c, cell)):
        return 0
    print(f"Cell {cell.name or cell.uuid} with this transport URL exists already.", file=sys.stderr)
    return 0 if cell.uuid == _CELL0 else 2


def _open(conf: cfg.ConfigOpts) -> Database:
    return Database(conf.database.connection)


def _shared(conf: cfg.ConfigOpts) -> str:
    return str(conf.database.connection)


def _transport_url(conf: cfg.ConfigOpts) -> str:
    conf.register_opt(cfg.StrOpt("transport_url", default="rabbit://", secret=True))
    return str(conf.transport_url)


def _without_password(url: str) -> str:
    scheme, separator, rest = url.partition("://")
    credentials, at, place = rest.rpartition("@")
    return f"{scheme}{separator}{credentials.partition(':')[0]}:****{at}{place}" if ":" in credentials else url


def _print_table(rows: list[tuple[str, ...]]) -> None:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    line = "+" + "+".join("-" * (width + 2) for width in widths) + "+"
    print(line)
    for number, row in enumerate(rows):
        print("|" + "|".join(f" {cell:<{width}} " for cell, width in zip(row, widths, strict=True)) + "|")
        if number == 0:
            print(line)
    print(line)
