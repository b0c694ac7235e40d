"""Whoever asks Placement for a place sees which hosts take no servers by an operator's word."""

import logging

import pytest

from tests.functional.cloud import wait

TRAIT = "COMPUTE_STATUS_DISABLED"
PROVIDER = "6d1c3c4e-55a5-4a3e-9d58-9ce4f5b7b3a1"


@pytest.fixture
def cloud(make_cloud):
    return make_cloud("service_down_time = 2\nreport_interval = 1\n")


@pytest.fixture
def admin(cloud):
    return cloud.client("admin", "admin")


@pytest.fixture
def hosts(cloud):
    return [cloud.add_host(name) for name in ("host-1", "host-2")]


def change(admin, host, **body):
    [found] = admin.get(f"/os-services?binary=nova-compute&host={host.name}").json()["services"]
    assert admin.put(f"/os-services/{found['id']}", body).status_code == 200


def marked(cloud):
    return {provider.name for provider in cloud.placement.providers(required=TRAIT)}


@pytest.mark.parametrize(
    ("off", "on"), [({"status": "disabled"}, {"status": "enabled"}), ({"forced_down": True}, {"forced_down": False})]
)
def test_a_host_is_marked_while_it_is_off(cloud, admin, hosts, off, on):
    change(admin, hosts[0], **off)
    wait(lambda: marked(cloud) == {hosts[0].name}, "the host is marked")

    change(admin, hosts[0], **on)
    wait(lambda: marked(cloud) == set(), "the host is not marked any more")


def test_a_mark_outlives_what_the_host_says_of_itself(cloud, admin, hosts):
    change(admin, hosts[0], status="disabled")
    wait(lambda: marked(cloud) == {hosts[0].name}, "the host is marked")

    cloud.stop_host("host-1")
    cloud.add_host("host-1")

    [provider] = cloud.placement.providers(required=TRAIT)
    assert provider.name == hosts[0].name


def test_a_placement_that_was_away_is_told_later(cloud, admin, hosts, caplog):
    caplog.set_level(logging.DEBUG, "nova.concurrency")
    placement = cloud.adapters["http://placement"]
    placement.fault = "is overloaded"
    change(admin, hosts[0], status="disabled")
    wait(lambda: "what Placement knows of disabled hosts has to wait" in caplog.text, "it was tried in vain")
    placement.fault = None

    wait(lambda: marked(cloud) == {hosts[0].name}, "the host is marked")


def test_anothers_provider_keeps_its_mark(cloud, admin, hosts):
    cloud.placement.set_inventory(PROVIDER, "another's", {}, {"STORAGE_DISK_SSD"})
    cloud.placement.set_trait(PROVIDER, TRAIT, True)

    change(admin, hosts[0], status="disabled")
    wait(lambda: marked(cloud) == {hosts[0].name, "another's"}, "the host is marked")
    change(admin, hosts[0], status="enabled")
    wait(lambda: marked(cloud) == {"another's"}, "the host is not marked any more")
