"""Whether a project is one: the Identity service is asked, in the user's name."""

import logging

from keystoneauth1.adapter import Adapter

from nova import errors
from nova.clients.http import Service, segment
from nova.structs.context import Context

LOG = logging.getLogger(__name__)


class ProjectInvalid(errors.Invalid):
    text = "Project ID {project_id} is not a valid project."


class Projects:
    """The Identity service's projects."""

    def __init__(self, adapter: Adapter) -> None:
        self._service = Service("The Identity service", adapter)

    def check(self, project_id: str, context: Context) -> None:
        """Raises ProjectInvalid for a project that is known not to be one.

        Where the caller may not know, or the service cannot be asked, the project is taken for one: a quota for
        nobody does no harm, and an administrator can set quotas while the Identity service is away.
        """
        if project_id == context.project_id:
            return
        try:
            response = self._service.ask("GET", f"/projects/{segment(project_id)}", context)
        except (errors.Unavailable, errors.Unauthorized) as error:
            LOG.warning("project %s is not looked up: %s", project_id, error)
            return
        if response.status_code == 404:
            raise ProjectInvalid(project_id=project_id)
