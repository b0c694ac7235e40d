"""Volumes, snapshots, images, security groups, addresses and networks through boto3."""

import pytest
from botocore.exceptions import ClientError

from tests.functional.ec2.conftest import wait
from tests.functional.ec2.test_instances import code, instances


def test_a_volume_is_made_attached_grown_detached_and_deleted(api, client):
    (instance_id,) = api.run(client)
    tags = [{"ResourceType": "volume", "Tags": [{"Key": "use", "Value": "data"}]}]
    volume_id = client.create_volume(AvailabilityZone="nova", Size=1, TagSpecifications=tags)["VolumeId"]
    wait(client, "volume_available", VolumeIds=[volume_id])

    client.attach_volume(VolumeId=volume_id, InstanceId=instance_id, Device="/dev/sdf")
    wait(client, "volume_in_use", VolumeIds=[volume_id])
    shown = settled(client, volume_id, "in-use")

    assert shown["Attachments"][0]["InstanceId"] == instance_id
    assert shown["Tags"] == tags[0]["Tags"]
    assert code(client.delete_volume, VolumeId=volume_id) == "VolumeInUse"
    devices = instances(client, InstanceIds=[instance_id])[0]["BlockDeviceMappings"]
    assert [device["Ebs"]["VolumeId"] for device in devices] == [volume_id]

    client.detach_volume(VolumeId=volume_id, InstanceId=instance_id)
    wait(client, "volume_available", VolumeIds=[volume_id])
    assert client.modify_volume(VolumeId=volume_id, Size=2)["VolumeModification"]["TargetSize"] == 2
    assert client.describe_volumes(VolumeIds=[volume_id])["Volumes"][0]["Size"] == 2
    assert client.describe_volume_status(VolumeIds=[volume_id])["VolumeStatuses"][0]["VolumeStatus"]["Status"] == "ok"
    client.delete_volume(VolumeId=volume_id)
    wait(client, "volume_deleted", VolumeIds=[volume_id])


def settled(client, volume_id, state):
    """The volume, once the server's record has it."""
    for _ in range(400):
        shown = client.describe_volumes(VolumeIds=[volume_id])["Volumes"][0]
        if shown["State"] == state and shown["Attachments"] and shown["Attachments"][0]["State"] == "attached":
            return shown
    raise AssertionError(shown)


def test_a_volume_is_made_once_of_a_token(client):
    options = {"AvailabilityZone": "nova", "Size": 1, "ClientToken": "once"}
    first = client.create_volume(**options)

    assert client.create_volume(**options)["VolumeId"] == first["VolumeId"]
    assert code(client.create_volume, **options | {"Size": 2}) == "IdempotentParameterMismatch"


def test_a_snapshot_makes_volumes_and_servers(api, client):
    volume_id = client.create_volume(AvailabilityZone="nova", Size=3)["VolumeId"]
    snapshot_id = client.create_snapshot(VolumeId=volume_id, Description="before")["SnapshotId"]
    wait(client, "snapshot_completed", SnapshotIds=[snapshot_id])

    copy = client.create_volume(AvailabilityZone="nova", SnapshotId=snapshot_id)
    mapping = {"DeviceName": "/dev/vdb", "Ebs": {"SnapshotId": snapshot_id, "DeleteOnTermination": True}}
    (instance_id,) = api.run(client, BlockDeviceMappings=[mapping])

    assert (copy["Size"], copy["SnapshotId"]) == (3, snapshot_id)
    (device,) = instances(client, InstanceIds=[instance_id])[0]["BlockDeviceMappings"]
    assert device["Ebs"]["DeleteOnTermination"] is True
    shown = client.describe_snapshots(OwnerIds=["self"], Filters=[{"Name": "volume-id", "Values": [volume_id]}])
    assert [each["Description"] for each in shown["Snapshots"]] == ["before"]


def test_a_server_boots_from_a_volume_of_its_image(api, client):
    (instance_id,) = api.run(client, BlockDeviceMappings=[{"DeviceName": "/dev/vda", "Ebs": {"VolumeSize": 2}}])

    shown = instances(client, InstanceIds=[instance_id])[0]

    assert shown["RootDeviceType"] == "ebs"
    assert len(shown["BlockDeviceMappings"]) == 1


