"""What is asked of the Identity service: whether a project exists, and who has signed a request."""

import logging
import time
from typing import Any

from keystoneauth1 import exceptions
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
            LOG.warning("project %s is not looked up: %s", project_id, error)


# A refusal of a signature and one of our own token look alike. So often, at most, a new token of our own is tried.
_LOGIN_EVERY_S = 30


class SignatureInvalid(errors.Unauthorized):
    text = "The Identity service does not accept the signature."


class SignedRequests:
    """Whose signature a request of another protocol carries. path: where the Identity service checks this kind.

    url: where it is when the catalog is not to say it.
    """

    def __init__(self, adapter: Adapter, path: str, url: str | None = None) -> None:
        self._service = Service("The Identity service", adapter)
        self._path = url or path
        self._logged_in_at = 0.0

    def token(self, credentials: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        """A token of the user who has signed, and what it says. Raises SignatureInvalid, Unavailable."""
        response = self._post(credentials, may_log_in=False)
        if response.status_code == 401 and time.monotonic() >= self._logged_in_at + _LOGIN_EVERY_S:
            self._logged_in_at = time.monotonic()
            response = self._post(credentials, may_log_in=True)
        if response.status_code in (400, 401, 404):
            raise SignatureInvalid()
        if response.status_code != 200 or not response.headers.get("X-Subject-Token"):
            raise self._service.failed(response)
        return response.headers["X-Subject-Token"], dict(self._service.part(response, "token"))

    def _post(self, credentials: dict[str, Any], may_log_in: bool) -> Any:
        body = {"credentials": credentials}
        try:
            return self._service.adapter.post(
                self._path, json=body, raise_exc=False, allow_reauth=may_log_in, log=False
            )
        except exceptions.ClientException as error:
            raise self._service.unreachable(error) from error
