"""Reads the query languages of provider lists and of allocation candidates into ids and sets.

Every refusal names the parameter. Source: Placement API reference, "Request" tables of
"Resource Providers" and "Allocation Candidates".
"""

import re
import uuid as uuids
from collections.abc import Iterable

import msgspec

from nova.placement.api.schemas import CANDIDATES, Body, is_uuid
from nova.placement.api.wsgi import Request
from nova.placement.errors import BadQuery, BadRequest, MissingQuery, RepeatedQuery
from nova.placement.index import Index
from nova.placement.structs import CandidatesQuery, Group

FORBIDDEN_TRAITS_SINCE = 22
REPEATED_AGGREGATES_SINCE = 24
GRANULAR_SINCE = 25
NESTED_SINCE = 29
FORBIDDEN_AGGREGATES_SINCE = 32
RESOURCELESS_SINCE = 36
ANY_TRAITS_SINCE = 39

_WORD = re.compile(r"^(resources|required|member_of|in_tree)(.*)\Z", re.S)
_MOST = 2147483647


class ProviderFilters(msgspec.Struct, frozen=True):
    """What a provider must be like to be listed. Uses the same shape as a request group."""

    group: Group
    name: str | None = None
    uuid: str | None = None


def check_query(body: Body, request: Request) -> None:
    """Refuse a query with parameters this version does not know, or of the wrong form."""
    given: dict[str, str] = {}
    for key, value in request.query:
        # Of several limits the first counts, of everything else the last.
        if key != "limit" or key not in given:
            given[key] = value
    body.check(given, request.minor, "Invalid query string parameters")


def parse_provider_filters(request: Request, index: Index) -> ProviderFilters:
    """Raises BadRequest. Given twice, required and member_of add up; of the other parameters the last counts."""
    by_key: dict[str, list[str]] = {}
    for key, value in request.query:
        by_key.setdefault(key, []).append(value)
    required, forbidden = _parse_traits(by_key.get("required", []), "required", request.minor, index)
    member_of, not_member_of = _parse_aggregates(by_key.get("member_of", []), "member_of", request.minor)
    group = Group(
        "",
        _parse_resources(by_key["resources"][-1], "resources", index) if "resources" in by_key else (),
        required,
        forbidden,
        member_of,
        not_member_of,
        _find_tree(by_key["in_tree"][-1], index) if "in_tree" in by_key else None,
    )
    uuid = by_key["uuid"][-1] if "uuid" in by_key else None
    # An empty name asks for nothing in particular.
    name = by_key["name"][-1] if "name" in by_key else ""
    return ProviderFilters(group, name or None, uuid and str(uuids.UUID(uuid)))


def parse_candidates(request: Request, index: Index, ignore: Iterable[str] = ()) -> CandidatesQuery:
    """The candidates query of a request, checked in full. ignore names parameters that are not its own."""
    ignored = set(ignore)
    pairs = [(key, value) for key, value in request.query if key not in ignored]
    given: dict[str, str] = {}
    for key, value in pairs:
        if key != "limit" or key not in given:
            given[key] = value
    CANDIDATES.check(given, request.minor, "Invalid query string parameters")
    words: dict[str, dict[str, list[str]]] = {}
    for key, value in pairs:
        match = None if key in ("limit", "group_policy", "root_required", "same_subtree") else _WORD.match(key)
        if match:
            words.setdefault(match[2], {}).setdefault(match[1], []).append(value)
    groups = tuple(_parse_group(suffix, asked, request.minor, index) for suffix, asked in words.items())
    subtrees = _parse_subtrees([value for key, value in pairs if key == "same_subtree"], words.keys())
    _check_groups(groups, given, request.minor, subtrees)
    _check_once("group_policy", [value for key, value in pairs if key == "group_policy"])
    root_required, root_forbidden = _parse_root(pairs, index)
    return CandidatesQuery(
        groups,
        given.get("group_policy") == "isolate",
        # More digits than a number of providers has ask for all of them.
        int(given["limit"][:18]) if "limit" in given else None,
        root_required,
        root_forbidden,
        subtrees,
        request.minor >= NESTED_SINCE,
    )