def test_an_image_is_made_of_a_server_and_deregistered(api, client):
    (instance_id,) = api.run(client)
    image_id = client.create_image(InstanceId=instance_id, Name="a<&>b", Description="d")["ImageId"]
    wait(client, "image_available", ImageIds=[image_id])

    shown = client.describe_images(Owners=["self"], ImageIds=[image_id])["Images"][0]

    assert (shown["Name"], shown["Description"], shown["Public"]) == ("a<&>b", "d", False)
    assert client.describe_image_attribute(ImageId=image_id, Attribute="description")["Description"]["Value"] == "d"
    assert code(api.client(project="other").describe_image_attribute, ImageId=image_id, Attribute="kernel") == (
        "InvalidAMIID.NotFound"
    )
    assert code(api.client(project="other").deregister_image, ImageId=image_id) == "InvalidAMIID.NotFound"
    client.modify_image_attribute(ImageId=image_id, Attribute="description", Value="other")
    client.modify_image_attribute(ImageId=image_id, LaunchPermission={"Add": [{"Group": "all"}]})
    theirs = api.client(project="other").describe_images(ImageIds=[image_id])["Images"][0]
    assert (theirs["Description"], theirs["Public"]) == ("other", True)
    assert code(api.client(project="other").deregister_image, ImageId=image_id) == "AuthFailure"
    client.reset_image_attribute(ImageId=image_id, Attribute="launchPermission")
    assert code(api.client(project="other").describe_images, ImageIds=[image_id]) == "InvalidAMIID.NotFound"
    wanted = {"ImageId": image_id, "LaunchPermission": {"Add": [{"UserId": "other"}]}}
    assert code(client.modify_image_attribute, **wanted) == "Unsupported"
    client.deregister_image(ImageId=image_id)
    assert code(client.describe_images, ImageIds=[image_id]) == "InvalidAMIID.NotFound"


