"""nova-manage cell_v2: message cells, as far as there is something to them here: the host table is one."""

import argparse
import sys
import uuid
from typing import Any

from oslo_config import cfg

from nova import errors
from nova.cmd.manage.commands import Group, open_database, print_table
from nova.db import cells, hosts, instances, migrations
from nova.db.engine import Database
from nova.structs.host import Cell, ServiceRecord

_CELL0 = "00000000-0000-0000-0000-000000000000"


def add(groups: Any) -> None:
    group = Group(groups, "cell_v2", "message cells")
    group.add("map_cell0", map_cell0).add_argument("--database_connection")
    _with_urls(group.add("create_cell", create_cell)).add_argument("--disabled", action="store_true")
    group.add("list_cells", list_cells)
    updated = _with_urls(group.add("update_cell", update_cell))
    updated.add_argument("--cell_uuid", required=True)
    updated.add_argument("--enable", action="store_true")
    updated.add_argument("--disable", action="store_true")
    deleted = group.add("delete_cell", delete_cell)
    deleted.add_argument("--cell_uuid", required=True)
    deleted.add_argument("--force", action="store_true", help=argparse.SUPPRESS)
    discovered = group.add("discover_hosts", discover_hosts)
    discovered.add_argument("--cell_uuid")
    discovered.add_argument("--strict", action="store_true", help="1 when no host is found")
    discovered.add_argument("--by-service", action="store_true", help=argparse.SUPPRESS)
    group.add("list_hosts", list_hosts).add_argument("--cell_uuid")
    removed = group.add("delete_host", delete_host)
    removed.add_argument("--cell_uuid", help=argparse.SUPPRESS)
    removed.add_argument("--host", required=True)
    group.add("verify_instance", verify_instance).add_argument("--uuid", required=True)
    mapped = group.add("map_instances", map_instances)
    for option in ("--cell_uuid", "--max-count"):
        mapped.add_argument(option, help=argparse.SUPPRESS)
    mapped.add_argument("--reset", action="store_true", help=argparse.SUPPRESS)
    for name in ("simple_cell_setup", "map_cell_and_hosts"):
        group.add(name, simple_cell_setup).add_argument("--transport-url")


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
    rows: list[tuple[str, ...]] = [("Name", "UUID", "Transport URL", "Database Connection", "Disabled")]
    for cell in _with_tables(conf).read(cells.find):
        urls = (cell.transport_url, cell.database_connection)
        shown = urls if arguments.verbose else tuple(map(_without_password, urls))
        rows.append((cell.name, cell.uuid, *shown, str(cell.is_disabled)))
    print_table(rows)
    return 0


def update_cell(conf: cfg.ConfigOpts, arguments: argparse.Namespace) -> int:
    """Change what is recorded of a cell; without a URL the configuration's."""
    if arguments.enable and arguments.disable:
        print("nova-manage: a cell is enabled or disabled, not both", file=sys.stderr)
        return 4
    changes: dict[str, Any] = {"transport_url": arguments.transport_url or _transport_url(conf)}
    if arguments.name:
        changes["name"] = arguments.name
    if arguments.enable or arguments.disable:
        changes["is_disabled"] = arguments.disable
    if _with_tables(conf).write(lambda c: cells.change(c, arguments.cell_uuid, **changes)):
        return 0
    return _not_found(arguments.cell_uuid)


def delete_cell(conf: cfg.ConfigOpts, arguments: argparse.Namespace) -> int:
    """Forget a cell."""
    if _with_tables(conf).write(lambda c: cells.remove(c, arguments.cell_uuid)):
        return 0
    return _not_found(arguments.cell_uuid)


def discover_hosts(conf: cfg.ConfigOpts, arguments: argparse.Namespace) -> int:
    """Print the hosts there are; one is usable as soon as its nova-compute has registered itself."""
    found = _compute_services(conf)
    print(f"Found {len(found)} hosts; a nova-compute registers itself, so there is nothing to map.")
    if arguments.verbose:
        for service in found:
            print(f"{service.host}: {'up' if service.is_up else 'down'}")
    return 1 if getattr(arguments, "strict", False) and not found else 0


