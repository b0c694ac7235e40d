"""Aggregates and the availability zones they make.

A host is in one zone at most, and does not change it while it has servers. Placement has the same
aggregates, so that allocation candidates can be asked for by member_of.
"""

import logging
from collections.abc import Callable, Iterable

from sqlalchemy.engine import Connection

from nova import errors
from nova.conductor import announce
from nova.conductor.core import Core
from nova.db import aggregates, events, hosts, instances
from nova.structs.context import Context
from nova.structs.event_details import EventDetails
from nova.structs.host import Aggregate, Node

LOG = logging.getLogger(__name__)

_ZONE = "availability_zone"


class AggregateCalls:
    def __init__(self, core: Core) -> None:
        self._core = core
        self._db = core.db

    def add_aggregate(self, context: Context, name: str, zone: str | None = None) -> Aggregate:
        def work(connection: Connection) -> Aggregate:
            made = aggregates.add(connection, name, {_ZONE: zone} if zone else {})
            _log(connection, context, "create", made)
            return made

        return self._db.write(work)

    def update_aggregate(
        self,
        context: Context,
        aggregate_id: int,
        name: str | None = None,
        metadata: dict[str, str | None] | None = None,
    ) -> Aggregate:
        """The name and the metadata are told of by an event each."""

        def change(connection: Connection, aggregate: Aggregate) -> None:
            wanted = None
            if metadata is not None:
                merged = {**aggregate.metadata, **metadata}
                wanted = {key: value for key, value in merged.items() if value is not None}
                if wanted.get(_ZONE) != aggregate.metadata.get(_ZONE):
                    self._check_zone(connection, aggregate, aggregate.hosts, wanted.get(_ZONE), errors.Invalid)
            aggregates.change(connection, aggregate, name=name, metadata=wanted)

        asked = [("update_prop", name), ("update_metadata", metadata)]
        return self._change(context, aggregate_id, change, [what for what, value in asked if value is not None])

    def delete_aggregate(self, context: Context, aggregate_id: int) -> None:
        def work(connection: Connection) -> None:
            aggregate = aggregates.get(connection, aggregate_id, for_update=True)
            if aggregate.hosts:
                raise errors.Invalid(f"Cannot remove aggregate {aggregate_id}: it has hosts.")
            aggregates.remove(connection, aggregate)
            _log(connection, context, "delete", aggregate)

        self._db.write(work)

    def add_to_aggregate(self, context: Context, aggregate_id: int, host: str) -> Aggregate:
        """Placement learns of it when it is committed; what it does not hear is only logged."""

        def change(connection: Connection, aggregate: Aggregate) -> None:
            if not hosts.services(connection, host, "nova-compute"):
                raise errors.HostNotFound(host=host)
            if host in aggregate.hosts:
                raise errors.Conflict(f"Aggregate {aggregate_id} already has host {host}.")
            zone = aggregate.metadata.get(_ZONE)
            if zone is not None:
                self._check_zone(connection, aggregate, (host,), zone, errors.Conflict)
            aggregates.change(connection, aggregate, members=[*aggregate.hosts, host])

        return self._change(context, aggregate_id, change, ["add_host"], (host,))

    def remove_from_aggregate(self, context: Context, aggregate_id: int, host: str) -> Aggregate:
        def change(connection: Connection, aggregate: Aggregate) -> None:
            if host not in aggregate.hosts:
                raise errors.NotFound(f"Aggregate {aggregate_id} has no host {host}.")
            if _ZONE in aggregate.metadata:
                self._check_zone(connection, aggregate, (host,), None, errors.Conflict)
            aggregates.change(connection, aggregate, members=[member for member in aggregate.hosts if member != host])

        return self._change(context, aggregate_id, change, ["remove_host"], (host,))

    def cache_images(self, context: Context, aggregate_id: int, images: list[str]) -> None:
        """All images are looked up before any host is asked; hosts answer before they have fetched."""
        aggregate = self._db.read(lambda c: aggregates.get(c, aggregate_id))
        wanted = [self._core.step_context.images.get(image, context) for image in images]
        for host in aggregate.hosts:
            self._core.compute(host).cache_images(wanted)
        self._db.write(lambda c: _log(c, context, "cache_images", aggregate))

    def _change(
        self,
        context: Context,
        aggregate_id: int,
        change: Callable[[Connection, Aggregate], None],
        names: Iterable[str],
        moved: Iterable[str] = (),
    ) -> Aggregate:
        """names: of the events that tell of the change. moved: hosts that came or went."""

        def work(connection: Connection) -> Aggregate:
            before = aggregates.get(connection, aggregate_id, for_update=True)
            change(connection, before)
            changed = aggregates.get(connection, aggregate_id)
            for name in names:
                _log(connection, context, name, changed, before)
            return changed

        changed = self._db.write(work)
        for host in moved:
            self._mirror(host)
        announce.hosts_changed(self._core.step_context)
        return changed

    def _check_zone(
        self,
        connection: Connection,
        aggregate: Aggregate,
        concerned: Iterable[str],
        zone: str | None,
        refusal: type[errors.DomainError],
    ) -> None:
        """Whether these hosts may be in this zone (None: in none) by this aggregate."""
        others = [
            other for other in hosts.aggregates(connection) if other.id != aggregate.id and _ZONE in other.metadata
        ]
        for host in concerned:
            elsewhere = {other.metadata[_ZONE] for other in others if host in other.hosts}
            if zone is not None and elsewhere - {zone}:
                raise refusal(f"Host {host} is in availability zone {min(elsewhere - {zone})} already.")
            is_member = host in aggregate.hosts
            before = (aggregate.metadata.get(_ZONE) if is_member else None) or min(elsewhere, default=None)
            after = zone or min(elsewhere, default=None)
            if before != after and instances.count_on_host(connection, host):
                raise refusal(f"Host {host} cannot change its availability zone while it has servers.")

    def _mirror(self, host: str) -> None:
        """Tell Placement which aggregates a host's nodes are in."""

        def work(connection: Connection) -> tuple[list[str], list[Node]]:
            members = [aggregate.uuid for aggregate in hosts.aggregates(connection) if host in aggregate.hosts]
            return members, hosts.nodes(connection, host)

        uuids, nodes = self._db.read(work)
        for node in nodes:
            try:
                self._core.step_context.placement.set_aggregates(node.uuid, uuids)
            except errors.DomainError as error:
                LOG.warning("Placement does not know the aggregates of %s yet: %s", host, error)


def _log(
    connection: Connection, context: Context, what: str, aggregate: Aggregate, before: Aggregate | None = None
) -> None:
    events.append(
        connection,
        f"aggregate.{what}",
        None,
        {"aggregate_id": aggregate.id},
        request_id=context.request_id,
        details=EventDetails.of(
            context,
            aggregate=aggregate,
            aggregate_before=before or aggregate,
        ),
    )
