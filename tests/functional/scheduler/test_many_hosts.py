"""Clouds with more hosts than candidates are asked for."""

import pytest

from nova.structs.schedule import GroupView


@pytest.fixture
def large_cloud(cloud):
    """Twenty hosts, of which Placement is asked for five."""
    cloud.conf.set_override("max_placement_results", 5, group="scheduler")
    for number in range(20):
        cloud.add_host(f"host-{number}", zone=f"zone-{number % 10}")
    return cloud


def test_server_gets_one_of_a_thousand_hosts(cloud):
    for number in range(1000):
        cloud.add_host(f"host-{number}", memory_mb=16384 if number == 777 else 8192)

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
