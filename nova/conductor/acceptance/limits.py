"""Which limits hold for a project: its own, then the class "default", then the configuration."""

from oslo_config import cfg
from sqlalchemy.engine import Connection

from nova.db import quotas
from nova.structs.quota import NETWORK_RESOURCES, RESOURCES

# The resource of each [quota] option whose name differs from it.
_OPTION = {"injected_file_path_bytes": "injected_file_path_length"}


def configured(conf: cfg.ConfigOpts) -> dict[str, int]:
    limits = {name: conf.quota[_OPTION.get(name, name)] for name in RESOURCES}
    return limits | dict.fromkeys(NETWORK_RESOURCES, -1)


def of_class(connection: Connection, conf: cfg.ConfigOpts, name: str) -> dict[str, int]:
    """The limits of a quota class."""
    return configured(conf) | quotas.limits(connection, quotas.CLASS, name)


def default(connection: Connection, conf: cfg.ConfigOpts) -> dict[str, int]:
    """The limits of a project that has none of its own."""
    return of_class(connection, conf, "default")


def in_force(
    connection: Connection, conf: cfg.ConfigOpts, project_id: str, user_id: str | None = None
) -> dict[str, int]:
    """The limits of a project or, with user_id, of one user in it."""
    owners = [(quotas.CLASS, "default", ""), (quotas.PROJECT, project_id, "")]
    if user_id:
        owners.append((quotas.PROJECT, project_id, user_id))
    return configured(conf) | quotas.limits_of(connection, *owners)
