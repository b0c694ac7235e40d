"""The Identity service's part in S3's signatures: it checks them, and where a body's chunks are signed, gives the secret.

It says, too, whether a token is one of this cloud's services.
"""

import base64

from keystoneauth1.adapter import Adapter

from nova.clients.http import Service, segment
from nova.clients.signed_requests import SignedRequests
from nova.structs.context import Context

# Not "admin": who administers a project of his own, or the cloud, is none of its services.
_SERVICE_ROLE = "service"


class S3Credentials:
    """Asked with this cloud's own credentials."""

    def __init__(self, adapter: Adapter) -> None:
        self._service = Service("The Identity service", adapter)
        self._requests = SignedRequests(adapter, "/s3tokens", gives_token=False)

    def check(self, access: str, string_to_sign: str, signature: str, request_id: str) -> Context:
        """Who signed. Raises AccessKeyUnknown, SignatureInvalid, Unavailable."""
        token = base64.urlsafe_b64encode(string_to_sign.encode()).decode()
        return self._requests.signer({"access": access, "token": token, "signature": signature}, request_id)

    def secret(self, user_id: str, access: str, request_id: str) -> str:
        """The secret of an access key. Raises Unavailable: also where this cloud's user may not read it."""
        path = f"/users/{segment(user_id)}/credentials/OS-EC2/{segment(access)}"
        response = self._service.request("GET", path, Context(request_id=request_id), log=False)
        if response.status_code != 200:
            # Nothing of the answer: it may hold the secret.
            raise self._service.unavailable(f"it answers with status {response.status_code}")
        return str(self._service.part(response, "credential")["secret"])

    def is_service(self, token: str, request_id: str) -> bool:
        """Whether a token is valid and has the role of this cloud's services. Raises Unavailable."""
        headers = {"X-Subject-Token": token}
        response = self._service.request(
            "GET", "/auth/tokens", Context(request_id=request_id), headers=headers, log=False
        )
        if response.status_code != 200:
            return False
        roles = self._service.part(response, "token").get("roles", ())
        return any(role["name"].lower() == _SERVICE_ROLE for role in roles)
