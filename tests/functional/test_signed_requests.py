"""Signatures that a real Keystone checks, and how often a daemon logs in there for them."""

import base64
import hmac

import pytest
import requests
from keystoneclient.contrib.ec2.utils import Ec2Signer

from nova import conf as configuration
from nova.clients.adapters import service_adapter
from nova.clients.s3_credentials import S3Credentials
from nova.clients.signed_requests import AccessKeyUnknown, SignatureInvalid, SignedRequests
from tests.functional.cloud import wait
from tests.functional.objectstore.stores import User

REQUEST = {
    "host": "ec2",
    "verb": "GET",
    "path": "/",
    "params": {"SignatureVersion": "2", "SignatureMethod": "HmacSHA256"},
}


class CountingSession(requests.Session):
    """logins: the tokens that were issued to the daemon."""

    def __init__(self):
        super().__init__()
        self.trust_env = False
        self.logins = []

    def request(self, method, url, **options):
        answer = super().request(method, url, **options)
        if method == "POST" and url.endswith("/auth/tokens"):
            self.logins.append(answer.headers["X-Subject-Token"])
        return answer


@pytest.fixture
def session():
    return CountingSession()


@pytest.fixture(params=["ec2", "s3"])
def check(request, real_keystone, session, tmp_path):
    """Have a signature checked that is made with a secret: who has signed."""
    (tmp_path / "nova.conf").write_text(real_keystone.section("keystone"))
    adapter = service_adapter(configuration.load(files=[str(tmp_path / "nova.conf")]), "keystone", session)
    ec2, s3 = SignedRequests(adapter, "/ec2tokens"), S3Credentials(adapter)

    def check_ec2(access, secret):
        signed = {**REQUEST, "access": access, "signature": ""}
        return ec2.signer({**signed, "signature": Ec2Signer(secret).generate(signed)}, "req-1")

    def check_s3(access, secret):
        signature = hmac.digest(secret.encode(), b"what is signed", "sha1")
        return s3.check(access, "what is signed", base64.b64encode(signature).decode(), "req-1")

    return {"ec2": check_ec2, "s3": check_s3}[request.param]


@pytest.fixture
def user(real_keystone):
    return User(real_keystone)


def test_the_signer_is_who_the_access_key_belongs_to(check, user):
    signer = check(user.access, user.secret)

    assert (signer.project_id, signer.user_id, signer.is_admin) == (user.project_id, user.id, False)
    assert "member" in signer.roles
    with pytest.raises(SignatureInvalid):
        check(user.access, "wrong")
    with pytest.raises(AccessKeyUnknown):
        check("unknown", user.secret)


def test_a_crowd_of_wrong_signatures_does_not_make_the_daemon_log_in_each_time(check, session, user):
    for _ in range(10):
        with pytest.raises(SignatureInvalid):
            check(user.access, "wrong")

    assert len(session.logins) <= 2


def test_a_daemon_whose_own_token_was_revoked_logs_in_again(check, session, user, real_keystone):
    check(user.access, user.secret)
    own = session.logins[-1]
    real_keystone.ask("DELETE", "/v3/auth/tokens", token=real_keystone.token(), X_Subject_Token=own)

    def logs_in_again():
        assert check(user.access, user.secret).user_id == user.id
        return len(session.logins) == 2

    # A thread of Keystone's may answer once more from what it has in its cache.
    wait(logs_in_again, "the daemon logs in again")
