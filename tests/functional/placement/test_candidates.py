"""Allocation candidates as a scheduler sees them, beyond what the contract's files already say."""

import itertools
import random
import uuid

import pytest

from tests.functional.placement.cloud import Placement

AGGREGATE = str(uuid.uuid4())


def holders(candidates: list[dict]) -> list[str]:
    """The one provider of each candidate."""
    return [uuid for candidate in candidates for uuid in candidate["allocations"]]


def test_limit_shows_every_host_before_a_second_combination_of_one(placement: Placement) -> None:
    hosts = [placement.add_host(f"host-{n}") for n in range(5)]
    for host in hosts:
        for n in range(4):
            placement.add_host(f"{host}-numa-{n}", parent=host, VCPU=8)

    five = placement.get("/allocation_candidates?resources=VCPU:1&limit=5")

    roots = {summary["root_provider_uuid"] for summary in five["provider_summaries"].values()}
    assert len(five["allocation_requests"]) == 5
    assert roots == set(hosts)
    assert len(placement.candidates("resources=VCPU:1")) == 20


def test_depth_first_is_there_for_those_who_ask(placement: Placement) -> None:
    hosts = [placement.add_host(f"host-{n}") for n in range(3)]
    for host in hosts:
        for n in range(3):
            placement.add_host(f"{host}-numa-{n}", parent=host, VCPU=8)
    deep = placement.colleague("[placement]\nallocation_candidates_generation_strategy = depth-first\n")

    answer = deep.get("/allocation_candidates?resources=VCPU:1&limit=3")

    assert len({summary["root_provider_uuid"] for summary in answer["provider_summaries"].values()}) == 1


def test_operator_may_bound_every_answer(placement: Placement) -> None:
    for n in range(5):
        placement.add_host(f"host-{n}", VCPU=8)
    bounded = placement.colleague("[placement]\nmax_allocation_candidates = 2\n")

    assert len(bounded.candidates("resources=VCPU:1")) == 2
    assert len(bounded.candidates("resources=VCPU:1&limit=1")) == 1
    assert len(bounded.candidates("resources=VCPU:1&limit=4")) == 2


def test_random_order_gives_every_host_its_turn(placement: Placement) -> None:
    hosts = {placement.add_host(f"host-{n}", VCPU=8) for n in range(3)}
    fair = placement.colleague("[placement]\nrandomize_allocation_candidates = true\n")

    first = {holders(fair.candidates("resources=VCPU:1&limit=1"))[0] for _ in range(60)}

    assert first == hosts


def test_groups_that_meet_on_one_provider_must_fit_together(placement: Placement) -> None:
    host = placement.add_host("host", VCPU={"total": 8, "max_unit": 5})

    together = placement.candidates("resources1=VCPU:2&resources2=VCPU:3&group_policy=none")

    assert together[0]["allocations"] == {host: {"resources": {"VCPU": 5}}}
    assert together[0]["mappings"] == {"1": [host], "2": [host]}
    assert placement.candidates("resources1=VCPU:3&resources2=VCPU:3&group_policy=none") == []
    assert placement.claim(host, VCPU=5).status == 204
    assert placement.candidates("resources1=VCPU:2&resources2=VCPU:2&group_policy=none") == []


def test_more_groups_than_devices_is_known_at_once_to_be_impossible(placement: Placement) -> None:
    placement.put("/resource_classes/CUSTOM_PCI")
    host = placement.add_host("host", VCPU=8)
    for n in range(14):
        placement.add_host(f"device-{n}", parent=host, CUSTOM_PCI=1)
    groups = "&".join(f"resources{n}=CUSTOM_PCI:1" for n in range(1, 16))

    # Without a proof that it cannot be, this would try 14! combinations.
    assert placement.candidates(f"{groups}&group_policy=isolate") == []
    assert placement.candidates(f"{groups}&group_policy=none") == []


def test_dead_ends_deep_in_a_tree_do_not_hide_the_way_through(placement: Placement) -> None:
    placement.put("/resource_classes/CUSTOM_PCI")
    host = placement.add_host("host", VCPU=8)
    fast = [placement.add_host(f"fast-{n}", host, ("CUSTOM_FAST",), CUSTOM_PCI=1) for n in range(6)]
    slow = [placement.add_host(f"slow-{n}", host, CUSTOM_PCI=1) for n in range(6)]
    groups = [f"resources{n}=CUSTOM_PCI:1" for n in range(1, 13)]
    groups += [f"required{n}=CUSTOM_FAST" for n in range(7, 13)]

    found = placement.candidates(f"{'&'.join(groups)}&group_policy=isolate&limit=20")

    assert len(found) == 20
    for candidate in found:
        assert {candidate["mappings"][str(n)][0] for n in range(7, 13)} == set(fast)
        assert {candidate["mappings"][str(n)][0] for n in range(1, 7)} == set(slow)


