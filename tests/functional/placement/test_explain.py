"""Why a host is not among the candidates, in words an operator can act on."""

import uuid
from typing import Any

import pytest

from tests.functional.placement.cloud import Placement

AGGREGATE = str(uuid.uuid4())


def explain(placement: Placement, query: str) -> dict[str, Any]:
    return placement.get(f"/allocation_candidates/explain?{query}")


def reasons(explanation: dict[str, Any]) -> dict[str, tuple[str, str]]:
    """Name of each dropped provider -> the stage that dropped it, and why."""
    return {
        dropped["name"]: (stage["stage"], dropped["reason"])
        for stage in explanation["stages"]
        for dropped in stage["reasons"]
    }


def test_each_stage_says_what_it_dropped_and_why(placement: Placement) -> None:
    placement.add_host("good", traits=("STORAGE_DISK_SSD",), aggregates=(AGGREGATE,), VCPU=8, DISK_GB=100)
    full = placement.add_host("full", traits=("STORAGE_DISK_SSD",), aggregates=(AGGREGATE,), VCPU=8, DISK_GB=100)
    placement.claim(full, VCPU=7)
    placement.add_host("slow", aggregates=(AGGREGATE,), VCPU=8, DISK_GB=100)
    placement.add_host("away", traits=("STORAGE_DISK_SSD",), VCPU=8, DISK_GB=100)
    placement.add_host("empty")

    told = explain(placement, f"resources1=VCPU:2,DISK_GB:10&required1=STORAGE_DISK_SSD&member_of1={AGGREGATE}")

    assert reasons(told) == {
        "full": ("resource_class", "VCPU: 2 asked, 1 of 8 free"),
        "empty": ("resource_class", "has no inventory of VCPU; has no inventory of DISK_GB"),
        "slow": ("trait", "lacks the trait STORAGE_DISK_SSD"),
        "away": ("aggregate", f"is not in the aggregate {AGGREGATE}"),
    }
    assert [(stage["stage"], stage["remained"]) for stage in told["stages"]] == [
        ("resource_class", 3),
        ("trait", 2),
        ("aggregate", 1),
        ("in_tree", 1),
        ("tree", 1),
        ("sharing", 1),
        ("combination", 1),
    ]
    assert (told["candidates"], told["is_complete"]) == (1, True)


@pytest.mark.parametrize(
    ("inventory", "reason"),
    [
        ({"total": 8, "min_unit": 4}, "VCPU: 2 asked, at least 4 at once (min_unit)"),
        ({"total": 8, "max_unit": 1}, "VCPU: 2 asked, at most 1 at once (max_unit)"),
        ({"total": 8, "step_size": 3}, "VCPU: 2 asked, only multiples of 3 are given (step_size)"),
        ({"total": 8, "reserved": 7}, "VCPU: 2 asked, 1 of 1 free"),
    ],
)
def test_units_are_explained(placement: Placement, inventory: dict[str, int], reason: str) -> None:
    placement.add_host("host", VCPU=inventory)

    assert reasons(explain(placement, "resources=VCPU:2")) == {"host": ("resource_class", reason)}


def test_host_without_disk_of_its_own_is_told_about_shared_disk(placement: Placement) -> None:
    placement.add_host("host", aggregates=(AGGREGATE,), VCPU=8)
    placement.add_host("pool", traits=("MISC_SHARES_VIA_AGGREGATE",), aggregates=(AGGREGATE,), DISK_GB=5)
    placement.add_host("alone", VCPU=8)

    told = reasons(explain(placement, "resources=VCPU:1,DISK_GB:10"))

    assert told["host"] == ("sharing", "10 DISK_GB cannot be had (pool: DISK_GB: 10 asked, 5 of 5 free)")
    assert told["alone"] == ("sharing", "neither the tree nor what is shared with it has inventory of DISK_GB")


def test_roots_trees_and_combinations_are_explained(placement: Placement) -> None:
    host = placement.add_host("host", VCPU=8)
    placement.add_host("device", parent=host, SRIOV_NET_VF=8)
    groups = "resources1=SRIOV_NET_VF:1&resources2=SRIOV_NET_VF:1"

    isolated = reasons(explain(placement, f"{groups}&group_policy=isolate"))
    rooted = reasons(explain(placement, "resources=VCPU:1&root_required=STORAGE_DISK_SSD"))
    elsewhere = reasons(explain(placement, f"resources=VCPU:1&in_tree={uuid.uuid4()}"))

    assert isolated["host"][0] == "combination"
    assert "group_policy=isolate" in isolated["host"][1]
    assert rooted["host"] == ("tree", "the root lacks the trait STORAGE_DISK_SSD")
    assert elsewhere["host"] == ("in_tree", "the provider that in_tree names does not exist")


def test_reasons_are_as_many_as_asked_for_and_about_whom(placement: Placement) -> None:
    hosts = [placement.add_host(f"host-{n}") for n in range(5)]

    two = explain(placement, "resources=VCPU:1&max_reasons=2")
    none = explain(placement, "resources=VCPU:1&max_reasons=0")
    one = explain(placement, f"resources=VCPU:1&provider={hosts[3]}")

    assert two["stages"][0]["dropped"] == none["stages"][0]["dropped"] == 5
    assert len(reasons(two)) == 2
    assert reasons(none) == {}
    assert list(reasons(one)) == ["host-3"]


def test_explanation_is_for_administrators_and_changes_no_other_answer(placement: Placement) -> None:
    placement.add_host("host", VCPU=8)
    service = {"X-Auth-Token": "nova", "X-Roles": "service"}

    assert placement.call("GET", "/allocation_candidates/explain?resources=VCPU:1", headers=service).status == 403
    assert placement.call("GET", "/allocation_candidates?resources=VCPU:1&max_reasons=1").status == 400
    assert placement.call("GET", "/allocation_candidates/other?resources=VCPU:1").status == 404
