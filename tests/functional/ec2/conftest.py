"""A cloud whose EC2 API listens on a real port, and clients of it."""

import boto3
import pytest
from botocore.config import Config

from nova.api import ec2
from nova.http.limits import Limits
from nova.http.server import HttpServer
from nova.http.service import listen
from tests.functional.keystone import SECRET


class Ec2:
    """The EC2 API of a cloud, and how users of projects reach it."""

    def __init__(self, cloud):
        self.cloud = cloud
        app = ec2.application(cloud.conf, cloud.conductor_calls, cloud.transport)
        limits = Limits(requests=20, connections_per_source=0)
        self._server = HttpServer(listen("127.0.0.1", 0), app, limits, fault=app.fault)
        self._server.start()
        self.address = f"http://127.0.0.1:{self._server.address[1]}"

    def client(self, user="user", project="project", secret=SECRET, address="", **options):
        return boto3.client(
            "ec2",
            endpoint_url=address or self.address,
            aws_access_key_id=f"{user}:{project}",
            aws_secret_access_key=secret,
            region_name="nova",
            config=Config(retries={"total_max_attempts": 1}, parameter_validation=False, **options),
        )

    def image(self, client):
        """The id of the cloud's image."""
        return client.describe_images()["Images"][0]["ImageId"]

    def run(self, client, count=1, wait_for="instance_running", **options):
        """The ids of new servers, once they run."""
        wanted = {"ImageId": self.image(client), "InstanceType": "m1.tiny", "MinCount": count, "MaxCount": count}
        made = client.run_instances(**wanted | options)["Instances"]
        ids = [instance["InstanceId"] for instance in made]
        if wait_for:
            wait(client, wait_for, InstanceIds=ids)
        return ids

    def stop(self):
        self._server.stop()


def wait(client, waiter, **what):
    """One of boto3's own waiters, but for its pauses."""
    client.get_waiter(waiter).wait(WaiterConfig={"Delay": 0.2, "MaxAttempts": 450}, **what)


@pytest.fixture(scope="module")
def api(make_module_cloud):
    cloud = make_module_cloud()
    cloud.add_host(vcpus=64, memory_mb=65536)
    cloud.add_network()
    served = Ec2(cloud)
    yield served
    served.stop()


@pytest.fixture
def client(api):
    return api.client()
