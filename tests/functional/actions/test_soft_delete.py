"""Deleted servers that can be restored for a while."""

import contextlib
import datetime

import pytest

from nova.clock import utcnow
from nova.conductor.acceptance import told
from nova.conductor.reconcilers import waiting
from nova.conductor.workflows.soft_delete import SINCE
from nova.db import instances
from nova.structs.instance import PowerState, VmState
from tests.functional.invariants import leftovers, settle


@pytest.fixture
def cloud(make_cloud):
    return make_cloud("[DEFAULT]\nreclaim_instance_interval = 3600\n")


def test_a_deleted_server_is_restored(cloud):
    host = cloud.add_host()
    user = cloud.client()
    server_id = user.create_server()["id"]

    user.delete(f"/servers/{server_id}")
    user.wait(server_id, "SOFT_DELETED")
    assert host.guests[server_id].power_state == PowerState.SHUTDOWN
    assert user.act(server_id, "restore").status_code == 202

    assert user.wait(server_id, "ACTIVE")["OS-EXT-STS:power_state"] == PowerState.RUNNING


def test_a_deleted_server_is_gone_for_good_when_that_is_asked_for(cloud):
    host = cloud.add_host()
    user = cloud.client()
    server_id = user.create_server()["id"]
    user.delete(f"/servers/{server_id}")
    user.wait(server_id, "SOFT_DELETED")

    assert user.act(server_id, "forceDelete").status_code == 202
    user.wait_gone(server_id)

    assert (host.guests, cloud.allocations(server_id)) == ({}, {})


def test_nobody_restores_it_and_it_goes_by_itself(make_cloud):
    cloud = make_cloud("[DEFAULT]\nreclaim_instance_interval = 1\nservice_down_time = 4\n")
    host = cloud.add_host()
    user = cloud.client()
    server_id = user.create_server()["id"]

    user.delete(f"/servers/{server_id}")
    user.wait_gone(server_id)

    assert host.guests == {}


@pytest.mark.parametrize("is_under_way", [True, False])
def test_one_that_its_user_restores_just_in_time_stays(cloud, monkeypatch, is_under_way):
    cloud.add_host()
    user = cloud.client()
    server_id = user.create_server()["id"]
    cloud.write(server_id)
    user.delete(f"/servers/{server_id}")
    user.wait(server_id, "SOFT_DELETED")
    let_it_have_waited(cloud, server_id)
    begin = told.begin

    def after_its_user(*what):
        with cloud.boundary.held() if is_under_way else contextlib.nullcontext():
            assert user.act(server_id, "restore").status_code == 202
            if not is_under_way:
                user.wait(server_id, "ACTIVE")
            begin(*what)

    # Between reading whose time is over and asking for it.
    monkeypatch.setattr(told, "begin", after_its_user)
    waiting.reconcile(cloud.conductors[0].core)

    user.wait(server_id, "ACTIVE")
    settle(cloud)
    assert user.server(server_id)["status"] == "ACTIVE"
    assert leftovers(cloud) == []


def let_it_have_waited(cloud, server_id):
    long_ago = utcnow() - datetime.timedelta(days=1)

    def work(connection):
        instances.change(connection, server_id, system_metadata={SINCE: long_ago.isoformat()})
        instances.set_state_since(connection, server_id, VmState.SOFT_DELETED, long_ago)

    cloud.db.write(work)
