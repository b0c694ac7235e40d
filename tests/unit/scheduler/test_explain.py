"""The sentence a user is told when no host was found."""

from collections import Counter

import pytest

from nova.scheduler import decide, filters
from nova.scheduler.explain import agree, sentence


@pytest.mark.parametrize(
    "total, lost, expected",
    [
        (0, {}, "There are no hosts."),
        (1, {"is down": 1}, "1 host: 1 is down."),
        (
            3,
            {"is disabled": 1, "lacks MEMORY_MB (needs 2048)": 2},
            "3 hosts: 2 lack MEMORY_MB (needs 2048), 1 is disabled.",
        ),
        (
            12,
            {f"lacks trait {letter}": 2 if letter == "A" else 1 for letter in "ABCDEFGHIJK"},
            "12 hosts: 2 lack trait A, 1 lacks trait B, 1 lacks trait C, 1 lacks trait D, 1 lacks trait E, "
            "1 lacks trait F, 5 have other reasons.",
        ),
    ],
)
def test_sentence_counts_hosts_by_reason(total, lost, expected):
    assert sentence(total, Counter(lost)) == expected


@pytest.mark.parametrize(
    "clause, plural",
    [
        ("is down", "are down"),
        ("has no room", "have no room"),
        ("does not match", "do not match"),
        ("was tried already", "were tried already"),
        ("lacks VCPU (needs 1)", "lack VCPU (needs 1)"),
        ("cannot run an image for arm", "cannot run an image for arm"),
    ],
)
def test_verb_agrees_with_the_number_of_hosts(clause, plural):
    assert agree(clause, 1) == clause
    assert agree(clause, 2) == plural


def test_filters_stop_when_no_host_is_left(conf, a_host, a_request):
    hosts = [a_host("a", is_up=False), a_host("b", is_disabled=True)]

    result = decide.pass_filters(hosts, filters.enabled(conf), a_request(), {})

    assert result.passed == []
    assert result.stages[-1].name == "ComputeFilter"
    assert (result.stages[-1].before, result.stages[-1].after) == (2, 0)
    assert [(one.host, one.reason) for one in result.stages[-1].dropped] == [("a", "is down"), ("b", "is disabled")]


def test_record_names_twenty_hosts_and_counts_all(conf, a_host, a_request):
    hosts = [a_host(f"host-{number}", is_up=False) for number in range(50)]

    result = decide.pass_filters(hosts, filters.enabled(conf), a_request(), {})

    assert (result.stages[-1].before, result.stages[-1].after) == (50, 0)
    assert len(result.stages[-1].dropped) == 20
    assert result.lost == {"is down": 50}
