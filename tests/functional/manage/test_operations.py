"""Operations that wait: an operator sees what for, has them tried again, and gives them up."""

import datetime

import pytest

from nova import errors
from nova.cmd import manage as manage_command
from nova.cmd.manage import operation
from nova.db import open_operations
from nova.structs.operation import OpenOperation
from tests.functional.cloud import wait
from tests.functional.invariants import settle
from tests.functional.manage.printed import paused, table


@pytest.mark.parametrize("operator", ["waiting"], indirect=True)
def test_an_operator_sees_what_an_operation_waits_for_and_has_it_tried_now(waiting, operator):
    cloud, _, server_id = waiting
    [row] = paused(operator)
    uuid = row["Operation"]

    _, said = operator("operation", "show", uuid)
    cloud.hypervisor(next(iter(cloud.hosts))).mend()
    assert operator("operation", "retry", uuid)[0] == 0
    settle(cloud)

    assert (row["Name"], row["Server"], row["State"]) == ("swap_volume", server_id, "unwinding")
    assert "has to fail swap_volume" in row["Waits for"]
    assert {(run["Result"], run["Reason"]) for run in table(said) if run["Step"] == "swap_back"} == {
        ("Error", "the fake driver has to fail swap_volume")
    }
    assert [volume["status"] for volume in cloud.cinder.volumes.values()] == ["in-use", "available"]
    assert table(operator("operation", "list")[1]) == []


@pytest.mark.parametrize("operator", ["waiting"], indirect=True)
def test_an_operation_that_waits_on_its_way_back_is_not_abandoned(waiting, operator):
    cloud, user, server_id = waiting
    [row] = paused(operator)

    with pytest.raises(errors.Conflict, match="force that down"):
        operator("operation", "abandon", row["Operation"])

    assert [one["Operation"] for one in table(operator("operation", "list", "--server", server_id)[1])] == [
        row["Operation"]
    ]
    assert "available" not in [volume["status"] for volume in cloud.cinder.volumes.values()]
    assert user.server(server_id)["status"] == "ACTIVE"


def test_an_operation_that_is_abandoned_goes_back(make_cloud, request, monkeypatch, capsys):
    cloud = make_cloud("\n[conductor]\npoll_interval_s = 0.1\nstep_pauses_s = 36000\n")
    cloud.add_host()
    cloud.add_network()
    user = cloud.client("admin", "project")
    cloud.boundary.call_at("create", "claim_host", "committed", lambda: refuses(cloud, "http://network"))
    server_id = user.post("/servers", {"server": user.wanted(networks="auto")}).json()["server"]["id"]

    def waiting():
        found = cloud.db.read(open_operations.find)
        return found if found and found[0].wake_at and found[0].lease_owner is None and found[0].reason else None

    [found] = wait(waiting, "the build pauses")
    cloud.adapters["http://network"].fault = None
    arguments = manage_command.parser().parse_args(("operation", "abandon", found.uuid))
    assert arguments.command(cloud.conf, arguments) == 0
    settle(cloud)

    assert user.server(server_id)["OS-EXT-STS:task_state"] is None
    assert cloud.allocations(server_id) == {}
    assert cloud.guests() == {}


def refuses(cloud, address):
    cloud.adapters[address].fault = "refuses"


def test_an_operation_behind_its_point_of_no_return_is_not_abandoned():
    now = datetime.datetime(2026, 1, 1)
    one = OpenOperation(
        uuid="1", name="resize", instance_uuid="2", project_id="3", state="running", step="disconnect_source",
        waiting_host=None, lease_owner=None, is_ordered=False, is_cancelled=False, created_at=now, wake_at=now,
        deadline_at=now, left=(), reason=None,
    )  # fmt: skip

    with pytest.raises(errors.Conflict, match="goes forward"):
        operation._check_way_back(one)
