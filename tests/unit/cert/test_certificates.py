"""nova-cert's authorities, checked by OpenSSL where a user would."""

import logging
import os
import subprocess
from concurrent.futures import ThreadPoolExecutor

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import padding

from nova import errors
from nova.cert.service import Certificates, CertService
from nova.conf import BadConfiguration, load
from nova.rpc.bus import connect
from nova.rpc.cert import BundleKeyInvalid, cert_client

KEY = "00112233445566778899aabbccddeeff"


@pytest.fixture
def make(tmp_path):
    """nova-cert with settings of its own, over one directory."""

    def make_certificates(settings=""):
        return Certificates(configuration(tmp_path, settings))

    return make_certificates


def configuration(directory, settings=""):
    path = directory / "nova.conf"
    path.write_text(
        f"[DEFAULT]\nhost = here\ntransport_url = local://{directory.name}\nstate_path = {directory}\n[crypto]\n{settings}\n"
    )
    return load(files=[str(path)])


def encrypted_for(certificate, text):
    key = x509.load_pem_x509_certificate(certificate.encode()).public_key()
    return key.encrypt(text.encode(), padding.PKCS1v15()).hex()


def verify(directory, *authorities, certificate, revoked=()):
    """What openssl says of a certificate, with the revocation lists of its authorities."""
    bundle, file = directory / "bundle.pem", directory / "certificate.pem"
    bundle.write_text("".join([*authorities, *revoked]))
    file.write_text(certificate)
    check = ["-crl_check"] if revoked else []
    command = ["openssl", "verify", "-x509_strict", *check, "-CAfile", bundle, file]
    said = subprocess.run(command, capture_output=True, text=True, check=False)
    return said.stdout + said.stderr


def test_a_users_certificate_is_good_until_it_is_revoked(make, tmp_path):
    cert = make()
    root = cert.root_certificate()
    alice, bob = cert.issue("alice", "demo"), cert.issue("bob", "demo")
    lists = [cert.revocation_list()]
    assert "OK" in verify(tmp_path, root, certificate=alice.certificate, revoked=lists)

    assert cert.revoke(user_id="alice", project_id="demo") == 1

    lists = [cert.revocation_list()]
    assert "certificate revoked" in verify(tmp_path, root, certificate=alice.certificate, revoked=lists)
    assert "OK" in verify(tmp_path, root, certificate=bob.certificate, revoked=lists)
    assert cert.revoke(project_id="demo") == 1
    assert cert.revoke(project_id="demo") == 0
    with pytest.raises(errors.Invalid):
        cert.revoke()


def test_a_certificate_belongs_to_its_key(make):
    issued = make().issue("alice", "demo")

    key = serialization.load_pem_private_key(issued.private_key.encode(), password=None)
    certificate = x509.load_pem_x509_certificate(issued.certificate.encode())
    assert certificate.public_key() == key.public_key()
    assert certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca is False


def test_words_of_users_add_nothing_to_a_subject(make):
    issued = make("user_cert_subject = /O=Cloud/CN=%s-%.16s-%s\n").issue("a/CN=root", "p/O=Other")

    subject = x509.load_pem_x509_certificate(issued.certificate.encode()).subject
    organization, common = [attribute.value for attribute in subject]
    assert (organization, common.startswith("p/O=Other-a/CN=root-")) == ("Cloud", True)


def test_a_project_may_have_an_authority_of_its_own(make, tmp_path):
    cert = make("use_project_ca = true\n")
    root, demo, other = cert.root_certificate(), cert.root_certificate("demo"), cert.root_certificate("other")
    issued = cert.issue("alice", "demo")

    assert len({root, demo, other}) == 3
    assert "OK" in verify(tmp_path, root, demo, certificate=issued.certificate)
    assert "OK" not in verify(tmp_path, root, other, certificate=issued.certificate)
    key = encrypted_for(demo, KEY)
    assert cert.decrypt("demo", key) == KEY
    with pytest.raises(BundleKeyInvalid):
        cert.decrypt("other", key)
    # Whoever turns the option off can still revoke.
    assert make().revoke(user_id="alice") == 1


def test_only_keys_are_decrypted(make):
    cert = make()
    root = cert.root_certificate()

    assert cert.decrypt("demo", encrypted_for(root, KEY)) == KEY
    for wrong in (
        "",
        "xyz",
        "00" * 10,
        "00" * 384,
        "ff" * 10000,
        encrypted_for(root, "root:x:0:0"),
        encrypted_for(root, KEY)[:-2],
    ):
        with pytest.raises(BundleKeyInvalid) as refusal:
            cert.decrypt("demo", wrong)
        assert str(refusal.value) == BundleKeyInvalid.text


def test_authorities_last_and_their_keys_are_their_owners(make, tmp_path):
    cert = make("use_project_ca = true\n")
    root, demo = cert.root_certificate(), cert.root_certificate("demo")
    issued = cert.issue("alice", "demo")

    again = make("use_project_ca = true\n")

    assert (again.root_certificate(), again.root_certificate("demo")) == (root, demo)
    keys = [path for path in tmp_path.rglob("*") if path.is_file() and b"PRIVATE KEY" in path.read_bytes()]
    assert len(keys) == 2
    assert {path.stat().st_mode & 0o777 for path in keys} == {0o600}
    assert all(issued.private_key not in path.read_text() for path in keys)


def test_many_that_begin_at_once_make_one_root(tmp_path):
    # Read once: a file that is being written again is, for a moment, empty.
    conf = configuration(tmp_path, "")
    with ThreadPoolExecutor(4) as pool:
        roots = set(pool.map(lambda _: Certificates(conf).root_certificate(), range(4)))

    assert len(roots) == 1


def test_an_authority_is_never_made_anew(make, tmp_path):
    make()
    key = tmp_path / "CA/private/cakey.pem"
    content = key.read_bytes()
    key.chmod(0o644)
    with pytest.raises(BadConfiguration, match="600"):
        make()
    key.unlink()
    with pytest.raises(BadConfiguration, match="is not"):
        make()
    assert not key.exists()

    os.close(os.open(key, os.O_CREAT | os.O_WRONLY, 0o600))
    with pytest.raises(BadConfiguration):
        make()
    key.write_bytes(content)
    make()


@pytest.mark.parametrize("subject", ["/CN=%s", "/CN=%s-%s-%s-%s", "/XX=%s-%s-%s", "CN", "/C=Nowhere/CN=%s-%s-%s"])
def test_a_subject_that_is_none_is_known_at_the_start(make, subject):
    with pytest.raises(BadConfiguration, match="user_cert_subject"):
        make(f"user_cert_subject = {subject}\n")


def test_it_answers_on_the_bus_and_no_log_has_a_key(tmp_path, caplog):
    caplog.set_level(logging.DEBUG)
    conf = configuration(tmp_path)
    bus = connect(conf)
    service = CertService(conf, bus)
    service.start()
    try:
        client = cert_client(bus)
        issued = client.issue("alice", "demo")
        assert client.decrypt("demo", encrypted_for(client.root_certificate(), KEY)) == KEY
        with pytest.raises(BundleKeyInvalid):
            client.decrypt("demo", "00")
        assert client.ping() == "here"
    finally:
        service.stop()

    assert "PRIVATE KEY" not in caplog.text + repr(issued)
    assert KEY not in caplog.text
