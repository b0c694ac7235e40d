"""Whatever a parameter is given, the answer is one of EC2's: never an internal error, and no secret of the inside."""

import re

import pytest

from nova.api.ec2 import ACTIONS
from nova.api.ec2.model import model
from tests.functional.ec2.test_signatures import send, signed

GARBAGE = (
    "",
    "x",
    "-1",
    "0",
    "99999999999999999999",
    "i-00000001",
    "<&>'\"",
    "é\U0001f600",
    "../..",
    "a" * 5000,
    "true",
)
# What a parameter may really be, so that the others are looked at as well.
REAL = {
    "i": "i-00000001", "ImageId": "ami-00000001", "VolumeId": "vol-00000002", "InstanceId": "i-00000001",
    "MinCount": "1", "MaxCount": "1", "Size": "1", "Device": "/dev/vdb", "GroupName": "default", "KeyName": "k",
    "Attribute": "description", "Name": "n", "Description": "d", "AvailabilityZone": "nova",
}  # fmt: skip


def names(shape, paths, prefix=""):
    """The names in a query of what is on some paths of the model: the first item of each list."""
    found = model().shapes[shape]
    if found.kind == "list":
        return names(found.item, paths, f"{prefix}.1")
    if found.kind != "structure":
        return [prefix]
    heads = {path[0] for path in paths if path} or set(found.members)
    return [
        name
        for head in sorted(heads)
        for name in names(
            found.members[head].shape,
            [path[1:] for path in paths if path and path[0] == head],
            f"{prefix}.{found.members[head].query}".lstrip("."),
        )
    ]


def parameters(action):
    declared = ACTIONS[action]
    listed = [declared.lists.ids] if declared.lists and declared.lists.ids else []
    paths = [path.split(".") for path in (*declared.takes, *declared.holds, *listed)]
    taken = model().operations[action][0]
    chosen = names(taken, paths) if paths else []
    return chosen + (["Filter.1.Name", "Filter.1.Value.1", "MaxResults", "NextToken"] if declared.lists else [])


def real(name):
    return REAL.get(name.split(".")[0], REAL.get(name.split(".")[-1], "x"))


@pytest.mark.parametrize("action", sorted(ACTIONS))
def test_no_parameter_causes_an_internal_error(api, client, action):
    if not client.describe_instances()["Reservations"]:
        api.run(client, wait_for=None)
    taken = parameters(action)
    required = model().shapes[model().operations[action][0]].required
    base = {name: real(name) for name in taken if any(_is_below(action, name, member) for member in required)}
    tries = [dict.fromkeys(taken, garbage) for garbage in GARBAGE]
    tries += [base | {name: garbage} for name in taken for garbage in GARBAGE[:4]]

    for given in tries:
        answer = send(
            signed(api, parameters={"Action": action, "Version": model().version, "DryRun": "false", **given})
        )

        assert answer.status_code < 500, (given, answer.text)
        assert answer.status_code == 200 or re.search("<Code>[A-Za-z.0-9]+</Code><Message>.", answer.text), answer.text
        assert "Traceback" not in answer.text


def _is_below(action, name, member):
    return name.split(".")[0] == model().shapes[model().operations[action][0]].members[member].query


def test_a_list_of_one_may_come_without_a_number(api, client):
    client.create_key_pair(KeyName="alone")
    client.create_key_pair(KeyName="other")
    asked = {"Action": "DescribeKeyPairs", "Version": model().version}

    answers = [send(signed(api, parameters={**asked, "KeyName": name})) for name in ("alone", "none")]

    assert [answer.status_code for answer in answers] == [200, 400]
    assert re.findall("<keyName>([a-z]+)</keyName>", answers[0].text) == ["alone"]
    assert "InvalidKeyPair.NotFound" in answers[1].text


def test_the_state_that_a_server_has_now_comes_first(api, client):
    (instance_id,) = api.run(client)
    asked = {"Action": "TerminateInstances", "Version": model().version, "InstanceId.1": instance_id}

    answer = send(signed(api, parameters=asked))

    assert re.findall("<name>([a-z-]+)</name>", answer.text) in (
        ["shutting-down", "running"],
        ["terminated", "running"],
    )
