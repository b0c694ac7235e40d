"""The client of Placement, against the real service."""

import uuid

import pytest

from nova import errors
from nova.clients.placement import PlacementClient
from nova.clients.placement.claims import Claim, ConsumerHolds
from nova.clients.placement.providers import ProviderInUse
from nova.clients.placement.query import CandidatesQuery
from nova.structs.guest import Inventory

SIZES = {"VCPU": Inventory(total=8, allocation_ratio=4.0), "MEMORY_MB": Inventory(total=8192, reserved=512)}
HOST = str(uuid.UUID(int=1))
OTHER = str(uuid.UUID(int=2))
SERVER = str(uuid.UUID(int=11))
SECOND = str(uuid.UUID(int=12))


def a_copy(client):
    """The same service as another daemon sees it, which has written nothing yet."""
    return PlacementClient(client._service.adapter)


@pytest.fixture
def requests_made(client):
    made = []
    send = client._service.adapter.request
    client._service.adapter.request = lambda path, method, **kwargs: (
        made.append((method, path)) or send(path, method, **kwargs)
    )
    return made


def test_inventory_of_a_new_host_makes_its_provider(client):
    client.set_inventory(HOST, "host-1", SIZES, ["HW_CPU_X86_AVX", "CUSTOM_FAST"])

    assert client.provider(HOST).name == "host-1"
    assert client.inventory(HOST) == SIZES
    assert [one.uuid for one in client.providers(required="CUSTOM_FAST")] == [HOST]


def test_inventory_that_did_not_change_is_not_written_again(client, requests_made):
    client.set_inventory(HOST, "host-1", SIZES, ["HW_CPU_X86_AVX"])
    requests_made.clear()

    client.set_inventory(HOST, "host-1", SIZES, ["HW_CPU_X86_AVX"])
    a_copy(client).set_inventory(HOST, "host-1", SIZES, ["HW_CPU_X86_AVX"])

    assert {method for method, _ in requests_made} == {"GET"}


def test_inventory_follows_changes(client):
    client.set_inventory(HOST, "host-1", SIZES, ["HW_CPU_X86_AVX"])

    client.set_inventory(HOST, "host-1.example.org", {"VCPU": Inventory(total=4)}, ["HW_CPU_X86_AVX2"])

    assert client.provider(HOST).name == "host-1.example.org"
    assert client.inventory(HOST) == {"VCPU": Inventory(total=4)}
    assert client.providers(required="HW_CPU_X86_AVX") == []
    assert len(client.providers(required="HW_CPU_X86_AVX2")) == 1


def test_custom_traits_of_an_operator_stay_and_those_of_the_host_go(client):
    client.set_inventory(OTHER, "host-2", SIZES, ["CUSTOM_OPERATORS"])
    client.set_inventory(HOST, "host-1", SIZES, ["CUSTOM_HOSTS"])
    traits = client._ask("GET", f"/resource_providers/{HOST}/traits").json()
    traits["traits"].append("CUSTOM_OPERATORS")
    client._ask("PUT", f"/resource_providers/{HOST}/traits", traits)

    client.set_inventory(HOST, "host-1", SIZES, [])

    assert client._ask("GET", f"/resource_providers/{HOST}/traits").json()["traits"] == ["CUSTOM_OPERATORS"]


def test_name_of_another_provider_is_refused(client):
    client.set_inventory(HOST, "host-1", SIZES)

    with pytest.raises(errors.NameExists):
        client.set_inventory(OTHER, "host-1", SIZES)


def test_class_in_use_cannot_be_taken_from_a_host(client):
    client.set_inventory(HOST, "host-1", SIZES)
    client.claim(SERVER, {HOST: {"MEMORY_MB": 512}}, "p1", "u1")

    with pytest.raises(ProviderInUse):
        client.set_inventory(HOST, "host-1", {"VCPU": SIZES["VCPU"]})
    with pytest.raises(ProviderInUse):
        client.delete_provider(HOST)

    assert client.inventory(HOST) == SIZES


def test_claiming_the_same_twice_is_fine(client):
    client.set_inventory(HOST, "host-1", SIZES)

    client.claim(SERVER, {HOST: {"MEMORY_MB": 7680}}, "p1", "u1")
    client.claim(SERVER, {HOST: {"MEMORY_MB": 7680}}, "p1", "u1")

    assert client.provider_allocations(HOST) == {SERVER: {"MEMORY_MB": 7680}}
    assert client.allocations(SERVER).project_id == "p1"
    assert client.allocations(SERVER).consumer_type == "INSTANCE"


