"""Schedulers that want the same room at the same time: Placement decides, nobody gets what is not there."""

import threading
from concurrent.futures import ThreadPoolExecutor

from nova.clients.placement import PlacementClient
from nova.clients.placement.claims import ClaimLost


def select_at_once(schedulers, requests):
    with ThreadPoolExecutor(len(requests)) as pool:
        turns = [schedulers[number % len(schedulers)] for number in range(len(requests))]
        return list(pool.map(lambda turn, request: turn.select(request), turns, requests))


def test_two_racing_for_the_last_room_never_both_get_it(cloud):
    cloud.add_host("a", memory_mb=1024)
    schedulers = [cloud.start_scheduler(), cloud.start_scheduler()]
    requests = [cloud.request(memory_mb=1024) for _ in range(2)]

    decisions = select_at_once(schedulers, requests)

    assert sorted(decision.host is None for decision in decisions) == [False, True]
    assert cloud.used("a")["MEMORY_MB"] == 1024


def test_many_racing_fill_the_hosts_and_no_more(cloud):
    for name in ("a", "b", "c"):
        cloud.add_host(name, memory_mb=4096)
    schedulers = [cloud.start_scheduler(), cloud.start_scheduler()]
    requests = [cloud.request(memory_mb=1024) for _ in range(16)]

    decisions = select_at_once(schedulers, requests)

    assert sum(decision.host is not None for decision in decisions) == 12
    assert [cloud.used(name)["MEMORY_MB"] for name in ("a", "b", "c")] == [4096, 4096, 4096]


def test_same_server_asked_for_twice_at_once_holds_one_place(cloud):
    cloud.add_host("a")
    cloud.add_host("b")
    request = cloud.request()

    decisions = select_at_once([cloud.start_scheduler(), cloud.start_scheduler()], [request, request])

    held = cloud.placement.allocations(request.instance_id).resources
    assert len(held) == 1
    assert {decision.provider_uuid for decision in decisions} == set(held)


def test_claim_lost_to_another_goes_to_the_next_best_and_is_recorded(cloud):
    cloud.add_host("best", memory_mb=8192)
    cloud.add_host("next", memory_mb=4096)
    taken_by = cloud.request(memory_mb=8192)

    def another_comes_first():
        cloud.placement.claim(
            taken_by.instance_id, {cloud.hosts["best"].provider_uuid: {"MEMORY_MB": 8192}}, "p2", "u2"
        )

    decision = select_overtaken(cloud, another_comes_first, memory_mb=1024)

    assert decision.host == "next"
    claim = decision.stages[-1]
    assert (claim.name, claim.before, claim.after) == ("Claim", 2, 1)
    assert claim.dropped[0].host == "best"
    assert claim.dropped[0].reason.startswith("was taken by another server at the last moment")


def test_losing_the_only_host_at_the_last_moment_is_said(cloud):
    cloud.add_host("only", memory_mb=1024)
    taken_by = cloud.request(memory_mb=1024)

    def another_comes_first():
        cloud.placement.claim(
            taken_by.instance_id, {cloud.hosts["only"].provider_uuid: {"MEMORY_MB": 1024}}, "p2", "u2"
        )

    decision = select_overtaken(cloud, another_comes_first, memory_mb=1024)

    assert decision.host is None
    assert decision.reason == "1 host: 1 lacks MEMORY_MB (needs 1024)."
    assert [stage.name for stage in decision.stages][-1] == "Claim"


class Overtaken(PlacementClient):
    """Lets something happen between the candidates and the first claim."""

    def __init__(self, client, meanwhile):
        super().__init__(client._service.adapter)
        self._meanwhile = meanwhile

    def claim(self, *args, **kwargs):
        meanwhile, self._meanwhile = self._meanwhile, None
        if meanwhile:
            meanwhile()
        super().claim(*args, **kwargs)


def select_overtaken(cloud, meanwhile, **fields):
    cloud.placement = Overtaken(cloud.placement, meanwhile)
    return cloud.select(**fields)


def test_claim_without_room_is_refused_and_takes_nothing(cloud):
    host = cloud.add_host("a", memory_mb=1024)
    request = cloud.request()

    try:
        cloud.placement.claim(request.instance_id, {host.provider_uuid: {"MEMORY_MB": 4096}}, "p1", "u1")
        refusal = None
    except ClaimLost as error:
        refusal = error

    assert refusal is not None
    assert cloud.placement.allocations(request.instance_id).resources == {}


class Meeting(PlacementClient):
    """Has a claim meet an asking for this much memory, if the scheduler lets it."""

    def __init__(self, client, asked_mb):
        super().__init__(client._service.adapter)
        self._asked_mb = asked_mb
        self._asking = threading.Event()
        self._claimed = threading.Event()

    def candidates(self, query, *args, **kwargs):
        if dict(query.resources)["MEMORY_MB"] == self._asked_mb:
            self._asking.set()
            self._claimed.wait(0.2)
        else:
            self._asking.wait(10)
        return super().candidates(query, *args, **kwargs)

    def claim(self, *args, **kwargs):
        super().claim(*args, **kwargs)
        self._claimed.set()


def test_claim_that_would_meet_an_asking_counts_once(cloud):
    cloud.placement = Meeting(cloud.placement, asked_mb=2560)
    cloud.add_host("large", vcpus=16, memory_mb=4096, disk_gb=200)
    cloud.add_host("small", memory_mb=2560)
    requests = [cloud.request(memory_mb=memory_mb) for memory_mb in (1024, 2560)]

    decisions = select_at_once([cloud.scheduler], requests)

    # Were the first to count twice, the large host would seem to be too full for the second.
    assert [decision.host for decision in decisions] == ["large", "large"]
