"""The repair of allocations touches what is ours, and nothing else."""

import uuid

import pytest

from nova.conductor.reconcilers import allocations


@pytest.fixture
def provider(cloud):
    cloud.add_host()
    return cloud.placement.providers()[0].uuid


def reconcile(cloud):
    allocations.reconcile(cloud.conductors[0].core)


@pytest.mark.parametrize("consumer_type", ["RESERVATION", "INSTANCE", "MIGRATION", "GPU_LEASE"])
def test_what_another_service_holds_stays(cloud, provider, consumer_type, caplog):
    consumer = str(uuid.uuid4())
    cloud.placement.claim(consumer, {provider: {"VCPU": 2}}, "project", "user", consumer_type)

    reconcile(cloud)

    assert cloud.allocations(consumer) == {provider: {"VCPU": 2}}
    assert consumer in caplog.text


def test_another_services_consumer_with_a_servers_uuid_stays(cloud, provider):
    user = cloud.client()
    server_id = user.create_server()["id"]
    user.delete(f"/servers/{server_id}")
    user.wait_gone(server_id)
    cloud.placement.claim(server_id, {provider: {"VCPU": 2}}, "project", "user", "RESERVATION")

    reconcile(cloud)

    assert cloud.allocations(server_id) == {provider: {"VCPU": 2}}


def test_what_a_deleted_server_holds_is_given_back(cloud, provider):
    user = cloud.client()
    server_id = user.create_server()["id"]
    user.delete(f"/servers/{server_id}")
    user.wait_gone(server_id)
    cloud.placement.claim(server_id, {provider: {"VCPU": 2}}, "project", "user")

    reconcile(cloud)

    assert cloud.allocations(server_id) == {}
