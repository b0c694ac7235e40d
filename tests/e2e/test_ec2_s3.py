"""What a client of Amazon's protocols does in this cloud, with a pair of keys that Keystone has made."""

import json

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from tests.e2e.running_cloud import run, unused_name

pytestmark = pytest.mark.mode("distributed")

REGION = "RegionOne"


class User:
    """One user of one project, and what boto3 makes of the service catalog and a pair of keys."""

    def __init__(self, cloud, name):
        self._environment = cloud.environment() | {"OS_USERNAME": name, "OS_PROJECT_NAME": name}
        self._keys = json.loads(self._run("create", "--format", "json"))
        self.ec2, self.s3 = self._client(cloud, "ec2"), self._client(cloud, "s3")

    def forget_keys(self):
        self._run("delete", self._keys["access"])

    def _run(self, *words):
        return run(["openstack", "ec2", "credentials", *words], self._environment, timeout_s=120)

    def _client(self, cloud, service):
        return boto3.client(
            service,
            endpoint_url=cloud.sdk().session.get_endpoint(service_type=service, region_name=REGION),
            aws_access_key_id=self._keys["access"],
            aws_secret_access_key=self._keys["secret"],
            region_name=REGION,
            config=Config(retries={"total_max_attempts": 1}),
        )


@pytest.fixture(scope="module")
def users(cloud):
    """Somebody without special rights, and somebody of another project."""
    made = [User(cloud, name) for name in ("demo", "admin")]
    yield made
    for user in made:
        user.forget_keys()


def code(call, **what):
    """How a call is refused."""
    with pytest.raises(ClientError) as refused:
        call(**what)
    return refused.value.response["Error"]["Code"]


def test_objects_are_put_and_got_by_their_project_alone(users):
    user, stranger = users
    bucket, body = unused_name("photos"), bytes(range(256)) * 4096
    user.s3.create_bucket(Bucket=bucket)
    user.s3.put_object(Bucket=bucket, Key="a/b.jpg", Body=body, Metadata={"camera": "pinhole"})

    try:
        got = user.s3.get_object(Bucket=bucket, Key="a/b.jpg")

        assert got["Body"].read() == body
        assert got["Metadata"] == {"camera": "pinhole"}
        assert bucket not in [each["Name"] for each in stranger.s3.list_buckets()["Buckets"]]
        assert code(stranger.s3.get_object, Bucket=bucket, Key="a/b.jpg") == "NoSuchBucket"
    finally:
        user.s3.delete_object(Bucket=bucket, Key="a/b.jpg")
        user.s3.delete_bucket(Bucket=bucket)

    assert bucket not in [each["Name"] for each in user.s3.list_buckets()["Buckets"]]


def test_an_instance_runs_and_terminates_and_is_its_projects_alone(cloud, users):
    user, stranger = users
    image = user.ec2.describe_images(Filters=[{"Name": "name", "Values": ["tiny"]}])["Images"][0]["ImageId"]
    token = unused_name("once")

    wanted = {"ImageId": image, "InstanceType": "m1.tiny", "MinCount": 1, "MaxCount": 1, "ClientToken": token}
    [made] = user.ec2.run_instances(**wanted)["Instances"]
    named = {"InstanceIds": [made["InstanceId"]]}

    try:
        wait(user, "instance_running", named)
        [again] = user.ec2.run_instances(**wanted)["Instances"]
        [shown] = user.ec2.describe_instances(**named)["Reservations"][0]["Instances"]

        assert again["InstanceId"] == made["InstanceId"]
        assert (shown["State"]["Name"], shown["ImageId"], shown["InstanceType"]) == ("running", image, "m1.tiny")
        assert shown["PrivateIpAddress"].startswith("10.78.")
        # What it is called here is what its guest calls itself.
        said = f"tiny: EC2 instance id: {made['InstanceId']}"
        assert cloud.wait_for(lambda: said in user.ec2.get_console_output(InstanceId=made["InstanceId"])["Output"])
        assert code(stranger.ec2.describe_instances, **named) == "InvalidInstanceID.NotFound"
        assert code(stranger.ec2.terminate_instances, **named) == "InvalidInstanceID.NotFound"
    finally:
        user.ec2.terminate_instances(**named)
        wait(user, "instance_terminated", named)

    assert cloud.wait_for(lambda: cloud.leftovers() == {}), cloud.leftovers()


def wait(user, waiter, named):
    user.ec2.get_waiter(waiter).wait(**named, WaiterConfig={"Delay": 1, "MaxAttempts": 180})
