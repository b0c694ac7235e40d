"""Hosts in the order of their weights."""

import pytest

from nova.scheduler import decide, weighers
from nova.structs.schedule import GroupView


@pytest.fixture
def best_first(conf, a_request):
    """Names of hosts by weight, with the weighers and options of one configuration."""

    def rank(hosts, request=None, **options):
        for option, value in options.items():
            conf.set_override(option, value, group="filter_scheduler")
        ranking = decide.rank(hosts, weighers.enabled(conf), request or a_request())
        return [host.state.host for host in ranking.hosts]

    return rank


def test_host_with_most_free_memory_is_best(best_first, a_host):
    hosts = [a_host("a", free_mb=1), a_host("b", free_mb=3), a_host("c", free_mb=2)]

    assert best_first(hosts) == ["b", "c", "a"]


def test_negative_multiplier_packs(best_first, a_host):
    hosts = [a_host("a", free_mb=3), a_host("b", free_mb=1), a_host("c", free_mb=2)]

    assert best_first(hosts, ram_weight_multiplier=-1.0) == ["b", "c", "a"]


def test_multipliers_set_weighers_against_each_other(best_first, a_host):
    hosts = [a_host("memory", free_mb=9000, free_vcpus=1), a_host("cpu", free_mb=100, free_vcpus=8)]

    assert best_first(hosts, cpu_weight_multiplier=2.0) == ["cpu", "memory"]
    assert best_first(hosts, cpu_weight_multiplier=0.5) == ["memory", "cpu"]


def test_aggregate_sets_the_multiplier_of_its_hosts(best_first, a_host, an_aggregate):
    hosts = [
        a_host("largest", free_mb=4000, aggregates=(an_aggregate(ram_weight_multiplier="0.1"),)),
        a_host("large", free_mb=3000),
        a_host("small", free_mb=1000),
    ]

    assert best_first(hosts) == ["large", "largest", "small"]


def test_smallest_multiplier_of_several_aggregates_counts_and_nonsense_does_not(best_first, a_host, an_aggregate):
    said = (an_aggregate(ram_weight_multiplier="5"), an_aggregate(ram_weight_multiplier="-1"))
    hosts = [
        a_host("large", free_mb=4000, aggregates=said),
        a_host("middle", free_mb=3000, aggregates=(an_aggregate(ram_weight_multiplier="much"),)),
        a_host("small", free_mb=1000),
    ]

    assert best_first(hosts) == ["middle", "small", "large"]


def test_equal_hosts_stay_in_their_order_and_weigh_nothing(conf, a_host, a_request):
    hosts = [a_host(name) for name in ("a", "b", "c")]

    ranking = decide.rank(hosts, weighers.enabled(conf), a_request())

    assert [(one.host, one.weight, one.weights) for one in ranking.weighed] == [
        ("a", 0.0, {}),
        ("b", 0.0, {}),
        ("c", 0.0, {}),
    ]


def test_weights_are_recorded_weigher_by_weigher(conf, a_host, a_request):
    hosts = [a_host("a", free_mb=1000, free_vcpus=2), a_host("b", free_mb=3000, free_vcpus=2)]

    ranking = decide.rank(hosts, weighers.enabled(conf), a_request())

    assert [(one.host, one.weight, one.weights) for one in ranking.weighed] == [
        ("b", 1.0, {"RAMWeigher": 1.0}),
        ("a", 0.0, {"RAMWeigher": 0.0}),
    ]


def test_soft_affinity_prefers_hosts_of_members(best_first, a_host, a_request):
    request = a_request(group=GroupView(uuid="g", policy="soft-affinity", hosts=("b", "c", "c")))

    assert best_first([a_host("a"), a_host("b"), a_host("c")], request) == ["c", "b", "a"]


def test_soft_anti_affinity_prefers_hosts_without_members(best_first, a_host, a_request):
    request = a_request(group=GroupView(uuid="g", policy="soft-anti-affinity", hosts=("a", "a", "b")))

    assert best_first([a_host("a"), a_host("b"), a_host("c")], request) == ["c", "b", "a"]


def test_quiet_hosts_are_preferred_when_servers_are_counted(best_first, a_host):
    hosts = [a_host("busy", load={"io_ops": 3}), a_host("quiet", load={"io_ops": 0})]

    assert best_first(hosts) == ["busy", "quiet"]
    assert best_first(hosts, weight_classes=[weighers.ALL, "IoOpsWeigher"]) == ["quiet", "busy"]


def test_hosts_with_many_servers_are_preferred_when_asked_for(best_first, a_host):
    hosts = [a_host("few", load={"instances": 1}), a_host("many", load={"instances": 9})]

    assert best_first(hosts) == ["few", "many"]
    assert best_first(hosts, num_instances_weight_multiplier=1.0) == ["many", "few"]


def test_newer_hypervisors_are_preferred(best_first, a_host):
    hosts = [a_host("old", hypervisor_version=6000000), a_host("new", hypervisor_version=7000000)]

    assert best_first(hosts) == ["new", "old"]


def test_host_that_refused_servers_is_taken_last(conf, a_host, a_request):
    scales = weighers.enabled(conf)
    hosts = [a_host("large", free_mb=9000), a_host("small", free_mb=1000)]

    decide.rank(hosts, scales, a_request(instance_id="one", exclude=("large",)))
    ranking = decide.rank(hosts, scales, a_request(instance_id="two"))

    assert [host.state.host for host in ranking.hosts] == ["small", "large"]


def test_host_a_server_moves_away_from_has_refused_nothing(conf, a_host, a_request):
    scales = weighers.enabled(conf)
    hosts = [a_host("large", free_mb=9000), a_host("small", free_mb=1000)]

    decide.rank(hosts, scales, a_request(leaves="large"))
    ranking = decide.rank(hosts, scales, a_request())

    assert [host.state.host for host in ranking.hosts] == ["large", "small"]


@pytest.mark.parametrize("subset_size, expected", [(1, {"a"}), (2, {"a", "b"}), (9, {"a", "b", "c"})])
def test_one_of_the_best_is_tried_first(conf, a_host, a_request, subset_size, expected):
    hosts = [a_host("a", free_mb=3), a_host("b", free_mb=2), a_host("c", free_mb=1)]
    ranking = decide.rank(hosts, weighers.enabled(conf), a_request())

    orders = [decide.order_of_trial(ranking, subset_size, shuffle_equals=False) for _ in range(100)]

    assert {order[0].state.host for order in orders} == expected
    assert all(len(order) == 3 for order in orders)


def test_equals_are_shuffled_when_asked_for(conf, a_host, a_request):
    hosts = [a_host("a", free_mb=3), a_host("b", free_mb=3), a_host("c", free_mb=1)]
    ranking = decide.rank(hosts, weighers.enabled(conf), a_request())

    orders = [decide.order_of_trial(ranking, 1, shuffle_equals=True) for _ in range(100)]

    assert {order[0].state.host for order in orders} == {"a", "b"}
    assert {order[2].state.host for order in orders} == {"c"}
