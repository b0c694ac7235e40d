"""Instances through boto3: their life, what they show, and what is refused."""

import base64
import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest
from botocore.exceptions import ClientError
from sqlalchemy import event
from sqlalchemy.engine import Engine

from nova.structs.context import Context
from nova.structs.ec2 import Tag
from tests.functional.ec2.conftest import wait


def test_a_server_lives_and_dies(api, client):
    (instance_id,) = api.run(client)

    client.stop_instances(InstanceIds=[instance_id])
    wait(client, "instance_stopped", InstanceIds=[instance_id])
    client.start_instances(InstanceIds=[instance_id])
    wait(client, "instance_running", InstanceIds=[instance_id])
    wait(client, "instance_status_ok", InstanceIds=[instance_id])
    client.reboot_instances(InstanceIds=[instance_id])
    wait(client, "instance_running", InstanceIds=[instance_id])
    ended = client.terminate_instances(InstanceIds=[instance_id])["TerminatingInstances"][0]
    wait(client, "instance_terminated", InstanceIds=[instance_id])

    assert ended["InstanceId"] == instance_id
    assert instances(client, InstanceIds=[instance_id])[0]["State"] == {"Code": 48, "Name": "terminated"}
    assert client.terminate_instances(InstanceIds=[instance_id])["TerminatingInstances"][0]["InstanceId"] == instance_id


def test_what_was_requested_is_shown(api, client):
    pair = client.create_key_pair(KeyName="mine", KeyType="ed25519")
    tags = [{"ResourceType": "instance", "Tags": [{"Key": "Name", "Value": "a<&>b"}]}]
    (instance_id,) = api.run(
        client, KeyName="mine", UserData="#!/bin/sh", TagSpecifications=tags, Placement={"AvailabilityZone": "nova"}
    )

    shown = instances(client, InstanceIds=[instance_id])[0]
    user_data = client.describe_instance_attribute(InstanceId=instance_id, Attribute="userData")["UserData"]["Value"]

    assert "PRIVATE KEY" in pair["KeyMaterial"]
    assert shown["Tags"] == [{"Key": "Name", "Value": "a<&>b"}]
    assert (shown["KeyName"], shown["InstanceType"]) == ("mine", "m1.tiny")
    assert shown["Placement"]["AvailabilityZone"] == "nova"
    assert shown["PrivateIpAddress"].startswith("10.1.0.")
    assert shown["NetworkInterfaces"][0]["PrivateIpAddress"] == shown["PrivateIpAddress"]
    assert shown["SecurityGroups"][0]["GroupName"] == "default"
    assert base64.b64decode(user_data) == b"#!/bin/sh"
    client.delete_key_pair(KeyName="mine")


def test_the_same_request_is_accepted_once(api, client):
    first = api.run(client, 2, ClientToken="once")

    again = api.run(client, 2, ClientToken="once")

    assert sorted(again) == sorted(first)
    assert code(api.run, client, 3, ClientToken="once") == "IdempotentParameterMismatch"
    assert set(api.run(api.client(project="other"), ClientToken="once", wait_for=None)).isdisjoint(first)


def test_lists_are_cut_into_pages_without_loss(api):
    client = api.client(project="pages")
    made = api.run(client, 5)

    pages = list(client.get_paginator("describe_instances").paginate(PaginationConfig={"PageSize": 2}))

    shown = [each["InstanceId"] for page in pages for group in page["Reservations"] for each in group["Instances"]]
    assert len(pages) == 3
    assert shown == sorted(made)


