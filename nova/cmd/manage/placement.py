"""nova-manage placement: what Placement has of our hosts and servers, compared with the records."""

import argparse
import functools
import sys
from collections.abc import Iterator, Mapping
from typing import Any

from oslo_config import cfg
from sqlalchemy.engine import Connection

from nova import errors
from nova.clients.placement import PlacementClient
from nova.clients.placement.claims import Amounts, Claim, ClaimLost
from nova.clients.placement.query import CandidatesQuery
from nova.cmd.manage.commands import Group, open_database, open_placement
from nova.conductor.reconcilers.allocations import idle_consumers
from nova.db import hosts, instances, operations
from nova.db.engine import Database
from nova.structs.instance import Instance
from nova.structs.requests import ServerQuery

# As upstream's commands end.
_NO_NODE, _REFUSED, _NOTHING_TO_HEAL = 2, 3, 4
_FOUND, _DELETED = 3, 4


def add(groups: Any) -> None:
    group = Group(groups, "placement", "what Placement has of our hosts and servers")
    healed = group.add("heal_allocations", heal_allocations)
    healed.add_argument("--instance", metavar="UUID", help="this server alone")
    healed.add_argument("--max-count", type=int, help="at most so many servers")
    healed.add_argument("--dry-run", action="store_true", help="only say what would be claimed")
    healed.add_argument(
        "--force", action="store_true", help="also replace what servers hold that is not what they should"
    )
    healed.add_argument("--skip-port-allocations", action="store_true", help=argparse.SUPPRESS)
    healed.add_argument("--cell", help=argparse.SUPPRESS)
    audited = group.add("audit", audit)
    audited.add_argument("--delete", action="store_true", help="give back what is provably a gone server's")
    audited.add_argument("--resource_provider", metavar="UUID", help="of this host alone")
    group.add("sync_aggregates", sync_aggregates)


def heal_allocations(conf: cfg.ConfigOpts, arguments: argparse.Namespace) -> int:
    """Claim in Placement what servers on hosts should hold and do not; 4 when nothing is missing."""
    db, placement = open_database(conf), open_placement(conf)
    providers = {(node.host, node.hypervisor_hostname): node.uuid for node in db.read(hosts.nodes)}
    healed = 0
    for server in _placed(db, arguments.instance):
        provider = providers.get((server.host or "", server.node or ""))
        if provider is None:
            print(
                f"There is no node {server.node} of host {server.host}, where server {server.uuid} is.", file=sys.stderr
            )
            return _NO_NODE
        held = placement.allocations(server.uuid).resources
        if held and (not arguments.force or server.flavor.request_groups()):
            # Which providers give the groups of a flavor is nothing to be chosen anew under a running guest.
            continue
        wanted = _wanted(placement, server, provider, held)
        if wanted is None:
            print(
                f"Server {server.uuid}: nothing on its host gives what its flavor asks for in groups.", file=sys.stderr
            )
            return _REFUSED
        if held == wanted:
            continue
        try:
            if not arguments.dry_run:
                _claim(placement, server, wanted)
        except ClaimLost as error:
            print(f"Server {server.uuid}: {error.message}", file=sys.stderr)
            return _REFUSED
        healed += 1
        if arguments.verbose or arguments.dry_run:
            print(
                f"Server {server.uuid} on {server.host} {'would hold' if arguments.dry_run else 'holds'} {wanted.get(provider, wanted)}."
            )
        if healed == arguments.max_count:
            print(f"Stopped after {healed} servers.")
            return 1
    if arguments.verbose or healed:
        print(f"{healed} servers {'would be' if arguments.dry_run else 'were'} healed.")
    return 0 if healed else _NOTHING_TO_HEAL


def audit(conf: cfg.ConfigOpts, arguments: argparse.Namespace) -> int:
    """Print what is held of our hosts by no server; 3 when there is some, 4 when it was given back."""
    placement = open_placement(conf)
    status = 0
    for consumer in idle_consumers(open_database(conf), placement):
        if arguments.resource_provider and arguments.resource_provider not in consumer.held:
            continue
        is_deleted = arguments.delete and consumer.is_ours
        if is_deleted:
            placement.release(consumer.uuid)
        owner = "" if consumer.is_ours else f", which is of type {consumer.type} and may be another service's"
        print(f"Consumer {consumer.uuid}{owner} {'held' if is_deleted else 'holds'} {consumer.held}.")
        status = max(status, _DELETED if is_deleted else _FOUND)
    return status


def sync_aggregates(conf: cfg.ConfigOpts, arguments: argparse.Namespace) -> int:
    """Make the aggregates of our hosts those of their providers in Placement."""
    db, placement = open_database(conf), open_placement(conf)
    aggregates = db.read(hosts.aggregates)
    for node in db.read(hosts.nodes):
        placement.set_aggregates(node.uuid, [one.uuid for one in aggregates if node.host in one.hosts])
        if arguments.verbose:
            print(
                f"{node.hypervisor_hostname}: {', '.join(one.name for one in aggregates if node.host in one.hosts) or '-'}"
            )
    return 0


def _placed(db: Database, uuid: str | None) -> Iterator[Instance]:
    """The servers that are on hosts and nothing is being done to, each as it is now.

    Raises ServerNotFound for a uuid that is none's.
    """
    uuids = [uuid] if uuid is not None else [one.uuid for one in db.read(lambda c: instances.find(c, ServerQuery()))]
    for wanted in uuids:
        try:
            server, active = db.read(functools.partial(_with_operation, uuid=wanted))
        except errors.ServerNotFound:
            if uuid is not None:
                raise
            continue
        # What an operation is about to claim, or holds for its way back, is the operation's business.
        if server.host is not None and server.deleted_at is None and server.task_state is None and not active:
            yield server


def _with_operation(connection: Connection, uuid: str) -> tuple[Instance, bool]:
    """A server, and whether an operation is under way on it, or has something left."""
    is_busy = operations.active(connection, uuid) is not None or operations.left(connection, uuid) is not None
    return instances.get(connection, uuid), is_busy


def _wanted(
    placement: PlacementClient, server: Instance, provider: str, held: Amounts
) -> dict[str, Mapping[str, int]] | None:
    """What a server should hold, by provider; None when its host has nothing for a group that its flavor asks for.

    What it holds of other parts of its host, for its ports, stays.
    """
    resources = server.flavor.resources(boots_from_volume=server.image_id is None)
    groups = server.flavor.request_groups()
    if groups:
        query = CandidatesQuery(tuple(sorted(resources.items())), (), (), groups, server.flavor.group_policy)
        candidate = next(iter(placement.candidates(query, in_tree=provider, limit=1)), None)
        return None if candidate is None else dict(candidate.allocations)
    parts = {part.uuid for part in placement.providers(in_tree=provider)} - {provider} if len(held) > 1 else set()
    return {provider: resources} | {part: held[part] for part in parts if part in held}


def _claim(placement: PlacementClient, server: Instance, wanted: Amounts) -> None:
    placement.replace(
        Claim(consumer=server.uuid, allocations=wanted, project_id=server.project_id, user_id=server.user_id)
    )
