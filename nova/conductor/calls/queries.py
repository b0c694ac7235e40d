"""Calls that are one query each, by the name of the call: the arguments are the query's, the caller is not asked for."""

import inspect
from collections.abc import Callable
from typing import Any

from nova.db import (
    aggregates,
    events,
    hosts,
    instance_actions,
    instances,
    keypairs,
    open_operations,
    operations,
    server_groups,
    server_migrations,
    usage,
)
from nova.db.engine import Database
from nova.rpc.conductor import ConductorCalls

QUERIES: dict[str, Callable[..., Any]] = {
    "aggregate": aggregates.get,
    "aggregates": hosts.aggregates,
    "decisions": events.decisions,
    "failed_operations": instance_actions.failed,
    "host_loads": instances.loads,
    "instances_on": instances.on_host,
    "keypair": keypairs.get,
    "keypairs": keypairs.find,
    "migrations": server_migrations.find,
    "node": hosts.node,
    "open_operations": open_operations.oldest,
    "operation_steps": open_operations.steps,
    "operations": instance_actions.history,
    "server_group": server_groups.get,
    "server_groups": server_groups.find,
    "server_migration": server_migrations.get,
    "unfinished_steps": operations.waiting_on,
    "usage": usage.find,
}


def bind(db: Database) -> dict[str, Callable[..., Any]]:
    """The calls, each in a transaction of its own that only reads.

    Raises TypeError for a query whose arguments are not those of its call.
    """
    return {name: _bound(db, name, query) for name, query in QUERIES.items()}


def _bound(db: Database, name: str, query: Callable[..., Any]) -> Callable[..., Any]:
    declared = list(inspect.signature(getattr(ConductorCalls, name)).parameters)
    arguments = [argument for argument in declared if argument not in ("self", "context")]
    taken = list(inspect.signature(query).parameters)[1:]
    if len(taken) < len(arguments):
        raise TypeError(f"{name}{tuple(arguments)} is bound to a query of {tuple(taken)}")

    def call(**given: Any) -> Any:
        return db.read(lambda connection: query(connection, *(given[argument] for argument in arguments)))

    return call
