"""What the scheduler knows of hosts follows what the conductor says of them."""

import msgspec
import pytest

from nova import concurrency, errors
from nova.scheduler.host_view import Hosts
from nova.structs.host import HostView


def becomes(condition):
    return concurrency.wait_for(condition, timeout_s=90)


def test_host_that_goes_down_is_not_chosen_any_more(cloud):
    cloud.add_host("best", memory_mb=8192)
    cloud.add_host("next", memory_mb=4096)
    before = cloud.select(is_dry_run=True)

    cloud.change_host("best", is_up=False)

    assert before.host == "best"
    assert becomes(lambda: cloud.select(is_dry_run=True).host == "next")


def test_host_that_is_enabled_again_is_chosen_again(cloud):
    cloud.add_host("a", is_disabled=True)
    before = cloud.select(is_dry_run=True)

    cloud.change_host("a", is_disabled=False)

    assert before.reason == "1 host: 1 is disabled."
    assert becomes(lambda: cloud.select(is_dry_run=True).host == "a")


def test_host_that_is_removed_is_not_chosen_any_more(cloud):
    cloud.add_host("best", memory_mb=8192)
    cloud.add_host("next", memory_mb=4096)
    cloud.select(is_dry_run=True)

    cloud.remove_host("best")

    assert becomes(lambda: cloud.select(is_dry_run=True).host == "next")


def test_host_nobody_told_of_yet_is_found_when_there_is_no_other(cloud):
    cloud.add_host("old", is_up=False)
    cloud.select()
    cloud.add_host("new")

    decision = cloud.select()

    assert decision.host == "new"


def test_versions_that_start_anew_are_fetched_from_the_beginning(cloud):
    cloud.add_host("a")
    cloud.add_host("b", memory_mb=16384)
    assert cloud.select(is_dry_run=True).host == "b"
    restored = type(cloud.conductor)()
    version = restored.put(cloud.hosts["a"])

    cloud.conductor.host_view = restored.host_view
    cloud.scheduler.hosts_changed(version)

    assert becomes(lambda: cloud.select(is_dry_run=True).host == "a")


def test_gap_in_what_was_heard_is_closed(cloud):
    a = cloud.add_host("a")
    b = cloud.add_host("b", memory_mb=2048)
    whole = cloud.conductor.host_view
    # The first answer leaves out what the later versions take for granted.
    answers = iter([HostView(version=1, changed=(b,), all_nodes=(b.provider_uuid,))])
    cloud.conductor.host_view = lambda since: next(answers, None) or whole(since)
    assert cloud.select(is_dry_run=True).host == "b"

    cloud.conductor.host_view = lambda since: (
        HostView(version=9, changed=(), all_nodes=(a.provider_uuid, b.provider_uuid)) if since else whole(0)
    )
    cloud.scheduler.hosts_changed(9)

    assert becomes(lambda: cloud.select(is_dry_run=True).host == "a")


def test_scheduler_started_before_the_conductor_waits_for_it(cloud):
    cloud.add_host("a")
    answer = cloud.conductor.host_view
    tries = []

    def host_view(since):
        tries.append(since)
        if len(tries) < 2:
            raise errors.Unavailable(service="The conductor", reason="not started")
        return answer(since)

    cloud.conductor.host_view = host_view
    scheduler = cloud.scheduler
    assert becomes(lambda: tries)
    scheduler.hosts_changed(1)

    assert scheduler.select(cloud.request()).host == "a"


def test_scheduler_says_when_placement_does_not_answer(cloud):
    cloud.add_host("a")
    cloud.placement_transport.fault = "refuses"

    with pytest.raises(errors.Unavailable, match="Placement is not available"):
        cloud.select()

    cloud.placement_transport.fault = None
    assert cloud.select().host == "a"


class RefreshedHosts(Hosts):
    """Another thread takes a newer picture just when this one has been looked at."""

    def known(self, timeout_s=90.0):
        seen = super().known(timeout_s)
        self.refresh()
        return seen


def test_decision_never_takes_an_older_picture_than_its_version(cloud):
    host = cloud.add_host("a")
    hosts = RefreshedHosts(cloud.conductor)
    hosts.refresh()
    version = cloud.conductor.put(msgspec.structs.replace(host, is_disabled=True))

    assert hosts.at_least(version)[host.provider_uuid].is_disabled