def test_a_groups_rules_are_authorized_and_revoked(api, client):
    vpc = client.describe_vpcs()["Vpcs"][0]["VpcId"]
    group_id = client.create_security_group(GroupName="web", Description="web servers", VpcId=vpc)["GroupId"]
    web = {"IpProtocol": "tcp", "FromPort": 80, "ToPort": 81, "IpRanges": [{"CidrIp": "10.0.0.0/8"}]}
    own = {"IpProtocol": "-1", "UserIdGroupPairs": [{"GroupId": group_id}]}
    ping = {"IpProtocol": "icmp", "FromPort": -1, "ToPort": -1, "Ipv6Ranges": [], "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}

    client.authorize_security_group_ingress(GroupId=group_id, IpPermissions=[web, own, ping])
    shown = client.describe_security_groups(GroupIds=[group_id])["SecurityGroups"][0]

    by_protocol = {each["IpProtocol"]: each for each in shown["IpPermissions"]}
    assert by_protocol["tcp"]["IpRanges"] == web["IpRanges"]
    assert (by_protocol["tcp"]["FromPort"], by_protocol["tcp"]["ToPort"]) == (80, 81)
    assert by_protocol["-1"]["UserIdGroupPairs"][0]["GroupId"] == group_id
    assert by_protocol["icmp"]["FromPort"] == -1
    assert any(each["IpRanges"] == [{"CidrIp": "0.0.0.0/0"}] for each in shown["IpPermissionsEgress"])
    assert code(client.authorize_security_group_ingress, GroupId=group_id, IpPermissions=[web]) == (
        "InvalidPermission.Duplicate"
    )
    missing = web | {"FromPort": 79}
    assert code(client.revoke_security_group_ingress, GroupId=group_id, IpPermissions=[web, missing]) == (
        "InvalidPermission.NotFound"
    )
    client.revoke_security_group_ingress(GroupId=group_id, IpPermissions=[web, own, ping])
    everything = {"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}
    client.revoke_security_group_egress(GroupId=group_id, IpPermissions=[everything])
    assert client.describe_security_groups(GroupIds=[group_id])["SecurityGroups"][0]["IpPermissions"] == []

    (instance_id,) = api.run(client, SecurityGroupIds=[group_id])
    assert instances(client, InstanceIds=[instance_id])[0]["SecurityGroups"] == [{"GroupId": group_id, "GroupName": "web"}]  # fmt: skip
    assert code(client.delete_security_group, GroupId=group_id) == "DependencyViolation"
    assert code(client.delete_security_group, GroupName="default") == "CannotDelete"
    default = client.describe_security_groups(GroupNames=["default"])["SecurityGroups"][0]["GroupId"]
    client.modify_instance_attribute(InstanceId=instance_id, Groups=[default])
    client.delete_security_group(GroupId=group_id)


def test_a_name_means_the_group_that_has_it_now(api, client):
    port = {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "CidrIp": "10.0.0.0/8"}
    first = client.create_security_group(GroupName="again", Description="one")["GroupId"]
    client.authorize_security_group_ingress(GroupName="again", **port)
    client.delete_security_group(GroupName="again")
    second = client.create_security_group(GroupName="again", Description="two")["GroupId"]

    client.authorize_security_group_ingress(GroupName="again", **port)
    (instance_id,) = api.run(client, SecurityGroups=["again"])

    assert second != first
    shown = client.describe_security_groups(GroupIds=[second])["SecurityGroups"][0]
    assert [rule["FromPort"] for rule in shown["IpPermissions"]] == [22]
    groups = instances(client, InstanceIds=[instance_id])[0]["SecurityGroups"]
    assert groups == [{"GroupId": second, "GroupName": "again"}]


@pytest.mark.parametrize(
    ("permission", "expected"),
    [
        ({"IpProtocol": "tcp", "FromPort": 1, "ToPort": 2}, "MissingParameter"),
        ({"IpProtocol": "tcp", "IpRanges": [{"CidrIp": "10.0.0.0/8"}]}, "MissingParameter"),
        (
            {"IpProtocol": "tcp", "FromPort": 9, "ToPort": 2, "IpRanges": [{"CidrIp": "0.0.0.0/0"}]},
            "InvalidParameterValue",
        ),
        ({"IpProtocol": "x", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}, "InvalidParameterValue"),
        ({"IpProtocol": "-1", "IpRanges": [{"CidrIp": "10.0.0.1/8"}]}, "InvalidParameterValue"),
        ({"IpProtocol": "-1", "IpRanges": [{"CidrIp": "::/0"}]}, "InvalidParameterValue"),
        ({"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0", "Description": "d"}]}, "Unsupported"),
        ({"IpProtocol": "-1", "UserIdGroupPairs": [{"GroupId": "sg-ffffffff"}]}, "InvalidGroup.NotFound"),
        ({"IpProtocol": "-1", "PrefixListIds": [{"PrefixListId": "pl-1"}]}, "Unsupported"),
    ],
)
def test_rules_that_make_no_sense_are_refused(client, permission, expected):
    group = client.describe_security_groups(GroupNames=["default"])["SecurityGroups"][0]["GroupId"]

    assert code(client.authorize_security_group_ingress, GroupId=group, IpPermissions=[permission]) == expected


@pytest.fixture(scope="module")
def pool(api):
    """An external network, and a router from the private one to it."""
    operator, admin, url = (
        api.cloud.client("admin", "admin"),
        api.cloud.client("admin", "project"),
        "http://network/v2.0",
    )

    def make(plural, key, client=operator, **facts):
        answer = client.post(f"/{plural}", {key: facts}, url=url)
        assert answer.status_code == 201, answer.text
        return answer.json()[key]

    public = make("networks", "network", name="public", **{"router:external": True})
    make("subnets", "subnet", network_id=public["id"], cidr="203.0.113.0/24", ip_version=4)
    private = next(one for one in admin.get("/subnets", url=url).json()["subnets"] if one["cidr"] == "10.1.0.0/24")
    router = make("routers", "router", admin, external_gateway_info={"network_id": public["id"]})
    added = admin.put(f"/routers/{router['id']}/add_router_interface", {"subnet_id": private["id"]}, url=url)
    assert added.status_code == 200, added.text


