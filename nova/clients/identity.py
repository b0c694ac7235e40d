"""What the Identity service is asked in a user's name: whether a project exists, and for a token."""

import datetime
import logging
from typing import NamedTuple

from keystoneauth1 import exceptions
from keystoneauth1.adapter import Adapter
from keystoneauth1.identity.v3 import Password

from nova import errors
from nova.clients.http import IDENTITY, Refusals, Service, segment
from nova.structs.context import Context

LOG = logging.getLogger(__name__)

_REFUSALS: Refusals = {404: errors.NotFound, None: errors.Forbidden}


class ProjectInvalid(errors.Invalid):
    text = "Project ID {project_id} is not a valid project."


class Projects:
    """The Identity service's projects."""

    def __init__(self, adapter: Adapter) -> None:
        self._service = Service(IDENTITY, adapter, _REFUSALS)

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


class Login(NamedTuple):
    """A token, and when it ends (UTC, with its zone)."""

    token: str
    expires_at: datetime.datetime


class Logins:
    """Tokens for users who give their names and passwords."""

    def __init__(self, adapter: Adapter) -> None:
        self._adapter = adapter
        self._service = Service(IDENTITY, adapter)

    def begin(self, user: str, password: str, project: str, domain: str) -> Login:
        """A token of the user for the project; domain is the name of that of both. Raises Unauthorized, Unavailable."""
        try:
            plugin = Password(
                self._adapter.get_endpoint() or "",
                password,
                username=user,
                user_domain_name=domain,
                project_name=project,
                project_domain_name=domain,
                include_catalog=False,
            )
            access = plugin.get_access(self._adapter.session)
        except (exceptions.Unauthorized, exceptions.NotFound, exceptions.BadRequest) as error:
            LOG.info("the login of a user is refused: %s", error)
            raise errors.Unauthorized() from error
        except exceptions.ClientException as error:
            raise self._service.unreachable(error) from error
        if access.auth_token is None or access.expires is None:
            raise self._service.unavailable("its answer cannot be understood")
        return Login(access.auth_token, access.expires)

    def end(self, context: Context) -> None:
        """Revoke the caller's token; no error when it does not count any more. Raises Unavailable."""
        subject = {"X-Subject-Token": context.auth_token or ""}
        try:
            response = self._service.request("DELETE", "/auth/tokens", context, headers=subject)
        except errors.Unauthorized:
            return
        if response.status_code not in (204, 404):
            raise self._service.failed(response)