def test_aggregate_of_the_root_counts_for_the_whole_tree_but_not_for_one_provider(placement: Placement) -> None:
    host = placement.add_host("host", aggregates=(AGGREGATE,))
    numa = placement.add_host("numa", parent=host, VCPU=8)
    other = placement.add_host("other", VCPU=8)

    assert holders(placement.candidates(f"resources=VCPU:1&member_of={AGGREGATE}")) == [numa]
    assert holders(placement.candidates(f"resources=VCPU:1&member_of=!{AGGREGATE}")) == [other]
    assert placement.candidates(f"resources1=VCPU:1&member_of1={AGGREGATE}") == []
    assert set(holders(placement.candidates(f"resources1=VCPU:1&member_of1=!{AGGREGATE}"))) == {numa, other}


def test_shared_disk_alone_is_one_candidate_however_many_share_it(placement: Placement) -> None:
    for n in range(3):
        placement.add_host(f"host-{n}", aggregates=(AGGREGATE,), VCPU=8)
    pool = placement.add_host("pool", traits=("MISC_SHARES_VIA_AGGREGATE",), aggregates=(AGGREGATE,), DISK_GB=100)

    assert holders(placement.candidates("resources=DISK_GB:10")) == [pool]
    assert len(placement.candidates("resources=DISK_GB:10,VCPU:1")) == 3


def test_claim_of_each_candidate_succeeds(placement: Placement) -> None:
    hosts = [placement.add_host(f"host-{n}", aggregates=(AGGREGATE,), VCPU=2) for n in range(3)]
    placement.add_host("pool", traits=("MISC_SHARES_VIA_AGGREGATE",), aggregates=(AGGREGATE,), DISK_GB=100)
    for host in hosts:
        placement.add_host(f"{host}-pf", parent=host, SRIOV_NET_VF=4)
    query = "resources=VCPU:1,DISK_GB:5&resources_PORT=SRIOV_NET_VF:2&group_policy=none"

    candidates = placement.candidates(query)

    assert len(candidates) == 3
    for candidate in candidates:
        body = {
            "allocations": candidate["allocations"],
            "mappings": candidate["mappings"],
            "project_id": "p",
            "user_id": "u",
            "consumer_generation": None,
            "consumer_type": "INSTANCE",
        }
        placement.put(f"/allocations/{uuid.uuid4()}", body)
    assert [placement.usage(host) for host in hosts] == [{"VCPU": 1}] * 3


@pytest.mark.parametrize("seed", range(12))
def test_search_finds_what_trying_everything_finds(placement: Placement, seed: int) -> None:
    chance = random.Random(seed)
    placement.put("/traits/CUSTOM_FAST")
    tree = {"root": placement.add_host("root", VCPU=chance.randrange(1, 6))}
    for n in range(chance.randrange(2, 6)):
        parent = chance.choice(list(tree.values()))
        traits = ("CUSTOM_FAST",) if chance.random() < 0.5 else ()
        tree[f"child-{n}"] = placement.add_host(
            f"child-{n}", parent, traits, VCPU=chance.randrange(1, 6), SRIOV_NET_VF=chance.randrange(1, 4)
        )
    wanted = [("_A", "VCPU", chance.randrange(1, 4)), ("_B", "VCPU", chance.randrange(1, 4))]
    wanted.append(("_C", "SRIOV_NET_VF", chance.randrange(1, 3)))
    isolate, together, fast = chance.random() < 0.5, chance.random() < 0.5, chance.choice(["_A", "_C", ""])
    query = "&".join(f"resources{suffix}={name}:{amount}" for suffix, name, amount in wanted)
    query += f"&group_policy={'isolate' if isolate else 'none'}"
    query += "&same_subtree=_A,_B" if together else ""
    query += f"&required{fast}=CUSTOM_FAST" if fast else ""

    found = {tuple(c["mappings"][s][0] for s, _, _ in wanted) for c in placement.candidates(query)}

    providers = {p["uuid"]: p for p in placement.get("/resource_providers")["resource_providers"]}
    rooms = {u: placement.get(f"/resource_providers/{u}/inventories")["inventories"] for u in providers}
    has_trait = {u for u in providers if placement.get(f"/resource_providers/{u}/traits")["traits"]}

    def is_above(top: str, below: str | None) -> bool:
        return below == top or (below is not None and is_above(top, providers[below]["parent_provider_uuid"]))

    def works(choice: tuple[str, ...]) -> bool:
        taken: dict[tuple[str, str], int] = {}
        for provider, (suffix, name, amount) in zip(choice, wanted, strict=True):
            taken[provider, name] = taken.get((provider, name), 0) + amount
            if suffix == fast and provider not in has_trait:
                return False
        if isolate and len(set(choice)) < len(choice):
            return False
        if together and not (is_above(choice[0], choice[1]) or is_above(choice[1], choice[0])):
            return False
        return all(amount <= rooms[p].get(name, {"total": 0})["total"] for (p, name), amount in taken.items())

    assert found == {choice for choice in itertools.product(providers, repeat=3) if works(choice)}
