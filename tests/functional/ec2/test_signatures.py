"""Whose request it is: signatures of both versions, right, wrong, late, early, repeated and tampered with."""

import base64
import datetime
import hashlib
import hmac
import re
import uuid
from urllib.parse import quote, urlencode

import pytest
import requests
from botocore.auth import SigV4Auth, SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from tests.functional.ec2.conftest import Ec2
from tests.functional.ec2.test_instances import code
from tests.functional.keystone import SECRET

FORM = {"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"}
REGIONS = {"Action": "DescribeRegions", "Version": "2016-11-15"}


def signed(api, method="POST", parameters=REGIONS, signer=SigV4Auth, path="/", key=("user:project", SECRET)):
    """A request as botocore signs it."""
    body = urlencode(parameters) if method == "POST" else ""
    url = f"{api.address}{path}" + ("" if method == "POST" else f"?{urlencode(parameters)}")
    request = AWSRequest(method, url, headers=dict(FORM) if body else {}, data=body)
    signer(Credentials(*key), "ec2", "nova").add_auth(request)
    return request.prepare()


def send(prepared, **changes):
    facts = {"method": prepared.method, "url": prepared.url, "headers": dict(prepared.headers), "data": prepared.body}
    return requests.request(**facts | changes, timeout=30)


def second(api, method="GET", secret=SECRET, **changes):
    """A request signed with version 2."""
    now = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    parameters = {**REGIONS, "AWSAccessKeyId": "user:project", "SignatureVersion": "2", "SignatureMethod": "HmacSHA256"}
    parameters = {key: value for key, value in ({"Timestamp": now} | parameters | changes).items() if value is not None}
    query = "&".join(f"{quote(key, '-_~')}={quote(value, '-_~')}" for key, value in sorted(parameters.items()))
    text = f"{method}\n{api.address.removeprefix('http://')}\n/\n{query}"
    signature = base64.b64encode(hmac.new(secret.encode(), text.encode(), hashlib.sha256).digest()).decode()
    whole = f"{query}&Signature={quote(signature, '')}"
    if method == "GET":
        return requests.get(f"{api.address}/?{whole}", timeout=30)
    return requests.post(f"{api.address}/", whole, headers=FORM, timeout=30)


def error(answer):
    assert answer.status_code < 500, answer.text
    assert answer.headers["Content-Type"].startswith("text/xml")
    return re.search("<Code>(.*)</Code>", answer.text)[1]


@pytest.mark.parametrize(
    ("method", "signer", "path"),
    [
        ("POST", SigV4Auth, "/"),
        ("POST", SigV4Auth, "/services/Cloud"),
        ("POST", SigV4Auth, "/services/Cloud/"),
        ("GET", SigV4Auth, "/"),
        ("GET", SigV4QueryAuth, "/"),
    ],
)
def test_signatures_of_version_4_are_accepted(api, method, signer, path):
    answer = send(signed(api, method, signer=signer, path=path))

    assert answer.status_code == 200, answer.text
    assert "<regionName>nova</regionName>" in answer.text


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_signatures_of_version_2_are_accepted(api, method):
    assert second(api, method).status_code == 200


def test_wrong_secrets_are_refused(api):
    assert code(api.client(secret="wrong").describe_regions) == "AuthFailure"
    assert error(second(api, secret="wrong")) == "AuthFailure"


def test_what_was_changed_after_it_was_signed_is_refused(api):
    post, get = signed(api), signed(api, "GET")
    zones = urlencode(REGIONS | {"Action": "DescribeAvailabilityZones"})

    assert error(send(post, data=zones)) == "AuthFailure"
    assert error(send(post, url=f"{post.url}?{zones}")) == "MalformedQueryString"
    assert error(send(get, url=f"{api.address}/?{zones}")) == "AuthFailure"
    assert error(send(get, data=zones)) == "MalformedQueryString"
    assert error(send(post, headers=dict(post.headers) | {"Host": "elsewhere"})) == "AuthFailure"
    mixed = urlencode(REGIONS | {"SignatureVersion": "0", "Timestamp": "x"})
    assert error(send(post, data=mixed)) == "MissingAuthenticationToken"


def test_nothing_unsigned_is_answered(api):
    assert error(requests.get(f"{api.address}/?{urlencode(REGIONS)}", timeout=30)) == "MissingAuthenticationToken"
    assert error(requests.get(f"{api.address}/elsewhere", timeout=30)) == "InvalidAction"
    assert error(requests.put(f"{api.address}/", timeout=30)) == "MalformedQueryString"


@pytest.mark.parametrize("minutes", [-6, 6, -60 * 24 * 400, 60 * 24 * 400])
def test_a_clock_that_is_far_off_is_told_so(api, minutes):
    when = datetime.datetime.now(datetime.UTC) + datetime.timedelta(minutes=minutes)

    assert error(second(api, Timestamp=when.strftime("%Y-%m-%dT%H:%M:%SZ"))) == "RequestExpired"
    late = signed(api)
    date = when.strftime("%Y%m%dT%H%M%SZ")
    headers = dict(late.headers) | {"X-Amz-Date": date}
    headers["Authorization"] = re.sub(r"/\d{8}/", f"/{date[:8]}/", str(late.headers["Authorization"]))
    assert error(send(late, headers=headers)) == "RequestExpired"


