"""Servers that are placed at the same moment stand where they would stand if they had come one after the other."""

import uuid
from collections import Counter

import pytest

from nova.structs.schedule import GroupView
from tests.functional.scheduler.test_races import select_at_once

HOSTS = 60
SERVERS = 40


@pytest.fixture(params=[1, 3], ids=["one scheduler", "three schedulers"])
def schedulers(request, cloud):
    """Starts as many schedulers as the parameter says, over hosts of these sizes."""

    def start(sizes, vcpus=8, **options):
        for option, value in options.items():
            cloud.conf.set_override(option, value, group="filter_scheduler")
        cloud.add_hosts(sizes, vcpus)
        return [cloud.start_scheduler() for _ in range(request.param)]

    return start


def equal_hosts(number=HOSTS, memory_mb=8192):
    return {f"host-{index}": memory_mb for index in range(number)}


def refused_claims(decisions):
    stages = [stage for decision in decisions for stage in decision.stages if stage.name == "Claim"]
    return sum(stage.before - stage.after for stage in stages)


def counted(decisions):
    assert all(decision.host for decision in decisions), [one.reason for one in decisions if not one.host]
    return Counter(decision.host for decision in decisions)


def racing(cloud, schedulers, number=SERVERS, **fields):
    return select_at_once(schedulers, [cloud.request(**fields) for _ in range(number)])


def test_racing_servers_spread_over_equal_hosts(cloud, schedulers):
    several = schedulers(equal_hosts())

    decisions = racing(cloud, several)

    assert max(counted(decisions).values()) == 1
    assert refused_claims(decisions) == 0


@pytest.mark.parametrize(
    "options",
    [
        {"ram_weight_multiplier": 1.0},
        {"ram_weight_multiplier": 0.0, "cpu_weight_multiplier": 1.0},
        {"ram_weight_multiplier": 0.0, "cpu_weight_multiplier": 0.0, "disk_weight_multiplier": 1.0},
        {"ram_weight_multiplier": 0.0, "cpu_weight_multiplier": 0.0, "num_instances_weight_multiplier": -1.0},
        {"ram_weight_multiplier": 0.0, "cpu_weight_multiplier": 0.0, "io_ops_weight_multiplier": -1.0},
    ],
    ids=lambda options: "/".join(name.removesuffix("_weight_multiplier") for name, value in options.items() if value),
)
def test_every_weigher_counts_what_is_on_its_way(cloud, schedulers, options):
    several = schedulers(equal_hosts(), **{"disk_weight_multiplier": 0.0} | options)

    decisions = racing(cloud, several, 2 * HOSTS)

    hosts = counted(decisions)
    if len(several) == 1:
        assert set(hosts.values()) == {2}
        assert len(hosts) == HOSTS
    # Two each. News travel: each other scheduler may send a server to a host before this one's is known there.
    assert len(hosts) >= HOSTS * 0.9
    assert max(hosts.values()) <= 2 + len(several) - 1
    assert refused_claims(decisions) == 0


def test_racing_servers_fill_the_largest_hosts_first(cloud, schedulers):
    sizes = {f"host-{index}": 4096 + 512 * index for index in range(16)}
    # Memory alone bounds how many a host takes: the largest gets seven, and some more from each other scheduler.
    several = schedulers(sizes, vcpus=16, cpu_weight_multiplier=0.0, disk_weight_multiplier=0.0)

    decisions = racing(cloud, several, 30)

    # One after the other: always to the one with most room.
    room = dict(sizes)
    in_turn = Counter()
    for _ in range(30):
        best = max(room, key=room.get)
        room[best] -= 512
        in_turn[best] += 1
    hosts = counted(decisions)
    # News travel: before this scheduler's are known there, each other one may send a server to a host, or two where it
    # decides faster than they arrive. Schedulers that knew nothing of each other would put five too many on the largest.
    assert max(hosts[name] - in_turn[name] for name in sizes) <= 2 * (len(several) - 1)
    assert refused_claims(decisions) == 0


@pytest.mark.parametrize("policy", ["soft-anti-affinity", "anti-affinity"])
def test_racing_members_of_a_group_stand_apart(cloud, schedulers, policy):
    several = schedulers(equal_hosts(12), soft_anti_affinity_weight_multiplier=1.0)
    group = GroupView(uuid=str(uuid.uuid4()), policy=policy)

    decisions = racing(cloud, several, 10, group=group)

    assert max(counted(decisions).values()) == 1


@pytest.mark.parametrize("policy", ["soft-affinity", "affinity"])
def test_racing_members_of_a_group_stand_together(cloud, schedulers, policy):
    # Room for twice as many: another scheduler's claim that is under way may count twice, and a soft rule yields where
    # a host seems full.
    several = schedulers(equal_hosts(12), vcpus=16, soft_affinity_weight_multiplier=10.0)
    group = GroupView(uuid=str(uuid.uuid4()), policy=policy)

    decisions = racing(cloud, several, 8, group=group)

    # News travel: each other scheduler may send a member elsewhere before it hears of any, where the rule is soft.
    strays = len(several) - 1 if policy == "soft-affinity" else 0
    assert max(counted(decisions).values()) >= 8 - strays


@pytest.mark.parametrize("policy", ["soft-affinity", "affinity"])
@pytest.mark.parametrize("schedulers", [1], indirect=True, ids=["one scheduler"])
def test_racing_members_of_a_group_stand_together_to_the_last_place(cloud, schedulers, policy):
    several = schedulers(equal_hosts(12), vcpus=8, soft_affinity_weight_multiplier=10.0)
    group = GroupView(uuid=str(uuid.uuid4()), policy=policy)

    decisions = racing(cloud, several, 8, group=group)

    assert max(counted(decisions).values()) == 8


def test_stacked_servers_fill_one_host_after_the_other(cloud, schedulers):
    several = schedulers(equal_hosts(20, 4096), ram_weight_multiplier=-1.0, cpu_weight_multiplier=-1.0)

    decisions = racing(cloud, several)

    hosts = counted(decisions)
    # Eight to a host.
    assert len(hosts) <= SERVERS // 8 + len(several) - 1
    # News travel: each other scheduler may give a host's last place away twice before it hears that it is gone.
    assert refused_claims(decisions) <= 2 * (len(several) - 1)