def test_filters_choose(api):
    client = api.client(project="filters")
    first, second = api.run(client, 2)
    client.create_tags(Resources=[first], Tags=[{"Key": "role", "Value": "web*1"}])

    def chosen(*filters):
        wanted = [{"Name": name, "Values": list(values)} for name, *values in filters]
        return [each["InstanceId"] for each in instances(client, Filters=wanted)]

    assert chosen(("tag:role", "web?1")) == chosen(("tag:role", "web\\*1")) == [first]
    assert chosen(("tag-key", "role")) == chosen(("tag:role", "nothing", "w*")) == [first]
    assert chosen(("tag:role", "web\\?1")) == chosen(("tag:role", "web")) == []
    assert chosen(("instance-state-name", "running")) == sorted([first, second])
    assert chosen(("instance-state-name", "running"), ("instance-id", second)) == [second]


def test_dry_runs_do_nothing(api, client):
    before = len(instances(client))

    assert code(api.run, client, DryRun=True) == "DryRunOperation"
    assert code(api.run, api.client(user="reader"), DryRun=True) == "UnauthorizedOperation"
    assert len(instances(client)) == before


def test_what_a_guest_wrote_is_read(api, client):
    (instance_id,) = api.run(client)

    assert isinstance(client.get_console_output(InstanceId=instance_id)["Output"], str)
    assert client.get_password_data(InstanceId=instance_id)["PasswordData"] == ""


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"ImageId": "ami-ffffffff"}, "InvalidAMIID.NotFound"),
        ({"ImageId": "nonsense"}, "InvalidAMIID.Malformed"),
        ({"InstanceType": "x<&>large"}, "InvalidParameterValue"),
        ({"KeyName": "none"}, "InvalidKeyPair.NotFound"),
        ({"SecurityGroupIds": ["sg-ffffffff"]}, "InvalidGroup.NotFound"),
        ({"SecurityGroups": ["none"]}, "InvalidGroup.NotFound"),
        ({"SubnetId": "subnet-ffffffff"}, "InvalidSubnetID.NotFound"),
        ({"Placement": {"AvailabilityZone": "none"}}, "InvalidParameterValue"),
        ({"Placement": {"HostId": "h-1"}}, "Unsupported"),
        ({"InstanceInitiatedShutdownBehavior": "terminate"}, "Unsupported"),
        ({"EbsOptimized": True}, "Unsupported"),
        ({"MinCount": 0}, "InvalidParameterValue"),
        ({"MinCount": 5}, "InvalidParameterValue"),
        ({"MinCount": "x"}, "InvalidParameterValue"),
        ({"MaxCount": 10**10}, "InvalidParameterValue"),
        ({"MinCount": 100, "MaxCount": 100}, "InstanceLimitExceeded"),
        ({"ClientToken": "é" * 3}, "InvalidParameterValue"),
        ({"BlockDeviceMappings": [{"DeviceName": "/dev/vdb"}]}, "MissingParameter"),
        ({"BlockDeviceMappings": [{"DeviceName": "/dev/vdb", "Ebs": {"SnapshotId": "snap-ffffffff"}}]},
         "InvalidSnapshot.NotFound"),
        ({"TagSpecifications": [{"ResourceType": "volume", "Tags": []}]}, "InvalidParameterValue"),
        ({"TagSpecifications": [{"ResourceType": "instance", "Tags": [{"Key": "k" * 128}]}]}, "InvalidParameterValue"),
        ({"NetworkInterfaces": [{"DeviceIndex": 1, "SubnetId": "subnet-1"}]}, "InvalidParameterValue"),
    ],
)  # fmt: skip
def test_what_cannot_be_run_is_refused(api, client, options, expected):
    before = len(instances(client))

    assert code(api.run, client, **options) == expected
    assert len(instances(client)) == before


