"""What becomes of a promise: it counts until it is seen, taken back, or old; and nobody is refused for a void one."""

import pytest

from nova import concurrency, errors
from nova.clients.placement import PlacementClient
from nova.rpc.scheduler import TOPIC
from nova.rpc.server import Server
from nova.scheduler.promises import LIFETIME_S
from nova.structs.host import HostLoad
from nova.structs.schedule import GroupView
from tests.functional.scheduler.test_races import select_at_once


class Silent(PlacementClient):
    """Takes the first claims and never says what became of them."""

    def __init__(self, client, number=1, reaches=False):
        super().__init__(client._service.adapter)
        self._left = number
        self._reaches = reaches

    def claim(self, *args, **kwargs):
        if self._left:
            self._left -= 1
            if self._reaches:
                super().claim(*args, **kwargs)
            raise errors.Unavailable(service="placement", reason="no answer in time")
        super().claim(*args, **kwargs)


class Clock:
    """Stands still until it is told to go on."""

    now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock(cloud):
    cloud.now = Clock()
    return cloud.now


def lose_a_claim(cloud, **fields):
    with pytest.raises(errors.Unavailable):
        cloud.select(**fields)


def group_of(policy="anti-affinity", **fields):
    return GroupView(uuid="0f0e0d0c-0000-4000-8000-000000000001", policy=policy, **fields)


def promises(decision):
    return {one.host: len(one.sequences) for one in decision.promises}


def test_lost_claim_takes_room_for_a_time_and_not_for_ever(cloud, clock):
    cloud.placement = Silent(cloud.placement)
    cloud.add_host("large", memory_mb=8192)
    cloud.add_host("small", memory_mb=6144)
    lose_a_claim(cloud, memory_mb=4096)

    soon = cloud.select(memory_mb=1024, is_dry_run=True)
    clock.now += LIFETIME_S + 1
    later = cloud.select(memory_mb=1024, is_dry_run=True)

    assert (soon.host, promises(soon)) == ("small", {"large": 1})
    assert (later.host, promises(later)) == ("large", {})


def test_lost_claim_refuses_nobody(cloud, clock):
    cloud.placement = Silent(cloud.placement)
    cloud.add_host("only", memory_mb=4096)
    lose_a_claim(cloud, memory_mb=4096)

    decision = cloud.select(memory_mb=4096)

    assert decision.host == "only"
    assert cloud.used("only")["MEMORY_MB"] == 4096


def test_request_that_is_repeated_after_a_lost_answer_is_in_nobodys_way(cloud, clock):
    cloud.placement = Silent(cloud.placement, reaches=True)
    for name in ("a", "b"):
        cloud.add_host(name, memory_mb=4096)
    request = cloud.request(memory_mb=4096)
    with pytest.raises(errors.Unavailable):
        cloud.scheduler.select(request)

    again = cloud.scheduler.select(request)
    other = cloud.select(memory_mb=4096)

    assert {again.host, other.host} == {"a", "b"}
    assert [cloud.used(name)["MEMORY_MB"] for name in ("a", "b")] == [4096, 4096]


def test_claimed_room_counts_once(cloud):
    cloud.add_host("a", memory_mb=1024)

    decisions = [cloud.select(memory_mb=512) for _ in range(2)]

    assert [decision.host for decision in decisions] == ["a", "a"]
    assert [promises(decision) for decision in decisions] == [{}, {}]


def test_member_counts_until_the_database_shows_it_and_not_twice(cloud):
    cloud.add_host("only")
    group = group_of(max_server_per_host=2)
    first = cloud.request(group=group)
    cloud.scheduler.select(first)
    shown = group_of(max_server_per_host=2, hosts=("only",), members=(first.instance_id,))

    second, third = cloud.select(group=shown), cloud.select(group=shown)

    assert (second.host, third.host) == ("only", None)
    assert third.reason == "1 host: 1 holds 2 members of the server group."


def test_server_that_gave_its_host_back_is_no_member_any_more(cloud):
    cloud.add_host("only")
    first = cloud.request(group=group_of())
    cloud.scheduler.select(first)

    refused = cloud.select(group=group_of())
    cloud.scheduler.released(first.instance_id)
    taken = cloud.select(group=group_of())

    assert (refused.host, taken.host) == (None, "only")


