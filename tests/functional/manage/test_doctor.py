"""What is wrong with a cloud, and what to do about it."""

import datetime
import json

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from nova.cmd.manage import doctor
from tests.functional.manage.printed import paused


@pytest.fixture
def findings(run):
    """What doctor finds beside an empty cloud whose Placement and bus nobody answers for, by subject."""

    def look(more=""):
        done = run("manage", "doctor", "check", "--json", more=more)
        return done.returncode, {one["subject"]: one for one in json.loads(done.stdout)}

    run("manage", "db", "sync")
    return look


def test_a_doctor_says_what_is_wrong_and_what_to_do(findings, tmp_path):
    status, found = findings("[wsgi]\nssl_cert_file = /nowhere.pem\n[api]\nmax_limt = 5\n")

    assert status == 2
    assert found["Placement API"]["is_failure"] and found["Placement"]["is_failure"]
    assert found["nova-conductor"]["is_failure"] and found["nova-scheduler"]["is_failure"]
    assert "No such file" in found["/nowhere.pem"]["text"]
    assert "max_limit" in found["Configuration"]["text"] and not found["Configuration"]["is_failure"]
    assert all(one["remedy"] for one in found.values())


@pytest.mark.parametrize("days, words", [(-1, "has expired"), (10, "expires at"), (100, None)])
def test_a_doctor_looks_at_the_certificate(findings, tmp_path, days, words):
    path = tmp_path / "api.pem"
    path.write_bytes(certificate(days))

    _, found = findings(f"[wsgi]\nssl_cert_file = {path}\n")

    assert words in found[str(path)]["text"] if words else str(path) not in found
    assert found.get(str(path), {"is_failure": days < 0})["is_failure"] == (days < 0)


def certificate(days):
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "api")])
    now = datetime.datetime.now(datetime.UTC)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(1).not_valid_before(now - datetime.timedelta(days=2))
    made = builder.not_valid_after(now + datetime.timedelta(days=days)).sign(key, hashes.SHA256())
    return made.public_bytes(serialization.Encoding.PEM)


@pytest.mark.parametrize("operator", ["waiting"], indirect=True)
def test_a_doctor_sees_who_is_silent_and_what_waits(waiting, operator, monkeypatch):
    cloud, user, server_id = waiting
    paused(operator)
    monkeypatch.setattr(doctor, "_LONG", datetime.timedelta(0))

    [operation] = doctor._operations(cloud.conf)
    [service] = user.get("/os-services?binary=nova-compute").json()["services"]
    user.put(f"/os-services/{service['id']}", {"forced_down": True})
    daemons = {one.subject: one for one in doctor._daemons(cloud.conf)}

    assert operation.subject == f"swap_volume of server {server_id}"
    assert operation.remedy.startswith("nova-manage operation show ")
    assert "openstack compute service set --up" in daemons[f"nova-compute on {service['host']}"].remedy
    user.put(f"/os-services/{service['id']}", {"forced_down": False})