def test_others_servers_are_unknown(api, client):
    (other,) = api.run(api.client(project="other"))
    unknown = "i-00ffffff"
    for call, options in (
        (client.describe_instances, {"InstanceIds": []}),
        (client.start_instances, {"InstanceIds": []}),
        (client.stop_instances, {"InstanceIds": []}),
        (client.reboot_instances, {"InstanceIds": []}),
        (client.terminate_instances, {"InstanceIds": []}),
        (client.describe_instance_status, {"InstanceIds": []}),
        (client.get_console_output, {"InstanceId": ""}),
        (client.get_password_data, {"InstanceId": ""}),
        (client.describe_instance_attribute, {"InstanceId": "", "Attribute": "instanceType"}),
        (client.create_tags, {"Resources": [], "Tags": [{"Key": "k", "Value": "v"}]}),
    ):
        (name,) = [key for key, value in options.items() if value in ("", [])]
        for instance_id in (other, unknown):
            given = options | {name: [instance_id] if options[name] == [] else instance_id}
            with pytest.raises(ClientError) as caught:
                call(**given)
            error = caught.value.response["Error"]
            assert error["Code"] == "InvalidInstanceID.NotFound", (call, error)
            assert error["Message"] == f"The ID '{instance_id}' does not exist"


def test_all_servers_of_a_request_are_known_before_one_is_touched(api, client):
    (instance_id,) = api.run(client)

    assert code(client.terminate_instances, InstanceIds=[instance_id, "i-00ffffff"]) == "InvalidInstanceID.NotFound"
    assert instances(client, InstanceIds=[instance_id])[0]["State"]["Name"] == "running"


def test_a_wrong_state_is_a_code_of_its_own(api, client):
    (instance_id,) = api.run(client)
    client.stop_instances(InstanceIds=[instance_id])
    wait(client, "instance_stopped", InstanceIds=[instance_id])

    assert code(client.reboot_instances, InstanceIds=[instance_id]) == "IncorrectInstanceState"


def test_tags_come_and_go(api):
    client = api.client(project="tags")
    (instance_id,) = api.run(client)
    image_id = api.image(client)
    client.create_tags(Resources=[instance_id, image_id], Tags=[{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "2"}])
    client.delete_tags(Resources=[instance_id, image_id], Tags=[{"Key": "a", "Value": "0"}, {"Key": "b"}])

    shown = {(each["ResourceId"], each["ResourceType"], each["Key"], each["Value"]) for each in client.describe_tags()["Tags"]}  # fmt: skip

    assert shown == {(instance_id, "instance", "a", "1"), (image_id, "image", "a", "1")}
    assert client.describe_images(Filters=[{"Name": "tag:a", "Values": ["1"]}])["Images"][0]["ImageId"] == image_id
    assert api.client(project="others").describe_tags()["Tags"] == []
    client.delete_tags(Resources=[instance_id, image_id])
    assert client.describe_tags()["Tags"] == []


def test_a_thing_has_fifty_tags(api):
    client = api.client(project="fifty tags")
    image_id = api.image(client)
    many = [{"Key": str(number), "Value": "v"} for number in range(51)]
    client.create_tags(Resources=[image_id], Tags=many[:50])

    assert code(client.create_tags, Resources=[image_id], Tags=many[50:]) == "TagLimitExceeded"
    client.create_tags(Resources=[image_id], Tags=[{"Key": "0", "Value": "replaced"}])
    shown = {each["Key"]: each["Value"] for each in client.describe_tags()["Tags"]}
    assert shown == {tag["Key"]: tag["Value"] for tag in many[:50]} | {"0": "replaced"}


def test_no_request_writes_more_tags_than_a_thing_has(api):
    client = api.client(project="many tags")
    image_id = api.image(client)
    many = [{"Key": str(number)} for number in range(51)]

    assert code(client.create_tags, Resources=[image_id], Tags=many) == "TagLimitExceeded"
    assert code(client.delete_tags, Resources=[image_id], Tags=many) == "TagLimitExceeded"
    halves = [{"ResourceType": "key-pair", "Tags": half} for half in (many[:30], many[30:])]
    assert code(client.create_key_pair, KeyName="tagged", TagSpecifications=halves) == "TagLimitExceeded"
    assert client.describe_tags()["Tags"] == client.describe_key_pairs()["KeyPairs"] == []
    names = [f"ami-{number:08x}" for number in range(1001)]
    assert code(client.create_tags, Resources=names, Tags=many[:1]) == "InvalidParameterValue"
    assert code(client.delete_tags, Resources=names) == "InvalidParameterValue"


