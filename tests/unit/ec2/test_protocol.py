"""The query protocol, with botocore's own serializer and parser as the other side."""

import datetime
import re
import xml.etree.ElementTree as ElementTree

import botocore.session
import pytest
from botocore import parsers, serialize

from nova.api.ec2 import errors, protocol
from nova.api.ec2.model import model

NOW = datetime.datetime(2026, 1, 2, 3, 4, 5)
SERVICE = botocore.session.get_session().get_service_model("ec2", "2016-11-15")
ACTIONS = sorted(model().operations)
# Shapes hold themselves in places.
DEPTH = 6
TEXT = "a<&>\"'é\U0001f600 b"


def sample(shape, depth=0):
    """A value with every member of a shape."""
    match shape.type_name:
        case "structure":
            if depth >= DEPTH:
                return {}
            return {name: sample(member, depth + 1) for name, member in shape.members.items()}
        case "list":
            return [sample(shape.member, depth + 1) for _ in range(2)]
        case "integer" | "long":
            return 7
        case "float" | "double":
            return 1.5
        case "boolean":
            return True
        case "timestamp":
            return NOW
        case "blob":
            return b"\0\xff bytes"
    return TEXT


def without_zones(value):
    if isinstance(value, datetime.datetime):
        return value.astimezone(datetime.UTC).replace(tzinfo=None) if value.tzinfo else value
    if isinstance(value, dict):
        return {key: without_zones(inner) for key, inner in value.items()}
    return [without_zones(inner) for inner in value] if isinstance(value, list) else value


@pytest.mark.parametrize("action", ACTIONS)
def test_what_a_client_writes_is_read(action):
    operation = SERVICE.operation_model(action)
    given = sample(operation.input_shape)

    body = serialize.create_serializer("ec2", False).serialize_to_request(given, operation)["body"]

    read = protocol.read(model(), action, [(name, _as_sent(value)) for name, value in body.items()])
    assert read == given


@pytest.mark.parametrize("action", ACTIONS)
def test_what_is_written_is_read_by_a_client(action):
    shape = SERVICE.operation_model(action).output_shape
    given = sample(shape) if shape else {}

    document = protocol.write(model(), action, given, "req-1")

    answer = parsers.create_parser("ec2").parse({"status_code": 200, "headers": {}, "body": document}, shape)
    assert answer.pop("ResponseMetadata")["RequestId"] == "req-1"
    assert without_zones(answer) == given


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("Nonsense", "UnknownParameter"),
        ("InstanceId.x", "UnknownParameter"),
        ("InstanceId.9999999999999", "UnknownParameter"),
        ("Filter", "InvalidParameterValue"),
        ("InstanceId.1.2.3", "UnknownParameter"),
        ("MaxResults", "InvalidParameterValue"),
        ("MaxResults.1", "UnknownParameter"),
        ("DryRun", "InvalidParameterValue"),
        ("." * 5000, "UnknownParameter"),
        (".".join(["Filter", *["1"] * 5000]), "UnknownParameter"),
    ],
)
def test_what_the_model_does_not_know_is_refused(name, code):
    with pytest.raises(errors.BadRequest) as caught:
        protocol.read(model(), "DescribeInstances", [(name, "x")])

    assert errors.code_of(caught.value) == code


@pytest.mark.parametrize(
    "pairs",
    [
        [("DryRun", "true"), ("DryRun", "false")],
        [("InstanceId.1", "i-1"), ("InstanceId.01", "i-2")],
        [("InstanceId", "x"), ("InstanceId.1", "i-1")],
        [(f"InstanceId.{number}", "i-1") for number in range(20001)],
    ],
)
def test_what_contradicts_itself_is_refused(pairs):
    with pytest.raises(errors.BadRequest) as caught:
        protocol.read(model(), "DescribeInstances", pairs)

    assert errors.code_of(caught.value) == "MalformedQueryString"


def test_missing_parameters_are_named():
    with pytest.raises(errors.BadRequest, match=r"must contain the parameter M..Count"):
        protocol.read(model(), "RunInstances", [("ImageId", "ami-1")])


def test_lists_may_have_gaps():
    pairs = [("InstanceId.7", "b"), ("InstanceId.3", "a")]

    assert protocol.read(model(), "DescribeInstances", pairs) == {"InstanceIds": ["a", "b"]}


def test_a_list_of_one_may_come_without_a_number():
    assert protocol.read(model(), "DescribeInstances", [("InstanceId", "a")]) == {"InstanceIds": ["a"]}


def test_what_xml_cannot_hold_is_replaced():
    document = protocol.write_error("Code", "a\x00\x1b\ud800<b>", "req-1")

    assert re.search("a\ufffd{3}", ElementTree.fromstring(document).findtext(".//Message"))


def _as_sent(value):
    return value if isinstance(value, str) else str(value).lower() if isinstance(value, bool) else str(value)
