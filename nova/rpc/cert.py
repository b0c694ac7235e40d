"""What nova-cert answers: certificates of users and projects, and what only an authority's key can read."""

from typing import cast

import oslo_messaging

from nova import errors
from nova.rpc.client import make_client
from nova.structs.certificate import IssuedCertificate

TOPIC = "cert"


class BundleKeyInvalid(errors.Invalid):
    text = "The bundle's key was not encrypted for this cloud's certificate."


class CertCalls:
    """One nova-cert answers for a cloud. Where projects have no authorities of their own, the root stands for each."""

    def root_certificate(self, project_id: str | None = None) -> str:
        """The certificate of a project's authority, PEM; of the cloud's root without a project."""

    def revocation_list(self, project_id: str | None = None) -> str:
        """What that authority has revoked, PEM; good for a day."""

    def issue(self, user_id: str, project_id: str) -> IssuedCertificate:
        """A new key and its certificate for a user in a project."""

    def revoke(self, user_id: str | None = None, project_id: str | None = None) -> int:
        """Revoke the certificates of a user, of a project, or of a user in a project; how many there were.

        Raises Invalid for neither.
        """

    def decrypt(self, project_id: str, encrypted: str) -> str:
        """A bundle's AES key or initial vector, in hexadecimal digits; encrypted is so, too. Raises BundleKeyInvalid."""

    def ping(self) -> str:
        """The daemon's host; proof that a message came through its queue."""


def cert_client(bus: oslo_messaging.Transport) -> CertCalls:
    """The nova-cert that listens on the bus."""
    return cast(CertCalls, make_client(bus, TOPIC, CertCalls))
