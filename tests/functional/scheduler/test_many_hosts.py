"""Clouds with more hosts than candidates are asked for."""

import pytest

from nova.scheduler import explain
from nova.structs.schedule import GroupView


@pytest.fixture
def large_cloud(cloud):
    """Twenty hosts, of which Placement is asked for five."""
    cloud.conf.set_override("max_placement_results", 5, group="scheduler")
    for number in range(20):
        cloud.add_host(f"host-{number}", zone=f"zone-{number % 10}")
    return cloud


def test_server_gets_one_of_a_thousand_hosts(cloud):
    cloud.add_hosts({f"host-{number}": 16384 if number == 777 else 8192 for number in range(1000)})

    decision = cloud.select()

    assert decision.host == "host-777"
    assert (decision.stages[0].before, decision.stages[0].after) == (1000, 1000)
    assert len(decision.weighed) == 20


def test_every_zone_is_found_though_few_candidates_are_asked_for(large_cloud):
    zones = [large_cloud.select(zone=f"zone-{number}").zone for number in range(10)]

    assert zones == [f"zone-{number}" for number in range(10)]


def test_group_stays_together_though_few_candidates_are_asked_for(large_cloud):
    group = GroupView(uuid="g", policy="affinity", hosts=("host-19",))

    decision = large_cloud.select(group=group)

    assert decision.host == "host-19"


def test_hosts_that_were_not_asked_for_are_told_from_those_without_room(large_cloud):
    large_cloud.add_host("tiny", memory_mb=256)

    decision = large_cloud.select(is_dry_run=True)

    stage = decision.stages[0]
    reasons = {one.reason.partition(":")[0] for one in stage.dropped}
    assert (stage.before, stage.after) == (21, 5)
    assert reasons == {"is beyond the number of candidates asked for", "lacks MEMORY_MB (needs 512)"}


def test_crowd_that_fails_for_one_reason_in_a_large_cloud_asks_once(cloud, transport, monkeypatch):
    monkeypatch.setattr(explain, "CACHED_FROM", 3)
    for number in range(5):
        cloud.add_host(f"host-{number}", memory_mb=1024)
    asked = []
    answer = transport.app
    transport.app = lambda environ, start: asked.append(environ["PATH_INFO"]) or answer(environ, start)

    reasons = {cloud.select(memory_mb=2048).reason for _ in range(10)}

    assert reasons == {"5 hosts: 5 lack MEMORY_MB (needs 2048)."}
    # Who has the memory is asked each time: nobody is no large answer. The other classes are asked once.
    assert asked.count("/resource_providers") == 10 + 2
