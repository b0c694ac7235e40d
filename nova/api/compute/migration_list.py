"""All migrations, ended ones included: /os-migrations. Source: Compute API reference, "Migrations"."""

from typing import Any

from nova import errors
from nova.api.compute.request import Request
from nova.api.compute.versions import MIGRATIONS_PAGED
from nova.http.declaration import get
from nova.http.schema import INTEGER, LIMIT, LINK, STRING, TIME, UUID, arr, enum, nullable, once, optional, query
from nova.http.view import ABSENT, Page, listing, shows, view
from nova.structs.migration import ENDED, LIVE, Migration, MigrationQuery

_RULES = "os_compute_api:os-migrations:"


def _rights(request: Request) -> frozenset[str]:
    return frozenset(("hosts",)) if request.allows(f"{_RULES}index:host") else frozenset()


def _moment(name: str) -> Any:
    def read(migration: Migration, request: Request) -> str | None:
        moment = getattr(migration, name)
        return None if moment is None else moment.strftime("%Y-%m-%dT%H:%M:%S.%f")

    return read


def _host(name: str) -> Any:
    """Hosts are shown to callers with the rule for them only."""
    return lambda migration, request: getattr(migration, name) if _rights(request) else None


def _links(migration: Migration, request: Request) -> Any:
    if migration.kind != LIVE or migration.status in ENDED:
        return ABSENT
    return request.links(f"/servers/{migration.instance_uuid}/migrations/{migration.id}")


_MIGRATION = view(
    shows("id", INTEGER),
    shows("uuid", UUID, since="2.59"),
    shows("instance_uuid", UUID),
    shows("status", STRING),
    shows("migration_type", enum("migration", "resize", "live-migration", "evacuation"), "kind", since="2.23"),
    shows("source_compute", nullable(STRING), _host("source_host")),
    shows("source_node", nullable(STRING), _host("source_node")),
    shows("dest_compute", nullable(STRING), _host("dest_host")),
    shows("dest_node", nullable(STRING), _host("dest_node")),
    shows("dest_host", nullable(STRING), _host("dest_ip")),
    # Flavors have no numbers here.
    shows("old_instance_type_id", nullable(INTEGER), lambda migration, request: None),
    shows("new_instance_type_id", nullable(INTEGER), lambda migration, request: None),
    shows("created_at", TIME, _moment("created_at")),
    shows("updated_at", nullable(TIME), _moment("updated_at")),
    shows("links", arr(LINK), _links, since="2.23", is_optional=True),
    shows("project_id", STRING, since="2.80"),
    shows("user_id", STRING, since="2.80"),
)
_FILTERS = {
    "host": "host", "instance_uuid": "instance_uuid", "source_compute": "source_host", "status": "status",
    "migration_type": "kind", "user_id": "user_id", "project_id": "project_id",
}  # fmt: skip


@get(
    "/os-migrations",
    policy=f"{_RULES}index",
    query=query(
        *(
            optional(name, STRING)
            for name in ("hidden", "host", "instance_uuid", "source_compute", "status", "migration_type")
        ),
        once("limit", LIMIT, since="2.59"),
        once("marker", STRING, since="2.59"),
        once("changes-since", TIME, since="2.59"),
        once("changes-before", TIME, since="2.66"),
        once("user_id", STRING, since="2.80"),
        once("project_id", STRING, since="2.80"),
        strict_since="2.59",
    ),
    answer=listing("migrations", _MIGRATION, links_since="2.59"),
    errors=(400,),
)
def index(request: Request) -> Page:
    """Migrations of servers, the newest first; of the caller's project, unless the caller may see all."""
    fields: dict[str, Any] = {field: request.first(name) for name, field in _FILTERS.items()}
    if not request.allows(f"{_RULES}index:all_projects"):
        if fields["project_id"] not in (None, request.context.project_id):
            request.check(f"{_RULES}index:all_projects")
        fields["project_id"] = request.context.project_id
    since, before = request.moment("changes-since"), request.moment("changes-before")
    if since and before and since > before:
        raise errors.Invalid("The value of changes-since must be less than or equal to changes-before.")
    most = request.conf.api.max_limit
    requested_limit = request.first("limit")
    limit = most if requested_limit is None else min(requested_limit, most)
    is_paged = request.since(MIGRATIONS_PAGED)
    migrations = request.conductor.migrations(
        request.context,
        MigrationQuery(
            **fields,
            changes_since=since,
            changes_before=before,
            limit=limit if is_paged else None,
            marker=request.first("marker"),
        ),
    )
    return Page(migrations, migrations[-1].uuid if is_paged and migrations and len(migrations) == limit else None)