@pytest.mark.parametrize(
    "changes",
    [
        {"Timestamp": "yesterday"},
        {"Timestamp": None},
        {"Timestamp": "9999-12-31T23:59:59-23:00"},
        {"SignatureVersion": "0"},
        {"SignatureVersion": "1"},
        {"SignatureMethod": "HmacSHA1"},
        {"AWSAccessKeyId": None},
        {"SecurityToken": "x"},
        {"Expires": "2020-01-01T00:00:00Z", "Timestamp": None},
        {"X-Amz-Algorithm": "AWS4-HMAC-SHA256"},
    ],
)
def test_signatures_that_make_no_sense_are_refused(api, changes):
    assert error(second(api, **changes)) in (
        "AuthFailure", "IncompleteSignature", "InvalidClientTokenId", "InvalidParameterValue", "MissingParameter",
        "MissingAuthenticationToken", "RequestExpired",
    )  # fmt: skip


@pytest.mark.parametrize(
    "authorization",
    [
        "AWS4-HMAC-SHA256",
        "AWS4-HMAC-SHA256 Credential=, SignedHeaders=, Signature=",
        "AWS4-HMAC-SHA256 Credential=a/b/c/d/e, SignedHeaders=host, Signature=x",
        "AWS4-HMAC-SHA256 Credential=user:project/20260101/nova/ec2/aws4_request, SignedHeaders=;;;, Signature=x",
        "AWS4-HMAC-SHA256 " + "=" * 5000,
        "Basic dXNlcjpwYXNz",
    ],
)
def test_headers_that_make_no_sense_are_refused(api, authorization):
    request = signed(api)

    assert error(send(request, headers=dict(request.headers) | {"Authorization": authorization})) in (
        "IncompleteSignature", "MissingAuthenticationToken",
    )  # fmt: skip


def test_a_signature_that_is_known_is_not_checked_again(api):
    # Signed in the same second, another test's request would be this one.
    request = signed(api, parameters=REGIONS | {"Filter.1.Name": "region-name", "Filter.1.Value.1": uuid.uuid4().hex})
    checks = api.cloud.keystone.checks

    assert [send(request).status_code for _ in range(3)] == [200] * 3
    assert api.cloud.keystone.checks == checks + 1


def test_nobody_gets_in_while_the_identity_service_is_away(api):
    keystone = api.cloud.adapters["http://identity"]
    keystone.fault = "refuses"
    try:
        answer = send(signed(api, parameters=REGIONS | {"AllRegions": "true"}))
    finally:
        keystone.fault = None

    assert answer.status_code == 503
    assert "<Code>Unavailable</Code>" in answer.text


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ({}, "MissingAction"),
        ({"Action": "Nonsense<&>"}, "InvalidAction"),
        (REGIONS | {"Version": "2030-01-01"}, "NoSuchVersion"),
        (REGIONS | {"Nonsense": "1"}, "UnknownParameter"),
        (REGIONS | {"A.1.B" + ".2" * 1000: "1"}, "UnknownParameter"),
        (REGIONS | {"RegionName.1": "a\0b"}, "InvalidParameterValue"),
        (REGIONS | {f"Filter.{n}.{part}": "x" for n in range(10000) for part in ("Name", "Value.1")[:1]},
         "FilterLimitExceeded"),
        (REGIONS | {f"RegionName.{n}": "x" for n in range(20000)}, "MalformedQueryString"),
        (REGIONS | {"Filter.1.Name": "region-name", "Filter.1.Value.1": "*" * 300}, "InvalidParameterValue"),
        (REGIONS | {"Filter.1.Name": "x<&>", "Filter.1.Value.1": "x"}, "InvalidParameterValue"),
        (REGIONS | {"Action": "DescribeInstances", "NextToken": "é%%"}, "InvalidNextToken"),
        (REGIONS | {"Action": "DescribeInstances", "MaxResults": "0"}, "InvalidParameterValue"),
    ],
)  # fmt: skip
def test_what_is_not_understood_is_refused_by_name(api, parameters, expected):
    assert error(send(signed(api, parameters=parameters))) == expected


def test_huge_and_undecodable_bodies_are_refused(api):
    request = signed(api)

    assert error(send(request, data="x=" + "y" * 1100000)) == "MalformedQueryString"
    assert error(send(request, data=b"Action=\xff")) == "MalformedQueryString"
    assert error(send(request, data="Action=%ff")) == "MalformedQueryString"
    assert error(send(request, headers=dict(request.headers) | {"Content-Type": "text/xml"})) == "MalformedQueryString"


def test_the_request_id_is_the_one_of_the_log(api, caplog):
    caplog.set_level("INFO")
    answer = send(signed(api))

    request_id = re.search("<requestId>(req-.*)</requestId>", answer.text)[1]

    assert answer.headers["x-amzn-RequestId"] == request_id
    assert request_id in caplog.text
    assert "Signature=" not in caplog.text.replace("Signature=***", "")


def test_a_real_keystone_accepts_and_refuses_the_same(make_cloud, real_keystone):
    served = Ec2(make_cloud(real_keystone.section("keystone")))
    access, secret = real_keystone.add_credential(*real_keystone.add_user("signer"))

    try:
        right = [
            send(signed(served, "POST", key=(access, secret))),
            send(signed(served, "GET", key=(access, secret))),
            send(signed(served, "GET", signer=SigV4QueryAuth, key=(access, secret))),
            second(served, "GET", secret, AWSAccessKeyId=access),
            second(served, "POST", secret, AWSAccessKeyId=access),
        ]
        wrong = [
            send(signed(served, key=(access, "wrong"))),
            send(signed(served, key=("unknown", secret))),
            second(served, "GET", "wrong", AWSAccessKeyId=access),
        ]
    finally:
        served.stop()

    assert [answer.status_code for answer in right] == [200] * 5, right[0].text
    assert [error(answer) for answer in wrong] == ["AuthFailure"] * 3
