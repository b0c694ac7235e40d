"""What a workflow's steps may ask: the records, the scheduler, and the services around the cloud."""

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from oslo_config import cfg

from nova import errors
from nova.db import events, hosts, instances, operations, server_groups, server_migrations
from nova.db.engine import Database
from nova.rpc.compute import ComputeCalls
from nova.rpc.scheduler import SchedulerCalls, SchedulerNews
from nova.structs.host import Node
from nova.structs.instance import Instance
from nova.structs.migration import Migration, MigrationQuery
from nova.structs.schedule import Decision, GroupView


@dataclass(frozen=True)
class StepContext:
    """The world outside an operation. Every call may be made twice."""

    conf: cfg.ConfigOpts
    db: Database
    scheduler: SchedulerCalls
    schedulers: SchedulerNews
    placement: Any
    network: Any
    images: Any
    volumes: Any = None
    shares: Any = None
    # Reaches a host's daemon, for questions it answers at once.
    compute: Callable[[str], ComputeCalls] | None = None

    def instance(self, uuid: str, with_user_data: bool = False) -> Instance:
        """As committed now: user data are left out unless they are asked for. Raises ServerNotFound."""
        return self.db.read(lambda c: instances.get(c, uuid, with_user_data=with_user_data))

    def connector(self, host: str) -> dict[str, Any]:
        """A host in the words of the Block Storage API. Raises HostUnreachable, NotImplementedHere."""
        assert self.compute is not None
        return self.compute(host).connector(host)

    def newest_migration(self, instance_uuid: str) -> Migration | None:
        """The server's newest migration, which may hold resources of its source whatever became of it."""
        query = MigrationQuery(instance_uuid=instance_uuid, limit=1)
        return next(iter(self.db.read(lambda c: server_migrations.find(c, query))), None)

    def had_left(self, instance_uuid: str) -> bool:
        """Whether an operation on the server has ended with something left to do."""
        return self.db.read(lambda c: operations.had_left(c, instance_uuid))

    def is_up(self, host: str) -> bool:
        """Whether a host's daemon is known to live."""
        services = self.db.read(lambda c: hosts.services(c, host, "nova-compute"))
        return any(service.is_up and not service.is_forced_down for service in services)

    def is_fenced(self, host: str) -> bool:
        """Whether nothing runs on a host, by an operator's word: it is forced down, or its service was deleted."""
        services = self.db.read(lambda c: hosts.services(c, host, "nova-compute"))
        return all(service.is_forced_down for service in services)

    def is_silent(self, host: str) -> bool:
        """Whether a host does not answer, and nobody has said that nothing runs there."""
        return not self.is_up(host) and not self.is_fenced(host)

    def nodes_of(self, host: str) -> list[Node]:
        return self.db.read(lambda c: hosts.nodes(c, host))

    def servers_on(self, host: str) -> list[Instance]:
        return self.db.read(lambda c: instances.on_host(c, host))

    def hosts_of(self, uuids: tuple[str, ...], project_id: str) -> tuple[str, ...]:
        """Where some servers of a project are; one of another project is nowhere."""
        return self.db.read(lambda c: instances.hosts_of(c, uuids, project_id))

    def group_view(self, group_uuid: str, without: str) -> GroupView | None:
        """A server group as the scheduler is to see it when `without` is placed."""
        return self.db.read(lambda c: server_groups.view(c, group_uuid, without))

    def give_host_back(self, instance_uuid: str) -> None:
        """Release what the server holds in Placement, and let the schedulers forget what they have promised it.

        A scheduler that does not hear of it forgets it by itself in time.
        """
        self.placement.release(instance_uuid)
        with contextlib.suppress(errors.Unavailable):
            self.schedulers.released(instance_uuid)

    def record_decision(self, instance_uuid: str, operation: str, decision: Decision) -> None:
        """Keep how a host was chosen, also when none was."""
        self.db.write(lambda c: events.add_decision(c, instance_uuid, operation, decision))
