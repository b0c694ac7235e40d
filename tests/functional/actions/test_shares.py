"""Shares: attached to servers that are off, seen by their guests while they run, and let go of again."""

import json

import pytest

from nova.db import instances
from nova.metadata import documents
from tests.functional.actions.history import history
from tests.functional.cloud import wait
from tests.functional.invariants import settle

pytestmark = pytest.mark.usefixtures("in_order")


@pytest.fixture
def host(cloud):
    return cloud.add_host()


@pytest.fixture
def stopped(cloud, user, host):
    """A server that is off."""
    return stopped_server(user)


def stopped_server(user):
    server_id = user.create_server()["id"]
    user.act(server_id, "os-stop")
    return user.wait(server_id, "SHUTOFF")["id"]


def attach(user, server_id, share_id, **options):
    return user.post(f"/servers/{server_id}/shares", {"share": {"share_id": share_id, **options}})


def attached(user, server_id, share_id, **options):
    answer = attach(user, server_id, share_id, **options)
    assert answer.status_code == 201, answer.text
    settle(user.cloud)
    return share_id


def shares(user, server_id):
    return user.get(f"/servers/{server_id}/shares").json()["shares"]


def detach(user, server_id, share_id):
    answer = user.delete(f"/servers/{server_id}/shares/{share_id}")
    settle(user.cloud)
    return answer


def test_a_share_is_attached_used_and_detached(cloud, user, host, stopped):
    share_id = cloud.manila.add()

    answer = attach(user, stopped, share_id, tag="data")
    settle(cloud)

    assert (answer.status_code, answer.json()) == (
        201,
        {"share": {"share_id": share_id, "status": "attaching", "tag": "data"}},
    )
    assert shares(user, stopped) == [{"share_id": share_id, "status": "inactive", "tag": "data"}]
    assert len(cloud.manila.addresses(share_id)) == 1
    assert [lock["resource_id"] for lock in cloud.manila.locks.values()] == [share_id]
    assert host.mounts == {}

    user.act(stopped, "os-start")
    user.wait(stopped, "ACTIVE")
    assert user.get(f"/servers/{stopped}/shares/{share_id}").json()["share"]["status"] == "active"
    assert (host.mounts, list(host.guests[stopped].shares)) == ({share_id: {stopped}}, ["data"])

    user.act(stopped, "os-stop")
    user.wait(stopped, "SHUTOFF")
    assert (shares(user, stopped)[0]["status"], host.mounts) == ("inactive", {})

    answer = detach(user, stopped, share_id)
    assert (answer.status_code, answer.text) == (200, "")
    assert (shares(user, stopped), host.guests[stopped].shares) == ([], {})
    assert (cloud.manila.rules, cloud.manila.locks) == ({}, {})
    assert [name for name, _ in history(cloud, stopped)[:1]] == ["detach_share"]


def test_a_share_without_a_tag_is_mounted_by_its_id(cloud, user, host, stopped):
    share_id = attached(user, stopped, cloud.manila.add())

    assert shares(user, stopped)[0]["tag"] == share_id


def test_an_administrator_sees_where_a_share_is(cloud, user, admin, host, stopped):
    share_id = attached(user, stopped, cloud.manila.add(), tag="data")

    told = admin.get(f"/servers/{stopped}/shares/{share_id}").json()["share"]
    shown = user.get(f"/servers/{stopped}/shares/{share_id}").json()["share"]

    assert told["export_location"] == f"192.0.2.9:/fast/{share_id}"
    assert told.keys() - shown.keys() == {"uuid", "export_location"}


def test_a_guest_is_told_of_its_shares(cloud, user, host, stopped):
    share_id = attached(user, stopped, cloud.manila.add(), tag="data")

    instance = cloud.db.read(lambda c: instances.get(c, stopped))
    read = documents.build(instance, cloud.conf).read("/openstack/latest/meta_data.json")

    assert json.loads(read)["devices"] == [
        {"type": "share", "share_id": share_id, "tag": "data", "bus": "none", "address": "none"}
    ]


def test_two_servers_of_one_host_share_the_way_to_a_share(cloud, user, host, stopped):
    other = stopped_server(user)
    share_id = attached(user, stopped, cloud.manila.add())
    attached(user, other, share_id)
    assert (len(cloud.manila.rules), len(cloud.manila.locks)) == (1, 2)

    detach(user, stopped, share_id)
    assert (len(cloud.manila.rules), len(cloud.manila.locks)) == (1, 1)

    detach(user, other, share_id)
    assert (cloud.manila.rules, cloud.manila.locks) == ({}, {})