def test_many_tags_of_many_things_are_few_statements(api):
    """What a request may write at most is written while others hardly wait."""
    client = api.client(project="statements")
    statements = []

    def count(*arguments):
        statements.append(arguments[2])

    tags = [Tag(target=f"key-{thing:08x}", key=str(key), value="v") for thing in range(1000) for key in range(50)]
    context = Context(user_id="user", project_id="statements")
    event.listen(Engine, "before_cursor_execute", count)
    try:
        api.cloud.conductor_calls.change_ec2_tags(context, tags, [])
        api.cloud.conductor_calls.change_ec2_tags(context, [], tags)
    finally:
        event.remove(Engine, "before_cursor_execute", count)

    assert client.describe_tags()["Tags"] == []
    assert len(statements) < 1000


def test_types_zones_and_regions_are_the_clouds(api, client):
    types = {each["InstanceType"]: each for each in client.describe_instance_types()["InstanceTypes"]}

    assert types["m1.small"]["VCpuInfo"]["DefaultVCpus"] == 2
    assert types["m1.small"]["MemoryInfo"]["SizeInMiB"] == 2048
    assert [zone["ZoneName"] for zone in client.describe_availability_zones()["AvailabilityZones"]] == ["nova"]
    assert client.describe_regions()["Regions"][0]["Endpoint"] == api.address
    attributes = client.describe_account_attributes()["AccountAttributes"]
    assert {each["AttributeName"] for each in attributes} >= {"default-vpc", "supported-platforms"}


@pytest.mark.parametrize("section", ["keystone", "neutron"])
def test_the_region_is_the_one_in_which_other_services_are_looked_up(api, client, section):
    api.cloud.conf.set_override("region_name", "north", group=section)
    try:
        zones = client.describe_availability_zones(Filters=[{"Name": "region-name", "Values": ["north"]}])
        regions = client.describe_regions()["Regions"]
    finally:
        api.cloud.conf.clear_override("region_name", group=section)

    assert [(zone["ZoneName"], zone["RegionName"]) for zone in zones["AvailabilityZones"]] == [("nova", "north")]
    assert [region["RegionName"] for region in regions] == ["north"]


def test_the_number_is_the_one_the_guest_reads(api, client):
    (instance_id,) = api.run(client)

    uuid = api.cloud.conductor_calls.ec2_targets("i", [int(instance_id.removeprefix("i-"), 16)])[0]

    assert api.cloud.client().server(uuid)["id"] == uuid


def instances(client, **options):
    reservations = client.describe_instances(**options)["Reservations"]
    return [instance for reservation in reservations for instance in reservation["Instances"]]


def code(call, *arguments, **options):
    """The code of the error that a call answers."""
    with pytest.raises(ClientError) as caught:
        call(*arguments, **options)
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] < 500
    return caught.value.response["Error"]["Code"]


def test_a_request_that_is_sent_four_times_at_once_is_accepted_once(api):
    clients = [api.client(project="crowd") for _ in range(4)]

    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(lambda client: api.run(client, 2, wait_for=None, ClientToken="crowd"), clients))

    assert len({tuple(sorted(ids)) for ids in made}) == 1
    assert len(instances(clients[0])) == 2


def test_ids_are_the_same_in_every_process_and_no_two_things_share_one(api, client):
    calls = api.cloud.conductor_calls
    targets = [str(uuid.uuid4()) for _ in range(600)]

    with ThreadPoolExecutor(4) as pool:
        numbers = list(pool.map(lambda _: calls.ec2_numbers("vol", targets), range(4)))

    assert all(each == numbers[0] for each in numbers)
    assert len(set(numbers[0])) == 600
    assert calls.ec2_targets("vol", numbers[0]) == targets
    assert calls.ec2_targets("snap", numbers[0]) == [None] * 600