def _check_once(key: str, values: list[str]) -> None:
    if len(values) > 1:
        raise RepeatedQuery(f"Query parameter '{key}' may be specified only once.")


def _parse_group(suffix: str, asked: dict[str, list[str]], minor: int, index: Index) -> Group:
    for word in ("resources", "in_tree"):
        _check_once(f"{word}{suffix}", asked.get(word, []))
    resources: tuple[tuple[int, int], ...] = ()
    if "resources" in asked:
        resources = _parse_resources(asked["resources"][0], f"resources{suffix}", index)
    required, forbidden = _parse_traits(asked.get("required", []), f"required{suffix}", minor, index)
    clash = {trait for any_of in required if any_of <= forbidden for trait in any_of}
    if clash:
        names = ", ".join(sorted(index.traits.names[trait] for trait in clash))
        raise BadRequest(
            f"Conflicting required and forbidden traits found in the following traits keys: required{suffix}: ({names})"
        )
    member_of, not_member_of = _parse_aggregates(asked.get("member_of", []), f"member_of{suffix}", minor)
    tree = None
    if "in_tree" in asked:
        value = asked["in_tree"][0]
        if not is_uuid(value):
            raise BadRequest(f"Expected 'in_tree{suffix}' parameter to be a format of uuid. Got: {value}")
        tree = _find_tree(value, index)
    return Group(suffix, resources, required, forbidden, member_of, not_member_of, tree)


def _check_groups(
    groups: tuple[Group, ...], given: dict[str, str], minor: int, subtrees: tuple[frozenset[str], ...]
) -> None:
    if minor >= RESOURCELESS_SINCE and not any(group.resources for group in groups):
        raise MissingQuery("There must be at least one resources or resources[$S] parameter.")
    if not groups:
        raise BadRequest("At least one request group (`resources` or `resources{$S}`) is required.")
    named = frozenset().union(*subtrees)
    for group in groups:
        if group.resources:
            continue
        if minor < RESOURCELESS_SINCE or not group.is_granular:
            keys = ", ".join(key for key in given if _WORD.match(key) and key.endswith(group.suffix))
            raise BadRequest(f"All request groups must specify resources. Found without resources: {keys}")
        if group.suffix not in named:
            raise BadQuery(
                "Resourceless suffixed group request should be specified in `same_subtree` query param: "
                f"bad group(s) - {group.suffix}."
            )
    if sum(group.is_granular for group in groups) > 1 and "group_policy" not in given:
        raise BadRequest(
            'The "group_policy" parameter is required when specifying more than one "resources{N}" parameter.'
        )


def _parse_resources(value: str, key: str, index: Index) -> tuple[tuple[int, int], ...]:
    expected = (
        f"Badly formed {key} parameter. Expected {key} query string parameter in form: "
        f"?{key}=VCPU:2,MEMORY_MB:1024. Got: {value or 'empty string'}."
    )
    if not value.strip():
        raise BadRequest(expected)
    resources: dict[int, int] = {}
    for item in value.split(","):
        name, colon, amount = item.partition(":")
        name, amount = name.strip(), amount.strip()
        if not (name and colon and amount):
            raise BadRequest(expected)
        if not re.fullmatch(r"[+-]?[0-9]{1,40}", amount):
            raise BadRequest(f"Requested resource {name} expected positive integer amount. Got: {amount}. ({key})")
        if not 1 <= int(amount) <= _MOST:
            relation = ">= 1" if int(amount) < 1 else f"<= {_MOST}"
            raise BadRequest(f"Requested resource {name} requires amount {relation}. Got: {amount}. ({key})")
        class_id = index.classes.ids.get(name)
        if class_id is None:
            raise BadRequest(f"Invalid resource class in {key} parameter: No such resource class {name}.")
        if class_id in resources:
            raise BadRequest(f"Resource class {name} is named twice in {key}.")
        resources[class_id] = int(amount)
    return tuple(resources.items())