def test_a_share_goes_free_with_its_server(cloud, user, host, stopped):
    share_id = attached(user, stopped, cloud.manila.add())
    user.act(stopped, "os-start")
    user.wait(stopped, "ACTIVE")

    user.delete(f"/servers/{stopped}")
    user.wait_gone(stopped)

    assert (host.mounts, cloud.manila.rules, cloud.manila.locks) == ({}, {}, {})
    assert share_id in cloud.manila.shares


def test_a_hard_reboot_keeps_the_shares(cloud, user, host, stopped):
    share_id = attached(user, stopped, cloud.manila.add(), tag="data")
    user.act(stopped, "os-start")
    user.wait(stopped, "ACTIVE")

    user.act(stopped, "reboot", {"type": "HARD"})
    user.wait(stopped, "ACTIVE")

    assert host.mounts == {share_id: {stopped}}


def test_a_share_that_cannot_be_mounted_keeps_the_server_off_and_says_why(cloud, user, host, stopped):
    attached(user, stopped, cloud.manila.add())
    host.fail("mount_shares")

    user.act(stopped, "os-start")
    user.wait(stopped, "SHUTOFF")

    assert history(cloud, stopped)[0] == ("start", "failed")


@pytest.mark.parametrize("fault", ["host", "rule", "time"])
def test_a_share_that_could_not_be_attached_is_in_error_until_it_is_detached(make_cloud, fault):
    cloud = make_cloud("[manila]\nshare_apply_policy_timeout = 1\n")
    host, user = cloud.add_host(), cloud.client()
    server_id, share_id = stopped_server(user), cloud.manila.add()
    if fault == "host":
        host.fail("define_shares")
    else:
        cloud.manila.rules_are = "error" if fault == "rule" else "applying"

    attach(user, server_id, share_id)
    settle(cloud)

    assert shares(user, server_id)[0]["status"] == "error"
    assert (cloud.manila.rules, cloud.manila.locks, host.guests[server_id].shares) == ({}, {}, {})
    assert user.server(server_id)["status"] == "SHUTOFF"

    assert detach(user, server_id, share_id).status_code == 200
    assert shares(user, server_id) == []


def test_a_share_the_host_does_not_let_go_of_stays_attached(cloud, user, host, stopped):
    share_id = attached(user, stopped, cloud.manila.add(), tag="data")
    host.fail("define_shares")

    detach(user, stopped, share_id)

    assert shares(user, stopped) == [{"share_id": share_id, "status": "inactive", "tag": "data"}]
    assert list(host.guests[stopped].shares) == ["data"]


def test_a_rule_that_is_applied_in_time_is_waited_for(cloud, user, host, stopped):
    cloud.manila.rules_are = "applying"
    attach(user, stopped, cloud.manila.add())
    wait(lambda: cloud.manila.rules, "access was asked for")

    assert shares(user, stopped)[0]["status"] == "attaching"
    for rule in cloud.manila.rules.values():
        rule["state"] = "active"
    settle(cloud)

    assert shares(user, stopped)[0]["status"] == "inactive"


def test_a_share_is_detached_from_a_server_whose_host_is_lost(cloud, user, admin, host, stopped):
    share_id = attached(user, stopped, cloud.manila.add())
    cloud.stop_host("host-1")
    [service] = admin.get("/os-services?binary=nova-compute").json()["services"]
    admin.put(f"/os-services/{service['id']}", {"forced_down": True})
    assert admin.act(stopped, "evacuate", {}).status_code == 409

    detach(user, stopped, share_id)

    assert (shares(user, stopped), cloud.manila.rules) == ([], {})


def test_a_guest_starts_without_a_share_that_was_detached_while_its_host_was_away(cloud, user, admin, host, stopped):
    share_id = attached(user, stopped, cloud.manila.add(), tag="data")
    cloud.stop_host("host-1")
    [service] = admin.get("/os-services?binary=nova-compute").json()["services"]
    admin.put(f"/os-services/{service['id']}", {"forced_down": True})
    detach(user, stopped, share_id)
    assert (shares(user, stopped), list(host.guests[stopped].shares)) == ([], ["data"])

    admin.put(f"/os-services/{service['id']}", {"forced_down": False})
    cloud.start_host("host-1")
    user.act(stopped, "os-start")
    user.wait(stopped, "ACTIVE")

    assert (host.guests[stopped].shares, host.mounts) == ({}, {})


