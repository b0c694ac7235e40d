"""Flavors and key pairs."""

from collections.abc import Callable

from sqlalchemy.engine import Connection

from nova import errors
from nova.conductor.acceptance import limits
from nova.conductor.core import Core
from nova.db import events, flavors, keypairs
from nova.structs.context import Context
from nova.structs.event_details import EventDetails
from nova.structs.flavor import Flavor
from nova.structs.keypair import Keypair


class CatalogCalls:
    def __init__(self, core: Core) -> None:
        self._core = core
        self._db = core.db

    def flavors(self, context: Context, include_all: bool = False) -> list[Flavor]:
        project = None if include_all else context.project_id
        return self._db.read(lambda c: flavors.find(c, project, include_disabled=include_all))

    def flavor(self, context: Context, flavor_id: str) -> Flavor:
        """An administrator sees every flavor."""
        project = None if context.is_admin else context.project_id
        return self._db.read(lambda c: flavors.get(c, flavor_id, project))

    def add_flavor(self, context: Context, flavor: Flavor) -> Flavor:
        """A flavor that is not public is nobody's until a project is let in, the creator's own included."""

        def work(connection: Connection) -> Flavor:
            flavors.add(connection, flavor)
            made = flavors.get(connection, flavor.id)
            _log_flavor(connection, context, "create", made, flavors.projects(connection, flavor.id))
            return made

        return self._db.write(work)

    def update_flavor(self, context: Context, flavor_id: str, description: str | None) -> Flavor:
        """The description alone can be changed; None removes it."""
        return self._change(context, flavor_id, lambda c, f: flavors.change(c, flavor_id, description=description))

    def delete_flavor(self, context: Context, flavor_id: str) -> None:
        """Servers keep a copy of the flavor they were made with."""

        def work(connection: Connection) -> None:
            flavor = flavors.get(connection, flavor_id)
            flavors.remove(connection, flavor_id)
            _log_flavor(connection, context, "delete", flavor)

        self._db.write(work)

    def set_extra_specs(self, context: Context, flavor_id: str, specs: dict[str, str]) -> Flavor:
        return self._change(
            context, flavor_id, lambda c, f: flavors.change(c, flavor_id, extra_specs=f.extra_specs | specs)
        )

    def delete_extra_spec(self, context: Context, flavor_id: str, key: str) -> Flavor:
        def remove(connection: Connection, flavor: Flavor) -> None:
            if key not in flavor.extra_specs:
                raise errors.NotFound(f"Flavor {flavor_id} has no extra specs with key {key}.")
            rest = {name: value for name, value in flavor.extra_specs.items() if name != key}
            flavors.change(connection, flavor_id, extra_specs=rest)

        return self._change(context, flavor_id, remove)

    def flavor_projects(self, context: Context, flavor_id: str) -> list[str]:
        def work(connection: Connection) -> list[str]:
            flavors.get(connection, flavor_id)
            return flavors.projects(connection, flavor_id)

        return self._db.read(work)

    def set_flavor_access(self, context: Context, flavor_id: str, project_id: str, is_allowed: bool) -> list[str]:
        def work(connection: Connection) -> list[str]:
            flavor = flavors.get(connection, flavor_id)
            (flavors.allow if is_allowed else flavors.forbid)(connection, flavor_id, project_id)
            projects = flavors.projects(connection, flavor_id)
            _log_flavor(connection, context, "update", flavor, projects)
            return projects

        return self._db.write(work)

    def add_keypair(self, context: Context, keypair: Keypair, is_imported: bool) -> Keypair:
        """The limit is that of the class "default", for each user. Counted without a lock: two at once may pass it."""

        def work(connection: Connection) -> Keypair:
            limit = limits.default(connection, self._core.conf)["key_pairs"]
            if 0 <= limit <= keypairs.count(connection, keypair.user_id):
                raise errors.QuotaExceeded("Quota exceeded, too many key pairs.")
            made = keypairs.add(connection, keypair)
            _log_keypair(connection, context, "import" if is_imported else "create", made)
            return made

        return self._db.write(work)

    def delete_keypair(self, context: Context, user_id: str, name: str) -> None:
        def work(connection: Connection) -> None:
            keypair = keypairs.get(connection, user_id, name)
            keypairs.remove(connection, user_id, name)
            _log_keypair(connection, context, "delete", keypair)

        self._db.write(work)

    def _change(self, context: Context, flavor_id: str, change: Callable[[Connection, Flavor], None]) -> Flavor:
        def work(connection: Connection) -> Flavor:
            change(connection, flavors.get(connection, flavor_id))
            changed = flavors.get(connection, flavor_id)
            _log_flavor(connection, context, "update", changed, flavors.projects(connection, flavor_id))
            return changed

        return self._db.write(work)


def _log_flavor(
    connection: Connection, context: Context, what: str, flavor: Flavor, projects: list[str] | None = None
) -> None:
    events.append(
        connection,
        f"flavor.{what}",
        None,
        {"flavor_id": flavor.id},
        request_id=context.request_id,
        details=EventDetails.of(
            context,
            flavor=flavor,
            projects=None if projects is None else tuple(projects),
        ),
    )


def _log_keypair(connection: Connection, context: Context, what: str, keypair: Keypair) -> None:
    events.append(
        connection,
        f"keypair.{what}",
        None,
        {"user_id": keypair.user_id, "name": keypair.name},
        request_id=context.request_id,
        details=EventDetails.of(context, keypair=keypair),
    )
