"""Limits of projects and of the class "default"."""

from sqlalchemy.engine import Connection

from nova import errors
from nova.conductor.acceptance import limits
from nova.conductor.core import Core
from nova.db import quotas
from nova.structs.quota import Quota


class QuotaCalls:
    def __init__(self, core: Core) -> None:
        self._core = core

    def quota(self, project_id: str, user_id: str | None = None) -> Quota:
        return self._core.db.read(lambda c: self._quota(c, project_id, user_id))

    def default_quota(self, name: str = "default") -> Quota:
        return Quota(limits=self._core.db.read(lambda c: limits.of_class(c, self._core.conf, name)))

    def set_quota(
        self, project_id: str, limits: dict[str, int], user_id: str | None = None, force: bool = False
    ) -> Quota:
        """Limits that are not named stay. -1 is no limit."""

        def work(connection: Connection) -> Quota:
            used = quotas.usage(connection, project_id)
            if not force:
                for resource, limit in sorted(limits.items()):
                    if 0 <= limit < used.get(resource, 0):
                        raise errors.Invalid(
                            f"Quota limit {limit} for {resource} must be greater than or equal to already used and "
                            f"reserved {used[resource]}."
                        )
            quotas.set_limits(connection, quotas.PROJECT, project_id, limits, user_id or "")
            return self._quota(connection, project_id, user_id)

        return self._core.db.write(work)

    def delete_quota(self, project_id: str, user_id: str | None = None) -> None:
        """user_id None: those of all the project's users, too."""
        self._core.db.write(lambda c: quotas.clear_limits(c, quotas.PROJECT, project_id, user_id))

    def set_default_quota(self, limits: dict[str, int], name: str = "default") -> Quota:
        self._core.db.write(lambda c: quotas.set_limits(c, quotas.CLASS, name, limits))
        return self.default_quota(name)

    def _quota(self, connection: Connection, project_id: str, user_id: str | None) -> Quota:
        return Quota(
            limits=limits.in_force(connection, self._core.conf, project_id, user_id),
            in_use=quotas.usage(connection, project_id),
        )