@pytest.mark.parametrize(
    "name, argument",
    [
        ("resize", {"flavorRef": "m1.small"}),
        ("migrate", None),
        ("shelve", None),
        ("rebuild", {"imageRef": "IMAGE"}),
        ("suspend", None),
        ("os-migrateLive", {"host": None, "block_migration": "auto"}),
    ],
)
def test_a_server_with_shares_stays_where_it_is(cloud, user, admin, host, stopped, name, argument):
    attached(user, stopped, cloud.manila.add())
    if name in ("suspend", "os-migrateLive"):
        user.act(stopped, "os-start")
        user.wait(stopped, "ACTIVE")
    if argument and "imageRef" in argument:
        argument = {"imageRef": next(iter(cloud.glance.images))}

    refused = admin.act(stopped, name, argument)

    assert refused.status_code == 409
    assert "shares" in refused.json()["conflictingRequest"]["message"]


def test_only_a_server_that_is_off_gets_or_loses_a_share(cloud, user, host, stopped):
    share_id = attached(user, stopped, cloud.manila.add())
    user.act(stopped, "os-start")
    user.wait(stopped, "ACTIVE")

    assert attach(user, stopped, cloud.manila.add()).status_code == 409
    assert user.delete(f"/servers/{stopped}/shares/{share_id}").status_code == 409
    assert shares(user, stopped) == [{"share_id": share_id, "status": "active", "tag": share_id}]


def test_a_share_or_a_tag_is_attached_once(cloud, user, host, stopped):
    share_id = attached(user, stopped, cloud.manila.add(), tag="data")

    assert attach(user, stopped, share_id, tag="other").status_code == 409
    assert attach(user, stopped, cloud.manila.add(), tag="data").status_code == 409
    assert len(shares(user, stopped)) == 1


def test_what_the_user_may_not_see_is_not_there(cloud, user, host, stopped):
    foreign = cloud.manila.add(project="elsewhere")
    stranger = cloud.client("stranger", "elsewhere")

    assert attach(user, stopped, foreign).status_code == 404
    assert attach(user, stopped, "7a9b1f0e-0000-4000-8000-000000000000").status_code == 404
    assert user.get(f"/servers/{stopped}/shares/{foreign}").status_code == 404
    assert user.delete(f"/servers/{stopped}/shares/{foreign}").status_code == 404
    assert stranger.get(f"/servers/{stopped}/shares").status_code == 404
    assert attach(stranger, stopped, foreign).status_code == 404


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"share": {}},
        {"share": {"share_id": "no id"}},
        {"share": {"share_id": "SHARE", "tag": "no_underscore"}},
        {"share": {"share_id": "SHARE", "tag": ""}},
        {"share": {"share_id": "SHARE", "tag": "x" * 37}},
        {"share": {"share_id": "SHARE", "more": 1}},
    ],
    ids=str,
)
def test_what_makes_no_sense_is_refused(cloud, user, host, stopped, body):
    share_id = cloud.manila.add()
    if body.get("share", {}).get("share_id") == "SHARE":
        body = {"share": {**body["share"], "share_id": share_id}}

    assert user.post(f"/servers/{stopped}/shares", body).status_code == 400
    assert (shares(user, stopped), cloud.manila.rules) == ([], {})


@pytest.mark.parametrize("facts, code", [({"protocol": "CIFS"}, 400), ({"status": "creating"}, 409)])
def test_a_share_that_cannot_be_mounted_is_refused(cloud, user, host, stopped, facts, code):
    assert attach(user, stopped, cloud.manila.add(**facts)).status_code == code


def test_a_host_without_virtiofs_gives_no_shares(cloud, user, host):
    host.traits = ("COMPUTE_NODE", "COMPUTE_STORAGE_VIRTIO_FS")
    cloud.hosts["host-1"].agent.report()
    server_id = stopped_server(user)

    assert attach(user, server_id, cloud.manila.add()).status_code == 409


def test_before_2_97_there_are_no_shares(cloud, user, host, stopped):
    assert cloud.client(version="2.96").get(f"/servers/{stopped}/shares").status_code == 404