def test_an_address_leads_to_a_server_and_comes_back(api, client, pool):
    (instance_id,) = api.run(client)
    made = client.allocate_address(Domain="vpc")
    allocation_id = made["AllocationId"]

    association_id = client.associate_address(AllocationId=allocation_id, InstanceId=instance_id)["AssociationId"]
    shown = client.describe_addresses(AllocationIds=[allocation_id])["Addresses"][0]

    assert made["PublicIp"].startswith("203.0.113.")
    assert (shown["InstanceId"], shown["AssociationId"]) == (instance_id, association_id)
    assert instances(client, InstanceIds=[instance_id])[0]["PublicIpAddress"] == made["PublicIp"]
    assert code(client.release_address, AllocationId=allocation_id) == "InvalidIPAddress.InUse"
    other = api.client(project="other")
    assert code(other.release_address, AllocationId=allocation_id) == "InvalidAllocationID.NotFound"
    assert code(other.disassociate_address, AssociationId=association_id) == "InvalidAssociationID.NotFound"
    client.disassociate_address(AssociationId=association_id)
    client.release_address(AllocationId=allocation_id)
    assert client.describe_addresses()["Addresses"] == []


def test_a_project_is_its_default_vpc(api, client, pool):
    (instance_id,) = api.run(client)
    (vpc,) = client.describe_vpcs(Filters=[{"Name": "is-default", "Values": ["true"]}])["Vpcs"]
    subnets = client.describe_subnets(Filters=[{"Name": "vpc-id", "Values": [vpc["VpcId"]]}])["Subnets"]
    wanted = [{"Name": "attachment.instance-id", "Values": [instance_id]}]
    (interface,) = client.describe_network_interfaces(Filters=wanted)["NetworkInterfaces"]
    (table,) = client.describe_route_tables()["RouteTables"]
    (gateway,) = client.describe_internet_gateways()["InternetGateways"]

    assert vpc["IsDefault"] is True
    assert [subnet["CidrBlock"] for subnet in subnets] == ["10.1.0.0/24"]
    assert interface["SubnetId"] == subnets[0]["SubnetId"]
    assert {route["GatewayId"] for route in table["Routes"]} == {"local", gateway["InternetGatewayId"]}
    assert gateway["Attachments"][0]["VpcId"] == vpc["VpcId"]


def test_a_server_is_on_the_subnet_that_is_named(api, client):
    subnet_id = client.describe_subnets()["Subnets"][0]["SubnetId"]

    (first,) = api.run(client, SubnetId=subnet_id, PrivateIpAddress="10.1.0.77")
    (second,) = api.run(client, NetworkInterfaces=[{"DeviceIndex": 0, "SubnetId": subnet_id}])

    shown = {each["InstanceId"]: each for each in instances(client, InstanceIds=[first, second])}
    assert shown[first]["PrivateIpAddress"] == "10.1.0.77"
    assert shown[second]["SubnetId"] == subnet_id


def test_an_address_on_a_network_of_others_is_not_chosen(api):
    admin, client = api.cloud.client("admin", "admin"), api.client(project="chooser")
    url, body = "http://network/v2.0", {"network": {"name": "shared", "shared": True}}
    network_id = admin.post("/networks", body, url=url).json()["network"]["id"]
    subnet = {"network_id": network_id, "cidr": "10.8.0.0/24", "ip_version": 4}
    assert admin.post("/subnets", {"subnet": subnet}, url=url).status_code == 201
    subnet_id = client.describe_subnets()["Subnets"][0]["SubnetId"]
    chosen = {"SubnetId": subnet_id, "PrivateIpAddress": "10.8.0.53"}

    refusals = [
        code(api.run, client, **chosen),
        code(api.run, client, NetworkInterfaces=[{"DeviceIndex": 0, **chosen}]),
    ]

    # Of this test alone: the other projects have one network each.
    assert admin.delete(f"/networks/{network_id}", url=url).status_code == 204
    assert refusals == ["UnauthorizedOperation"] * 2
    assert instances(client) == []