def test_affinity_holds_for_members_that_nobody_has_recorded_yet(cloud):
    for number in range(3):
        cloud.add_host(f"host-{number}", memory_mb=2048)

    hosts = [cloud.select(memory_mb=1024, group=group_of("affinity")).host for _ in range(3)]

    assert hosts[0] == hosts[1]
    assert hosts[2] is None


def test_limits_of_servers_on_a_host_hold_for_those_that_come_together(cloud):
    cloud.conf.set_override("enabled_filters", ["NumInstancesFilter"], group="filter_scheduler")
    cloud.conf.set_override("max_instances_per_host", 2, group="filter_scheduler")
    for name in ("a", "b"):
        cloud.add_host(name)

    decisions = select_at_once([cloud.scheduler], [cloud.request() for _ in range(8)])

    assert sorted(decision.host or "" for decision in decisions) == ["", "", "", "", "a", "a", "b", "b"]


def test_server_that_the_database_counts_is_counted_once(cloud):
    cloud.conf.set_override("enabled_filters", ["NumInstancesFilter"], group="filter_scheduler")
    cloud.conf.set_override("max_instances_per_host", 2, group="filter_scheduler")
    cloud.add_host("only")
    first = cloud.request()
    cloud.conductor.loads = {"only": HostLoad(instances=1, recent=(first.instance_id,))}
    cloud.scheduler.select(first)

    second, third = cloud.select(), cloud.select()

    assert (second.host, third.host) == ("only", None)


def test_another_scheduler_counts_what_it_is_told(cloud, clock):
    cloud.placement = Silent(cloud.placement)
    cloud.add_host("large", memory_mb=8192)
    cloud.add_host("small", memory_mb=6144)
    one, other = cloud.start_scheduler(), cloud.start_scheduler()
    with pytest.raises(errors.Unavailable):
        one.select(cloud.request(memory_mb=4096))
    request = cloud.request(memory_mb=1024, is_dry_run=True)

    wait(lambda: promises(other.select(request)) == {"large": 1})

    assert other.select(request).host == "small"


def test_scheduler_that_comes_later_learns_what_was_promised_before(cloud):
    for name in ("a", "b"):
        cloud.add_host(name)
    home = cloud.select(group=group_of()).host

    newcomer = cloud.start_scheduler()

    request = cloud.request(group=group_of(), is_dry_run=True)
    wait(lambda: promises(newcomer.select(request)) == {home: 1})
    assert {home, newcomer.select(request).host} == {"a", "b"}


class LastRelease:
    """The contract of a scheduler that knows nothing of promises."""

    def select(self) -> None:
        """Choose a host."""


def test_scheduler_of_the_last_release_hears_nothing_of_promises(cloud, caplog):
    old = Server(cloud.bus, TOPIC, "old", LastRelease, LastRelease())
    old.start()
    cloud.add_host("a")

    # Each knows that the other is there, so the news have been heard.
    one, _ = cloud.start_scheduler(), cloud.start_scheduler()
    one.select(cloud.request())
    old.stop()

    assert not [record for record in caplog.records if record.name == "nova.rpc.server"]


def test_scheduler_that_stops_is_not_waited_for(cloud):
    cloud.add_host("a")
    one = cloud.start_scheduler()
    cloud.start_scheduler()

    cloud.stop_last_scheduler()

    wait(lambda: one.peers.others() == [])
    assert one.select(cloud.request()).host == "a"


def test_restarted_scheduler_finds_the_claims_there_are(cloud):
    for name in ("a", "b"):
        cloud.add_host(name, memory_mb=1024)
    request = cloud.request(memory_mb=1024)
    first = cloud.scheduler.select(request)
    cloud.stop_last_scheduler()

    restarted = cloud.start_scheduler()
    again = restarted.select(request)
    other = restarted.select(cloud.request(memory_mb=1024))

    assert again.host == first.host
    assert {first.host, other.host} == {"a", "b"}


def test_record_says_who_is_kept_out_by_a_promise(cloud, clock):
    cloud.placement = Silent(cloud.placement)
    cloud.add_host("large", memory_mb=2048)
    cloud.add_host("small", memory_mb=1024)
    lose_a_claim(cloud, memory_mb=2048)

    decision = cloud.select(memory_mb=1024, is_dry_run=True)

    stage = next(stage for stage in decision.stages if stage.name == "Promises")
    assert (stage.before, stage.after) == (2, 1)
    assert (stage.dropped[0].host, stage.dropped[0].reason) == ("large", "is promised to servers on their way")


def wait(condition):
    assert concurrency.wait_for(condition, 90)