def test_claiming_something_else_is_told_and_changes_nothing(client):
    client.set_inventory(HOST, "host-1", SIZES)
    client.set_inventory(OTHER, "host-2", SIZES)
    client.claim(SERVER, {HOST: {"MEMORY_MB": 512}}, "p1", "u1")

    with pytest.raises(ConsumerHolds):
        client.claim(SERVER, {OTHER: {"MEMORY_MB": 512}}, "p1", "u1")

    assert client.allocations(SERVER).resources == {HOST: {"MEMORY_MB": 512}}


def test_release_gives_all_back_and_may_be_repeated(client):
    client.set_inventory(HOST, "host-1", SIZES)
    client.claim(SERVER, {HOST: {"MEMORY_MB": 512}}, "p1", "u1")

    client.release(SERVER)
    client.release(SERVER)

    assert client.provider_allocations(HOST) == {}
    assert client.allocations(SERVER).generation is None


def test_several_consumers_change_together(client):
    client.set_inventory(HOST, "host-1", SIZES)
    client.set_inventory(OTHER, "host-2", SIZES)
    client.claim(SERVER, {HOST: {"MEMORY_MB": 7680}}, "p1", "u1")

    client.replace(
        Claim(consumer=SERVER, allocations={OTHER: {"MEMORY_MB": 7680}}, project_id="p1", user_id="u1"),
        Claim(
            consumer=SECOND,
            allocations={HOST: {"MEMORY_MB": 7680}},
            project_id="p1",
            user_id="u1",
            consumer_type="MIGRATION",
        ),
    )

    assert client.provider_allocations(OTHER) == {SERVER: {"MEMORY_MB": 7680}}
    assert client.provider_allocations(HOST) == {SECOND: {"MEMORY_MB": 7680}}
    assert client.allocations(SECOND).consumer_type == "MIGRATION"


def test_replacing_with_nothing_gives_back(client):
    client.set_inventory(HOST, "host-1", SIZES)
    client.claim(SERVER, {HOST: {"MEMORY_MB": 512}}, "p1", "u1")
    nothing = Claim(consumer=SERVER, allocations={}, project_id="p1", user_id="u1")

    client.replace(nothing)
    client.replace(nothing)

    assert client.provider_allocations(HOST) == {}


def test_provider_is_deleted_once_and_may_be_made_again(client):
    client.set_inventory(HOST, "host-1", SIZES)

    client.delete_provider(HOST)
    client.delete_provider(HOST)
    client.set_inventory(HOST, "host-1", SIZES)

    assert client.inventory(HOST) == SIZES


def test_aggregates_of_a_provider_are_replaced(client):
    client.set_inventory(HOST, "host-1", SIZES)

    client.set_aggregates(HOST, [OTHER, SERVER])
    client.set_aggregates(HOST, [OTHER])

    found = client._ask("GET", f"/resource_providers/{HOST}/aggregates").json()["aggregates"]
    assert found == [OTHER]


def test_host_with_children_is_one_candidate_with_the_room_of_its_tree(client):
    client.set_inventory(HOST, "host-1", {"VCPU": Inventory(total=8)})
    client._ask("POST", "/resource_providers", {"uuid": OTHER, "name": "host-1-numa0", "parent_provider_uuid": HOST})
    client.set_inventory(OTHER, "host-1-numa0", {"MEMORY_MB": Inventory(total=4096)})

    candidates = client.candidates(CandidatesQuery((("MEMORY_MB", 512), ("VCPU", 1))), limit=10)

    assert [one.provider for one in candidates] == [HOST]
    assert candidates[0].allocations == {HOST: {"VCPU": 1}, OTHER: {"MEMORY_MB": 512}}
    assert (candidates[0].room["VCPU"].free, candidates[0].room["MEMORY_MB"].free) == (8, 4096)


def test_disk_shared_by_hosts_belongs_to_none_of_them(client):
    pool, together = OTHER, SECOND
    client.set_inventory(pool, "a-shared-pool", {"DISK_GB": Inventory(total=1000)}, ["MISC_SHARES_VIA_AGGREGATE"])
    client.set_inventory(HOST, "host-1", {"VCPU": Inventory(total=8)})
    client.set_aggregates(pool, [together])
    client.set_aggregates(HOST, [together])

    candidates = client.candidates(CandidatesQuery((("DISK_GB", 10), ("VCPU", 1))))

    assert [one.provider for one in candidates] == [HOST]
    assert candidates[0].allocations == {HOST: {"VCPU": 1}, pool: {"DISK_GB": 10}}
