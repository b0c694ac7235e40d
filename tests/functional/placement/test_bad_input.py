"""Bad input is refused with the documented 4xx and a body that names what was wrong; nothing is written."""

import json
import uuid
from typing import Any

import pytest

from tests.functional.placement.cloud import Placement

NOBODY = "11111111-2222-3333-4444-555555555555"
HUGE = 10**30
SQL = "'; DROP TABLE placement_resource_providers; --"


@pytest.fixture
def furnished(placement: Placement) -> Placement:
    root = placement.add_host("root", VCPU=8, DISK_GB={"total": 100, "max_unit": 50, "step_size": 10})
    child = placement.add_host("child", parent=root, SRIOV_NET_VF=4)
    placement.hosts = {"root": root, "child": child}  # type: ignore[attr-defined]
    placement.claim(root, NOBODY, VCPU=2)
    return placement


def provider(amounts: Any = None, **more: Any) -> dict[str, Any]:
    """A body of PUT /allocations, ready to be spoiled."""
    body = {
        "allocations": {"ROOT": {"resources": {"VCPU": 1} if amounts is None else amounts}},
        "project_id": "p",
        "user_id": "u",
        "consumer_generation": None,
        "consumer_type": "INSTANCE",
    }
    return {**body, **more}


def inventories(**inventory: Any) -> dict[str, Any]:
    return {"resource_provider_generation": 2, "inventories": {"VCPU": {"total": 8, **inventory}}}