def list_hosts(conf: cfg.ConfigOpts, arguments: argparse.Namespace) -> int:
    """Print the compute hosts. All of them are in the one cell that has hosts."""
    named = [cell for cell in _with_tables(conf).read(cells.find) if cell.uuid != _CELL0]
    if arguments.cell_uuid and arguments.cell_uuid not in {_CELL0, *(cell.uuid for cell in named)}:
        return _not_found(arguments.cell_uuid)
    cell = named[0] if named else Cell(uuid="", name="", transport_url="", database_connection="")
    is_wanted = arguments.cell_uuid in (None, cell.uuid)
    rows: list[tuple[str, ...]] = [("Cell Name", "Cell UUID", "Hostname")]
    rows += [(cell.name, cell.uuid, service.host) for service in _compute_services(conf) if is_wanted]
    print_table(rows)
    return 0


def delete_host(conf: cfg.ConfigOpts, arguments: argparse.Namespace) -> int:
    """Forget a compute host; one that has servers is kept."""
    db = _with_tables(conf)
    found = [service for service in _compute_services(conf) if service.host == arguments.host]
    if not found:
        print(f"The host {arguments.host} was not found.", file=sys.stderr)
        return 2
    if db.read(lambda c: instances.count_on_host(c, arguments.host)):
        print(f"There are servers on the host {arguments.host}.", file=sys.stderr)
        return 4
    print(
        f"A host goes with its nova-compute service: openstack compute service delete {found[0].uuid}", file=sys.stderr
    )
    return 1


def verify_instance(conf: cfg.ConfigOpts, arguments: argparse.Namespace) -> int:
    """Say in which cell a server is; 1 for one there is not."""
    try:
        server = _with_tables(conf).read(lambda c: instances.get(c, arguments.uuid))
    except errors.NotFound:
        print(f"Instance {arguments.uuid} is not mapped to a cell.", file=sys.stderr)
        return 1
    named = [cell for cell in _with_tables(conf).read(cells.find) if cell.uuid != _CELL0]
    where = f"{named[0].name} ({named[0].uuid})" if named else "the only one"
    print(f"Instance {server.uuid} is in cell: {where}")
    return 0


def map_instances(conf: cfg.ConfigOpts, arguments: argparse.Namespace) -> int:
    """Nothing to do: all servers are in one database."""
    print("All servers are in one database: there is nothing to map.")
    return 0


def simple_cell_setup(conf: cfg.ConfigOpts, arguments: argparse.Namespace) -> int:
    """cell0 and one cell with this configuration's message bus."""
    known = {cell.uuid for cell in _with_tables(conf).read(cells.find)}
    if _CELL0 not in known:
        map_cell0(conf, arguments)
    if not known - {_CELL0}:
        arguments.name, arguments.disabled = "cell1", False
        create_cell(conf, arguments)
    return discover_hosts(conf, arguments)


def _with_urls(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    for option in ("--name", "--transport-url", "--database_connection"):
        parser.add_argument(option)
    return parser


def _with_tables(conf: cfg.ConfigOpts) -> Database:
    """The database. The guides map cells before `db sync` makes the tables: then they are made now."""
    if migrations.version(conf.database.connection) is None and migrations.newest() is not None:
        migrations.sync(conf.database.connection, "head")
    return open_database(conf)


def _compute_services(conf: cfg.ConfigOpts) -> list[ServiceRecord]:
    return _with_tables(conf).read(lambda c: hosts.services(c, binary="nova-compute"))


def _add_cell(conf: cfg.ConfigOpts, cell: Cell) -> int:
    if _with_tables(conf).write(lambda c: cells.add(c, cell)):
        return 0
    print(f"Cell {cell.name or cell.uuid} with this transport URL exists already.", file=sys.stderr)
    return 0 if cell.uuid == _CELL0 else 2


def _not_found(cell_uuid: str) -> int:
    print(f"Cell with uuid {cell_uuid} was not found.", file=sys.stderr)
    return 1


def _shared(conf: cfg.ConfigOpts) -> str:
    return str(conf.database.connection)


def _transport_url(conf: cfg.ConfigOpts) -> str:
    conf.register_opt(cfg.StrOpt("transport_url", default="rabbit://", secret=True))
    return str(conf.transport_url)


def _without_password(url: str) -> str:
    scheme, separator, rest = url.partition("://")
    credentials, at, place = rest.rpartition("@")
    return f"{scheme}{separator}{credentials.partition(':')[0]}:****{at}{place}" if ":" in credentials else url