@pytest.mark.parametrize(
    ("call", "options", "expected"),
    [
        ("describe_volumes", {"VolumeIds": ["vol-ffffffff"]}, "InvalidVolume.NotFound"),
        ("delete_volume", {"VolumeId": "vol-ffffffff"}, "InvalidVolume.NotFound"),
        ("delete_volume", {"VolumeId": "i-00000001"}, "InvalidVolume.Malformed"),
        ("describe_snapshots", {"SnapshotIds": ["snap-ffffffff"]}, "InvalidSnapshot.NotFound"),
        ("delete_snapshot", {"SnapshotId": "snap-ffffffff"}, "InvalidSnapshot.NotFound"),
        ("deregister_image", {"ImageId": "ami-ffffffff"}, "InvalidAMIID.NotFound"),
        ("describe_security_groups", {"GroupIds": ["sg-ffffffff"]}, "InvalidGroup.NotFound"),
        ("delete_security_group", {"GroupName": "none"}, "InvalidGroup.NotFound"),
        ("describe_addresses", {"PublicIps": ["192.0.2.1"]}, "InvalidAddress.NotFound"),
        ("describe_vpcs", {"VpcIds": ["vpc-ffffffff"]}, "InvalidVpcID.NotFound"),
        ("describe_subnets", {"SubnetIds": ["subnet-ffffffff"]}, "InvalidSubnetID.NotFound"),
        ("create_volume", {"AvailabilityZone": "nova", "Size": 1, "Encrypted": True}, "Unsupported"),
        ("create_volume", {"AvailabilityZone": "nova", "Size": 0}, "InvalidParameterValue"),
        ("create_volume", {"AvailabilityZone": "nova"}, "MissingParameter"),
        ("create_security_group", {"GroupName": "a\u00e9", "Description": "d"}, "InvalidParameterValue"),
        ("create_security_group", {"GroupName": "default", "Description": "d"}, "InvalidGroup.Duplicate"),
        ("import_key_pair", {"KeyName": "k", "PublicKeyMaterial": b"nonsense"}, "InvalidKey.Format"),
        ("describe_key_pairs", {"KeyNames": ["none"]}, "InvalidKeyPair.NotFound"),
        ("create_key_pair", {"KeyName": "a<b", "KeyType": "ed25519"}, "InvalidParameterValue"),
    ],
)  # fmt: skip
def test_what_is_not_there_or_not_done_has_its_code(client, call, options, expected):
    client.describe_security_groups()

    assert code(getattr(client, call), **options) == expected


def test_what_is_anothers_looks_like_what_is_not_there(api, client):
    other = api.client(project="stranger")
    group = other.create_security_group(GroupName="theirs", Description="d")["GroupId"]
    (server,) = api.run(other)
    image = other.create_image(InstanceId=server, Name="theirs")["ImageId"]
    volume = api.cloud.cinder.add(project="stranger")
    volume_id = f"vol-{api.cloud.conductor_calls.ec2_numbers('vol', [volume])[0]:08x}"
    vpc = other.describe_vpcs()["Vpcs"][0]["VpcId"]

    def told(call, **options):
        with pytest.raises(ClientError) as caught:
            getattr(client, call)(**options)
        ec2_id = next(iter(options.values()))
        return caught.value.response["Error"]["Code"], caught.value.response["Error"]["Message"].replace(ec2_id, "ID")

    for call, name, theirs, more in (
        ("delete_security_group", "GroupId", group, {}),
        ("describe_image_attribute", "ImageId", image, {"Attribute": "kernel"}),
        ("deregister_image", "ImageId", image, {}),
        ("delete_volume", "VolumeId", volume_id, {}),
        ("create_snapshot", "VolumeId", volume_id, {}),
        ("modify_volume", "VolumeId", volume_id, {"Size": 9}),
        ("create_security_group", "VpcId", vpc, {"GroupName": "g", "Description": "d"}),
    ):
        unknown = f"{theirs.partition('-')[0]}-00ffffff"
        assert told(call, **{name: theirs}, **more) == told(call, **{name: unknown}, **more), call
    for theirs in (group, image, vpc):
        unknown = f"{theirs.partition('-')[0]}-00ffffff"
        codes = {
            code(client.create_tags, Resources=[each], Tags=[{"Key": "k", "Value": "v"}]) for each in (theirs, unknown)
        }
        assert len(codes) == 1, theirs