RP = "/resource_providers"
AC = "/allocation_candidates?"
BAD = [
    # method, path, body, status, words of the answer
    ("POST", RP, {}, 400, "'name' is a required property"),
    ("POST", RP, [], 400, "is not of type 'object'"),
    ("POST", RP, {"name": 5}, 400, "5 is not of type 'string'"),
    ("POST", RP, {"name": "x" * 201}, 400, "maxLength"),
    ("POST", RP, {"name": "a\0b"}, 400, "name"),
    ("POST", RP, {"name": "x", "uuid": "nope"}, 400, "'nope' is not a 'uuid'"),
    ("POST", RP, {"name": "x", "colour": "red"}, 400, "'colour' was unexpected"),
    ("POST", RP, {"name": "x", "parent_provider_uuid": NOBODY}, 400, NOBODY),
    ("POST", RP, {"name": "root"}, 409, "root already exists"),
    ("PUT", f"{RP}/ROOT", {"name": "root", "parent_provider_uuid": "CHILD"}, 400, "loop"),
    ("PUT", f"{RP}/ROOT", {"name": "root", "parent_provider_uuid": "ROOT"}, 400, "loop"),
    ("PUT", f"{RP}/ROOT", {"name": "child"}, 409, "child already exists"),
    ("PUT", f"{RP}/{NOBODY}", {"name": "x"}, 404, NOBODY),
    ("PUT", f"{RP}/{SQL}", {"name": "x"}, 404, "DROP TABLE"),
    ("GET", f"{RP}/%00", None, 404, "could not be found"),
    ("GET", f"{RP}?uuid=nope", None, 400, "uuid"),
    ("GET", f"{RP}?in_tree=nope", None, 400, "in_tree"),
    ("GET", f"{RP}?name=%ff%fe", None, 400, "query"),
    ("GET", f"{RP}?resources=VCPU:{HUGE}", None, 400, "resources"),
    ("GET", f"{RP}?resources=VCPU:-1", None, 400, "VCPU"),
    ("GET", f"{RP}?resources=VCPU:0", None, 400, "VCPU"),
    ("GET", f"{RP}?resources=VCPU", None, 400, "resources"),
    ("GET", f"{RP}?resources=COWS:1", None, 400, "COWS"),
    ("GET", f"{RP}?required=CUSTOM_NO", None, 400, "CUSTOM_NO"),
    ("GET", f"{RP}?member_of=nope", None, 400, "member_of"),
    ("GET", f"{RP}?member_of=in:", None, 400, "member_of"),
    ("GET", f"{RP}?spam=eggs", None, 400, "'spam' was unexpected"),
    ("PUT", f"{RP}/ROOT/inventories", inventories(total=-1), 400, "total"),
    ("PUT", f"{RP}/ROOT/inventories", inventories(total=2**31), 400, "total"),
    ("PUT", f"{RP}/ROOT/inventories", inventories(total=HUGE), 400, "total"),
    ("PUT", f"{RP}/ROOT/inventories", inventories(total=1.5), 400, "total"),
    ("PUT", f"{RP}/ROOT/inventories", inventories(total=True), 400, "total"),
    ("PUT", f"{RP}/ROOT/inventories", inventories(total="8"), 400, "total"),
    ("PUT", f"{RP}/ROOT/inventories", inventories(reserved=9), 400, "VCPU"),
    ("PUT", f"{RP}/ROOT/inventories", inventories(step_size=0), 400, "step_size"),
    ("PUT", f"{RP}/ROOT/inventories", inventories(spare=1), 400, "'spare' was unexpected"),
    ("PUT", f"{RP}/ROOT/inventories", {**inventories(), "resource_provider_generation": 99}, 409, "generation"),
    ("PUT", f"{RP}/ROOT/inventories", {**inventories(), "resource_provider_generation": HUGE}, 400, "generation"),
    ("PUT", f"{RP}/ROOT/inventories", {**inventories(), "inventories": {"COWS": {"total": 1}}}, 400, "COWS"),
    ("PUT", f"{RP}/ROOT/inventories", {**inventories(), "inventories": {"vcpu": {"total": 1}}}, 400, "vcpu"),
    ("PUT", f"{RP}/ROOT/inventories", {**inventories(), "inventories": {}}, 409, "in use"),
    ("PUT", f"{RP}/ROOT/inventories/{SQL}", {"total": 1, "resource_provider_generation": 2}, 404, "DROP"),
    ("PUT", f"{RP}/ROOT/traits", {"traits": ["NO_SUCH"], "resource_provider_generation": 2}, 400, "NO_SUCH"),
    ("PUT", f"{RP}/ROOT/traits", {"traits": [SQL], "resource_provider_generation": 2}, 400, "DROP"),
    ("PUT", f"{RP}/ROOT/traits", {"traits": [], "resource_provider_generation": 7}, 409, "generation"),
    ("PUT", f"{RP}/ROOT/aggregates", {"aggregates": ["x"], "resource_provider_generation": 2}, 400, "'x'"),
    (
        "PUT",
        f"{RP}/ROOT/aggregates",
        {"aggregates": [NOBODY, NOBODY], "resource_provider_generation": 2},
        400,
        "non-unique",
    ),
    ("PUT", "/traits/custom_lower", None, 400, "CUSTOM_"),
    ("PUT", "/traits/CUSTOM_X%0A", None, 400, "CUSTOM_"),
    ("PUT", "/resource_classes/VCPU", None, 400, "pattern"),
    ("PUT", "/resource_classes/CUSTOM_ЁЖ", None, 400, "pattern"),
    ("DELETE", "/resource_classes/VCPU", None, 400, "VCPU"),
    ("DELETE", "/traits/HW_CPU_X86_AVX", None, 400, "HW_CPU_X86_AVX"),
    ("PUT", f"/allocations/{NOBODY}", provider(), 409, "consumer generation conflict"),
    ("PUT", "/allocations/nobody", provider(), 400, "consumer_uuid"),
    ("PUT", "/allocations/NEW", provider({"VCPU": 0}), 400, "0 is less than the minimum of 1"),
    ("PUT", "/allocations/NEW", provider({"VCPU": -5}), 400, "-5 is less than the minimum of 1"),
    ("PUT", "/allocations/NEW", provider({"VCPU": 1.5}), 400, "1.5 is not of type 'integer'"),
    ("PUT", "/allocations/NEW", provider({"VCPU": HUGE}), 400, "VCPU"),
    ("PUT", "/allocations/NEW", provider({"VCPU": 2**62}), 409, "VCPU"),
    ("PUT", "/allocations/NEW", provider({"DISK_GB": 15}), 409, "DISK_GB"),
    ("PUT", "/allocations/NEW", provider({"DISK_GB": 60}), 409, "DISK_GB"),
    ("PUT", "/allocations/NEW", provider({"COWS": 1}), 400, "COWS"),
    ("PUT", "/allocations/NEW", provider({"PCI_DEVICE": 1}), 409, "PCI_DEVICE"),
    ("PUT", "/allocations/NEW", provider({}), 400, "resources"),
    ("PUT", "/allocations/NEW", provider(project_id=""), 400, "project_id"),
    ("PUT", "/allocations/NEW", provider(project_id="a\0"), 400, "project_id"),
    ("PUT", "/allocations/NEW", provider(consumer_type="lower"), 400, "'lower' does not match"),
    ("PUT", "/allocations/NEW", provider(allocations={NOBODY: {"resources": {"VCPU": 1}}}), 400, NOBODY),
    ("PUT", "/allocations/NEW", provider(allocations={"-" * 36: {"resources": {"VCPU": 1}}}), 400, "-" * 36),
    ("PUT", "/allocations/NEW", provider(mappings={}), 400, "mappings"),
    ("POST", "/allocations", {}, 400, "{}"),
    ("POST", "/allocations", {"x": provider()}, 400, "'x'"),
    ("POST", "/reshaper", {"inventories": {}, "allocations": {}}, 400, "inventories"),
    ("DELETE", f"/allocations/{SQL}", None, 404, "DROP"),
    ("DELETE", f"{RP}/ROOT", None, 409, "child"),
    ("GET", "/usages", None, 400, "'project_id' is a required property"),
    ("GET", "/usages?project_id=p&consumer_type=x", None, 400, "consumer_type"),
    ("GET", f"{AC}resources=COWS:1", None, 400, "COWS"),
    ("GET", f"{AC}resources=VCPU:1,VCPU:2", None, 400, "VCPU"),
    ("GET", f"{AC}resources=VCPU:1&resources=VCPU:2", None, 400, "resources"),
    ("GET", f"{AC}resources_A=VCPU:1&resources_A=VCPU:2", None, 400, "resources_A"),
    (
        "GET",
        f"{AC}resources1=VCPU:1&resources2=VCPU:1&group_policy=isolate&group_policy=none",
        None,
        400,
        "'group_policy' may be specified only once.",
    ),
    ("GET", f"{AC}resources=VCPU:{HUGE}", None, 400, "resources"),
    ("GET", f"{AC}resources=VCPU:1&limit=0", None, 400, "limit"),
    ("GET", f"{AC}resources!=VCPU:1", None, 400, "resources!"),
    ("GET", f"{AC}resources{'x' * 65}=VCPU:1", None, 400, "xxx"),
    ("GET", f"{AC}resources=VCPU:1&required=!CUSTOM_NO", None, 400, "CUSTOM_NO"),
    ("GET", f"{AC}resources=VCPU:1&required=in:", None, 400, "required"),
    (
        "GET",
        f"{AC}resources=VCPU:1&required=HW_CPU_X86_AVX,!HW_CPU_X86_AVX",
        None,
        400,
        "required: (HW_CPU_X86_AVX)",
    ),
    ("GET", f"{AC}resources=VCPU:1&in_tree=nope", None, 400, "in_tree"),
    ("GET", f"{AC}resources=VCPU:1&group_policy=maybe", None, 400, "'maybe' is not one of"),
    ("GET", f"{AC}resources1=VCPU:1&resources2=VCPU:1", None, 400, "group_policy"),
    ("GET", f"{AC}resources1=VCPU:1&same_subtree=1,2", None, 400, "same_subtree"),
    ("GET", f"{AC}{'&'.join(f'a{n}=b' for n in range(1500))}", None, 400, "query"),
    ("GET", "/allocation_candidates/explain?resources=VCPU:1&max_reasons=many", None, 400, "max_reasons"),
    ("GET", "/allocation_candidates/explain?resources=VCPU:1&provider=nope", None, 400, "provider"),
]


