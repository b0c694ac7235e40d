"""Claims are exact whoever else claims at the same time, and somebody always gets on."""

import threading
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from tests.functional.placement.cloud import Placement

CLIENTS = 64


def all_at_once(count: int, work: Callable[[int], Any]) -> list[Any]:
    """What work returns for each of count threads that begin together."""
    barrier = threading.Barrier(count)

    def begin(number: int) -> Any:
        barrier.wait()
        return work(number)

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(begin, range(count)))


def test_64_clients_share_the_last_room_of_two_hosts_without_overcommitting(anywhere: Placement) -> None:
    workers = [anywhere, anywhere.colleague()]
    hosts = [anywhere.add_host("one", VCPU=10, MEMORY_MB=1000), anywhere.add_host("two", VCPU=5, MEMORY_MB=1000)]

    answers = all_at_once(
        CLIENTS, lambda number: workers[number % 2].claim(hosts[number // 2 % 2], VCPU=1, MEMORY_MB=10)
    )

    statuses = [answer.status for answer in answers]
    assert statuses.count(204) == 15
    assert statuses.count(409) == CLIENTS - 15
    assert [anywhere.usage(host)["VCPU"] for host in hosts] == [10, 5]
    assert all("exceed the capacity" in a.error["detail"] for a in answers if a.status == 409)


def test_clients_that_claim_two_hosts_in_opposite_order_never_deadlock(anywhere: Placement) -> None:
    workers = [anywhere, anywhere.colleague()]
    one, two = anywhere.add_host("one", VCPU=100), anywhere.add_host("two", VCPU=100)

    def claim(number: int) -> int:
        order = (one, two) if number % 2 else (two, one)
        return workers[number // 2 % 2].claim_all({host: {"VCPU": 1} for host in order}).status

    assert all_at_once(CLIENTS, claim) == [204] * CLIENTS
    assert anywhere.usage(one) == anywhere.usage(two) == {"VCPU": CLIENTS}


def test_one_of_many_writers_of_the_same_consumer_wins(anywhere: Placement) -> None:
    workers = [anywhere, anywhere.colleague()]
    host, consumer = anywhere.add_host("one", VCPU=1000), str(uuid.uuid4())

    answers = all_at_once(16, lambda number: workers[number % 2].claim(host, consumer, VCPU=number + 1))

    assert sorted(answer.status for answer in answers) == [204] + [409] * 15
    lost = [answer.error for answer in answers if answer.status == 409]
    assert {error["code"] for error in lost} == {"placement.concurrent_update"}
    winner = [answer.status for answer in answers].index(204)
    assert anywhere.usage(host) == {"VCPU": winner + 1}


def test_one_of_many_writers_of_the_same_generation_wins(anywhere: Placement) -> None:
    workers = [anywhere, anywhere.colleague()]
    host = anywhere.add_host("one", VCPU=8)
    generation = anywhere.generation(host)

    def resize(number: int) -> int:
        body = {"resource_provider_generation": generation, "inventories": {"VCPU": {"total": 100 + number}}}
        return workers[number % 2].call("PUT", f"/resource_providers/{host}/inventories", body).status

    statuses = all_at_once(16, resize)

    assert sorted(statuses) == [200] + [409] * 15
    total = anywhere.get(f"/resource_providers/{host}/inventories")["inventories"]["VCPU"]["total"]
    assert total == 100 + statuses.index(200)


def test_claims_and_releases_leave_nothing_behind(anywhere: Placement) -> None:
    workers = [anywhere, anywhere.colleague()]
    host = anywhere.add_host("one", VCPU=4)

    def come_and_go(number: int) -> int:
        worker, consumer, served = workers[number % 2], str(uuid.uuid4()), 0
        for _ in range(4):
            if worker.claim(host, consumer, VCPU=1).status == 204:
                served += 1
                worker.delete(f"/allocations/{consumer}")
        return served

    served = all_at_once(16, come_and_go)

    assert sum(served) >= 4
    assert anywhere.usage(host) == {"VCPU": 0}
    assert anywhere.get(f"/resource_providers/{host}/allocations")["allocations"] == {}


def test_a_worker_sees_at_once_what_another_has_written(anywhere: Placement) -> None:
    colleague = anywhere.colleague()
    host = anywhere.add_host("one", VCPU=4)

    assert colleague.candidates("resources=VCPU:3")
    colleague.claim(host, VCPU=3)

    assert anywhere.candidates("resources=VCPU:3") == []
    assert anywhere.usage(host) == {"VCPU": 3}
    anywhere.put("/traits/CUSTOM_FAST")
    body = {"traits": ["CUSTOM_FAST"], "resource_provider_generation": colleague.generation(host)}
    colleague.put(f"/resource_providers/{host}/traits", body)
    assert anywhere.candidates("resources=VCPU:1&required=CUSTOM_FAST")


def test_consumer_that_exists_is_not_taken_for_a_new_one(anywhere: Placement) -> None:
    host, consumer = anywhere.add_host("one", VCPU=8), str(uuid.uuid4())
    assert anywhere.claim(host, consumer, VCPU=2).status == 204

    again = anywhere.claim(host, consumer, VCPU=3)
    nothing = anywhere.claim_all({}, consumer)

    assert [again.status, nothing.status] == [409, 409]
    assert "expected 1 but got None" in again.error["detail"]
    assert anywhere.usage(host) == {"VCPU": 2}


def test_consumer_on_a_host_made_smaller_may_stay_or_shrink_but_not_grow(anywhere: Placement) -> None:
    host, consumer = anywhere.add_host("one", DISK_GB=100), str(uuid.uuid4())
    anywhere.claim(host, consumer, DISK_GB=50)
    generation = anywhere.generation(host)
    body = {"resource_provider_generation": generation, "inventories": {"DISK_GB": {"total": 10}}}
    anywhere.put(f"/resource_providers/{host}/inventories", body)

    assert anywhere.claim(host, consumer, 1, DISK_GB=50).status == 204
    assert anywhere.claim(host, consumer, 2, DISK_GB=40).status == 204
    assert anywhere.claim(host, consumer, 3, DISK_GB=41).status == 409
    assert anywhere.claim(host, DISK_GB=1).status == 409
    assert anywhere.usage(host) == {"DISK_GB": 40}


def test_reshape_moves_inventory_and_what_is_held_of_it_in_one_step(anywhere: Placement) -> None:
    host, consumer = anywhere.add_host("one", VCPU=8, DISK_GB=100), str(uuid.uuid4())
    numa = anywhere.add_host("numa", parent=host)
    anywhere.claim(host, consumer, VCPU=2, DISK_GB=10)
    claim = {
        "allocations": {host: {"resources": {"DISK_GB": 10}}, numa: {"resources": {"VCPU": 2}}},
        "project_id": "project",
        "user_id": "user",
        "consumer_generation": 1,
        "consumer_type": "INSTANCE",
    }

    def reshape(allocations: dict[str, Any]) -> int:
        inventories = {
            host: {"resource_provider_generation": 2, "inventories": {"DISK_GB": {"total": 100}}},
            numa: {"resource_provider_generation": 0, "inventories": {"VCPU": {"total": 8}}},
        }
        body = {"inventories": inventories, "allocations": allocations}
        return anywhere.call("POST", "/reshaper", body, headers={"X-Roles": "admin,service"}).status

    # Without the claim VCPU would be taken away from under the consumer: all of it is refused.
    assert reshape({}) == 409
    assert anywhere.usage(host) == {"VCPU": 2, "DISK_GB": 10}
    assert anywhere.usage(numa) == {}
    assert reshape({consumer: claim}) == 204
    assert anywhere.usage(host) == {"DISK_GB": 10}
    assert anywhere.usage(numa) == {"VCPU": 2}
