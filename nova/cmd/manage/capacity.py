"""nova-manage capacity: how many servers of each flavor still fit, asked of Placement and the scheduler's own filters."""

import argparse
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from oslo_config import cfg
from sqlalchemy.engine import Connection

from nova import errors
from nova.clients.placement import PlacementClient
from nova.clients.placement.query import CandidatesQuery
from nova.cmd.manage.commands import Group, open_database, open_placement, print_table
from nova.conductor.host_picture import host_states
from nova.db import flavors, hosts, instances
from nova.scheduler import filters
from nova.scheduler.decide import pass_filters
from nova.scheduler.host_candidate import HostCandidate
from nova.structs.flavor import Flavor
from nova.structs.host import HostLoad, HostState
from nova.structs.schedule import PlacementRequest


class Fit(msgspec.Struct, frozen=True):
    """count servers on host_count hosts; ends_first: the resource class that is used up first on most of them."""

    count: int
    host_count: int
    ends_first: str


def add(groups: Any) -> None:
    group = Group(groups, "capacity", "how many servers still fit")
    shown = group.add("show", show)
    shown.add_argument("--flavor", action="append", help="a flavor's id or name; may be repeated; default: all")
    shown.add_argument("--zone", help="in this availability zone alone")
    shown.add_argument("--boot-from-volume", action="store_true", help="servers without a root disk of the host's")


def show(conf: cfg.ConfigOpts, arguments: argparse.Namespace) -> int:
    """Print for each flavor how many servers fit, on how many hosts, and which resource ends first.

    Each flavor is counted by itself: servers of one take the room of the others.
    """
    print_table(rows(conf, arguments.flavor, arguments.zone, arguments.boot_from_volume))
    return 0


def rows(
    conf: cfg.ConfigOpts, names: list[str] | None = None, zone: str | None = None, boots_from_volume: bool = False
) -> list[tuple[str, ...]]:
    """A head, and a row for each flavor. Raises FlavorNotFound, Unavailable."""
    known, loads, offered = open_database(conf).read(lambda c: _read(c, conf))
    placement, enabled = open_placement(conf), filters.enabled(conf)
    made: list[tuple[str, ...]] = [("Flavor", "Fit", "Hosts", "Ends first")]
    for flavor in _chosen(offered, names):
        request = _request(flavor, zone, boots_from_volume)
        candidates = _candidates(placement, request, known, loads)
        fit = count(pass_filters(candidates, enabled, request, known).passed, request.amounts)
        made.append((flavor.name, str(fit.count), str(fit.host_count), fit.ends_first))
    return made


def count(candidates: Sequence[HostCandidate], resources: Mapping[str, int]) -> Fit:
    """How many requests for these resources fit onto hosts, one after the other."""
    total, host_count, ends = 0, 0, Counter[str]()
    for host in candidates:
        room = {name: host.free(name) // amount for name, amount in resources.items()}
        if not room or min(room.values()) <= 0:
            continue
        scarce = min(room, key=lambda name: (room[name], name))
        total += room[scarce]
        host_count += 1
        ends[scarce] += 1
    return Fit(total, host_count, ends.most_common(1)[0][0] if ends else "-")


def _read(
    connection: Connection, conf: cfg.ConfigOpts
) -> tuple[dict[str, HostState], Mapping[str, HostLoad], list[Flavor]]:
    states = host_states(connection, hosts.nodes(connection), conf.default_availability_zone)
    return {one.provider_uuid: one for one in states}, instances.loads(connection), flavors.find(connection, None)


def _chosen(offered: list[Flavor], names: list[str] | None) -> list[Flavor]:
    """Raises FlavorNotFound for a name that is none's."""
    if names is None:
        return offered
    chosen: list[Flavor] = []
    for name in names:
        found = [flavor for flavor in offered if name in (flavor.id, flavor.name)]
        if not found:
            raise errors.FlavorNotFound(flavor_id=name)
        chosen += found
    return chosen


def _request(flavor: Flavor, zone: str | None, boots_from_volume: bool) -> PlacementRequest:
    return PlacementRequest(
        instance_id="",
        project_id="",
        user_id="",
        flavor=flavor,
        resources=flavor.resources(boots_from_volume),
        groups=flavor.request_groups(),
        group_policy=flavor.group_policy,
        required_traits=tuple(sorted(flavor.required_traits())),
        forbidden_traits=tuple(sorted(flavor.forbidden_traits())),
        zone=zone,
        is_dry_run=True,
    )


def _candidates(
    placement: PlacementClient,
    request: PlacementRequest,
    known: Mapping[str, HostState],
    loads: Mapping[str, HostLoad],
) -> list[HostCandidate]:
    """One for each host: several ways to have the resources of one are one host's room."""
    found = placement.candidates(CandidatesQuery.of(request))
    by_host = {one.provider: one for one in found if one.provider in known}
    return [
        HostCandidate(known[uuid], one.allocations, one.room, loads.get(known[uuid].host, HostLoad()))
        for uuid, one in by_host.items()
    ]