@pytest.mark.parametrize(("method", "path", "body", "status", "words"), BAD)
def test_bad_request_is_refused_by_name_and_changes_nothing(
    furnished: Placement, method: str, path: str, body: Any, status: int, words: str
) -> None:
    names = {"ROOT": furnished.hosts["root"], "CHILD": furnished.hosts["child"], "NEW": str(uuid.uuid4())}  # type: ignore[attr-defined]
    for name, value in names.items():
        path = path.replace(name, value)
        body = json.loads(json.dumps(body).replace(f'"{name}"', f'"{value}"'))
    before = furnished.snapshot()

    answer = furnished.call(method, path, body, headers={"X-Roles": "admin,service"})

    assert answer.status == status, answer.raw
    assert words in answer.error["detail"]
    assert "Traceback" not in answer.raw.decode()
    assert furnished.snapshot() == before


@pytest.mark.parametrize(
    ("raw", "headers", "status"),
    [
        (b"", {}, 400),
        (b"{", {}, 400),
        (b'{"name": NaN}', {}, 400),
        (b'{"name": "\xff"}', {}, 400),
        (b'{"name": "\\ud800"}', {}, 400),
        (b"[" * 100_000, {}, 400),
        (b'{"name": "' + b"x" * 2_000_000 + b'"}', {}, 413),
        (b'{"name": "x"}', {"Content-Type": "text/xml"}, 415),
        (b'{"name": "x"}', {"Content-Type": ""}, 400),
        (b'{"name": "x"}', {"Content-Length": "-5"}, 400),
        (b'{"name": "x"}', {"Content-Length": "many"}, 400),
        (b'{"name": "x"}', {"Accept": "text/plain"}, 406),
    ],
)
def test_body_that_is_no_request_is_refused(
    placement: Placement, raw: bytes, headers: dict[str, str], status: int
) -> None:
    answer = placement.call("POST", "/resource_providers", raw=raw, headers=headers)

    assert answer.status == status, answer.raw
    assert placement.get("/resource_providers") == {"resource_providers": []}