def _parse_traits(
    values: list[str], key: str, minor: int, index: Index
) -> tuple[tuple[frozenset[int], ...], frozenset[int]]:
    """Sets of traits of which one must be there, and traits that must not be."""
    may_forbid = minor >= FORBIDDEN_TRAITS_SINCE
    if minor < ANY_TRAITS_SINCE:
        values = values[-1:]
    form = "HW_CPU_X86_VMX,!CUSTOM_MAGIC" if may_forbid else "HW_CPU_X86_VMX,CUSTOM_MAGIC"
    required: list[set[str]] = []
    forbidden: set[str] = set()
    for value in values:
        expected = (
            f"Invalid query string parameters: Expected '{key}' parameter value of the form: {form}. Got: {value}"
        )
        if value.startswith("in:"):
            if minor < ANY_TRAITS_SINCE:
                raise BadRequest(
                    f"{expected}. The format 'in:HW_CPU_X86_VMX,CUSTOM_MAGIC' only supported since microversion 1.39."
                )
            names = value[3:].split(",")
            if not all(names) or any(name.startswith("!") for name in names):
                raise BadRequest(
                    f"Invalid query string parameters: Expected '{key}' parameter value of the form: "
                    f"in:HW_CPU_X86_VMX,CUSTOM_MAGIC. Got: {value}"
                )
            required.append(set(names))
            continue
        for name in value.split(","):
            if name.startswith("!") and may_forbid and len(name) > 1:
                forbidden.add(name[1:])
            elif name and not name.startswith("!"):
                required.append({name})
            else:
                raise BadRequest(expected)
    unknown = sorted(forbidden.union(*required) - index.traits.ids.keys())
    if unknown:
        raise BadRequest(f"No such trait(s): {', '.join(unknown)}.")
    ids = index.traits.ids
    return (
        tuple(frozenset(ids[name] for name in any_of) for any_of in required),
        frozenset(ids[name] for name in forbidden),
    )


def _parse_aggregates(values: list[str], key: str, minor: int) -> tuple[tuple[frozenset[str], ...], frozenset[str]]:
    """Sets of aggregates of which one must hold the provider, and aggregates that must not."""
    if len(values) > 1 and minor < REPEATED_AGGREGATES_SINCE:
        raise BadRequest(f"Multiple {key} parameters are not supported")
    required: list[frozenset[str]] = []
    forbidden: set[str] = set()
    for value in values:
        forbids = value.startswith("!")
        if forbids and minor < FORBIDDEN_AGGREGATES_SINCE:
            raise BadRequest(f"Forbidden {key} parameters are not supported in the specified microversion")
        rest = value[1:] if forbids else value
        aggregates = rest[3:].split(",") if rest.startswith("in:") else [rest]
        if not all(is_uuid(aggregate) for aggregate in aggregates):
            raise BadRequest(f"Expected '{key}' parameter to contain valid UUID(s). Got: {value}")
        normal = frozenset(str(uuids.UUID(aggregate)) for aggregate in aggregates)
        if forbids:
            forbidden |= normal
        else:
            required.append(normal)
    return tuple(required), frozenset(forbidden)


def _find_tree(uuid: str, index: Index) -> int:
    provider = index.find(str(uuids.UUID(uuid)))
    return -1 if provider is None else provider.root_id


def _parse_root(pairs: list[tuple[str, str]], index: Index) -> tuple[frozenset[int], frozenset[int]]:
    values = [value for key, value in pairs if key == "root_required"]
    _check_once("root_required", values)
    # Any-of lists are no part of this parameter: it reads as before 1.39.
    required, forbidden = _parse_traits(values, "root_required", FORBIDDEN_TRAITS_SINCE, index)
    together = frozenset().union(*required)
    clash = sorted(index.traits.names[trait] for trait in together & forbidden)
    if clash:
        raise BadQuery(f"Conflicting required and forbidden traits found in root_required: {', '.join(clash)}")
    return together, forbidden


def _parse_subtrees(values: list[str], suffixes: Iterable[str]) -> tuple[frozenset[str], ...]:
    known = set(suffixes)
    subtrees = []
    for value in values:
        named = frozenset(value.split(","))
        if "" in named:
            raise BadQuery("Empty string (unsuffixed group) can not be specified in `same_subtree`")
        unknown = sorted(named - known)
        if unknown:
            raise BadQuery(
                f"Real suffixes should be specified in `same_subtree`: {', '.join(unknown)} not found in "
                f"{', '.join(sorted(known))}"
            )
        subtrees.append(named)
    return tuple(subtrees)
