"""Who asks: the identity behind one request, carried by every call made for it."""

import datetime
from typing import Any

import msgspec


class Context(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The caller of one request, as the Identity service vouched for it.

    auth_token goes along so that other services are asked in the caller's name while the request
    is being accepted; it is never stored.
    """

    user_id: str = ""
    project_id: str = ""
    roles: tuple[str, ...] = ()
    is_admin: bool = False
    system_scope: str | None = None
    domain_id: str | None = None
    user_domain_id: str | None = None
    project_domain_id: str | None = None
    service_roles: tuple[str, ...] = ()
    request_id: str = ""
    global_request_id: str | None = None
    auth_token: str | None = None
    remote_address: str | None = None
    # Known where a request is answered, and None where no token has an end.
    token_expires_at: datetime.datetime | None = None

    def policy_credentials(self) -> dict[str, Any]:
        """This identity as the credentials of oslo.policy's checks."""
        return {
            "user_id": self.user_id,
            "project_id": self.project_id,
            "tenant": self.project_id,
            "roles": list(self.roles),
            "is_admin": self.is_admin,
            "is_admin_project": True,
            "system_scope": self.system_scope,
            "domain_id": self.domain_id,
            "user_domain_id": self.user_domain_id,
            "project_domain_id": self.project_domain_id,
            "service_roles": list(self.service_roles),
        }