def test_any_name_is_stored_and_found_as_it_is(anywhere: Placement) -> None:
    names = [SQL, "naïve ☃ 🦄", "Root", "root", "%_\\", "a" * 200]

    for name in names:
        anywhere.post("/resource_providers", {"name": name})

    listed = [provider["name"] for provider in anywhere.get("/resource_providers")["resource_providers"]]
    assert listed == names
    found = anywhere.get("/resource_providers?name=na%C3%AFve%20%E2%98%83%20%F0%9F%A6%84")
    assert [provider["name"] for provider in found["resource_providers"]] == ["naïve ☃ 🦄"]


def test_no_token_is_told_so_and_the_root_needs_none(placement: Placement) -> None:
    refused = placement.call("GET", "/resource_providers", headers={"X-Auth-Token": ""})
    welcome = placement.call("GET", "/", headers={"X-Auth-Token": ""})

    assert refused.status == 401
    assert refused.error["title"] == "Unauthorized"
    assert welcome.status == 200


def test_huge_capacity_is_answered_in_numbers_json_can_carry(placement: Placement) -> None:
    host = placement.add_host("one", VCPU={"total": 2**31 - 1, "allocation_ratio": 3.4e38})

    summaries = placement.get("/allocation_candidates?resources=VCPU:1")["provider_summaries"]

    assert summaries[host]["resources"]["VCPU"]["capacity"] == 2**53 - 1


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/usages?project_id=a%00b", 400),
        ("GET", "/usages?project_id=%E2%98%83&user_id=%F0%9F%A6%84", 200),
        ("GET", "/resource_providers?name=%00", 400),
        ("GET", "/allocations/a\0b", 200),
        ("GET", "/allocations/☃", 200),
        ("DELETE", "/allocations/a\0b", 404),
        ("DELETE", "/allocations/☃", 404),
        ("DELETE", "/resource_providers/☃", 404),
        ("GET", "/traits/☃", 404),
        ("DELETE", "/resource_classes/☃", 404),
    ],
)
def test_characters_a_database_may_not_like_never_reach_it(
    anywhere: Placement, method: str, path: str, status: int
) -> None:
    assert anywhere.call(method, path).status == status


def test_names_a_database_takes_for_equal_are_a_conflict(anywhere: Placement) -> None:
    anywhere.post("/resource_providers", {"name": "host"})

    padded = anywhere.call("POST", "/resource_providers", {"name": "host "})

    # MySQL compares without trailing spaces; the others do not.
    assert padded.status in (200, 409)
    assert len(anywhere.get("/resource_providers")["resource_providers"]) == (2 if padded.status == 200 else 1)
