"""What nova-cert answers on the bus."""

import hashlib
import logging
import re
import threading
from pathlib import Path

import oslo_messaging
from cryptography import x509
from oslo_config import cfg

from nova import errors
from nova.cert.authority import Authority
from nova.cert.subjects import subject
from nova.clock import utcnow
from nova.rpc.cert import TOPIC, BundleKeyInvalid, CertCalls
from nova.rpc.server import Server
from nova.structs.certificate import IssuedCertificate

LOG = logging.getLogger(__name__)

_ROOT_SUBJECT = "/C=US/ST=California/O=OpenStack/OU=NovaDev/CN=nova root %s"
_LONGEST_ENCRYPTED = 2048
# An AES key of 128, 192 or 256 bits, or an initial vector.
_KEY = re.compile(rb"(?:[0-9a-fA-F]{2}){16}(?:[0-9a-fA-F]{16}){0,2}")


class Certificates(CertCalls):
    """CertCalls over the authorities below [crypto] ca_path. The root is made at once. Raises BadConfiguration."""

    def __init__(self, conf: cfg.ConfigOpts) -> None:
        self._options = conf.crypto
        self._host = conf.host
        self._directory = Path(conf.crypto.ca_path)
        self._names = (conf.crypto.ca_file, conf.crypto.key_file)
        self._lock = threading.Lock()
        self._projects: dict[str, Authority] = {}
        self._root = Authority(self._directory, self._names, subject("root", _ROOT_SUBJECT, _now()))
        # A template that gives no subject is better known now than at the first certificate.
        subject("user_cert_subject", conf.crypto.user_cert_subject, "project", "user", _now())
        subject("project_cert_subject", conf.crypto.project_cert_subject, "project", _now())

    def root_certificate(self, project_id: str | None = None) -> str:
        return self._authority(project_id).pem

    def revocation_list(self, project_id: str | None = None) -> str:
        return self._authority(project_id).revocation_list()

    def issue(self, user_id: str, project_id: str) -> IssuedCertificate:
        name = subject("user_cert_subject", self._options.user_cert_subject, project_id, user_id, _now())
        days = self._options.cert_lifetime_days
        issued = self._authority(project_id).issue(user_id, project_id, name, days)
        LOG.info("user %s has a new certificate in project %s", user_id, project_id)
        return issued

    def revoke(self, user_id: str | None = None, project_id: str | None = None) -> int:
        if user_id is None and project_id is None:
            raise errors.Invalid("A user or a project must be named.")
        count = sum(authority.revoke(user_id, project_id) for authority in self._all())
        LOG.info("%d certificates of user %s in project %s are revoked", count, user_id or "any", project_id or "any")
        return count

    def decrypt(self, project_id: str, encrypted: str) -> str:
        # One answer for everything that is wrong: more would tell of the key.
        try:
            if len(encrypted) > _LONGEST_ENCRYPTED:
                raise BundleKeyInvalid()
            text = self._authority(project_id).decrypt(bytes.fromhex(encrypted))
        except ValueError:
            raise BundleKeyInvalid() from None
        if not _KEY.fullmatch(text):
            raise BundleKeyInvalid()
        return text.decode()

    def ping(self) -> str:
        return str(self._host)

    def _authority(self, project_id: str | None) -> Authority:
        """Who answers for a project."""
        if project_id is None or not self._options.use_project_ca:
            return self._root
        directory = self._directory_of(project_id)
        name = subject("project_cert_subject", self._options.project_cert_subject, project_id, _now())
        with self._lock:
            return self._made(directory, name)

    def _all(self) -> list[Authority]:
        """The root and every project's authority that was made: what they issued stays when the option changes."""
        made = [self._root]
        with self._lock:
            for directory in self._directory.glob("projects/*"):
                # Without a certificate it has issued none.
                if (directory / self._names[0]).exists():
                    made.append(self._made(directory, self._root.certificate.subject))
        return made

    def _made(self, directory: Path, name: x509.Name) -> Authority:
        """A project's authority; name is its subject if it has to be made."""
        if directory.name not in self._projects:
            self._projects[directory.name] = Authority(directory, self._names, name, self._root)
        return self._projects[directory.name]

    def _directory_of(self, project_id: str) -> Path:
        return self._directory / "projects" / hashlib.sha256(project_id.encode()).hexdigest()


class CertService(Server):
    """The daemon: answers on the bus."""

    def __init__(self, conf: cfg.ConfigOpts, bus: oslo_messaging.Transport) -> None:
        super().__init__(bus, TOPIC, conf.host, CertCalls, Certificates(conf))


def _now() -> str:
    return utcnow().strftime("%Y%m%dT%H%M%SZ")
