"""Whether a project exists: the Identity service is asked, in the user's name."""

import logging

from keystoneauth1.adapter import Adapter

from nova import errors
from nova.clients.http import Refusals, Service, segment
from nova.structs.context import Context

LOG = logging.getLogger(__name__)

_REFUSALS: Refusals = {404: errors.NotFound, None: errors.Forbidden}


class ProjectInvalid(errors.Invalid):
    text = "Project ID {project_id} is not a valid project."


class Projects:
    """The Identity service's projects."""

    def __init__(self, adapter: Adapter) -> None:
        self._service = Service("The Identity service", adapter, _REFUSALS)

    def check(self, project_id: str, context: Context) -> None:
        """Raises ProjectInvalid for a project that is known not to exist.

        Where the caller may not know, or the service cannot be asked, the project passes: a quota for nobody
        does no harm, and an administrator can set quotas while the Identity service is away.
        """
        if project_id == context.project_id:
            return
        try:
            missing = ProjectInvalid(project_id=project_id)
            self._service.answer("GET", f"/projects/{segment(project_id)}", missing, context=context)
        except (errors.Unavailable, errors.Unauthorized, errors.Forbidden) as error:
            LOG.warning("project %r is not looked up: %s", project_id, error)
