"""/allocation_candidates. Source: Placement API reference, "Allocation Candidates"."""

import random
from typing import Any

import msgspec

from nova.placement.api.operations import Service, operation
from nova.placement.api.queries import parse_candidates
from nova.placement.api.schemas import normal_uuid
from nova.placement.api.wsgi import Answer, Request, now
from nova.placement.candidates import find_candidates
from nova.placement.errors import BadQuery
from nova.placement.explain import explain
from nova.placement.index import Index
from nova.placement.structs import Candidate, CandidatesQuery, Pick, Provider

BY_PROVIDER_SINCE = 12
TRAITS_SINCE = 17
ALL_CLASSES_SINCE = 27
TREES_SINCE = 29
MAPPINGS_SINCE = 34
_EXPLAIN_KEYS = ("max_reasons", "provider")
_REASONS, _MOST_REASONS = 20, 1000


@operation("GET", "/allocation_candidates", "placement:allocation_candidates:list", since=10)
def list_all(service: Service, request: Request) -> Answer:
    """[placement] max_allocation_candidates bounds the limit that is asked for; a limit of 0 finds nothing."""
    options = service.conf.placement
    with service.store.read() as index:
        query = parse_candidates(request, index)
        most = options.max_allocation_candidates
        if most >= 0 and (query.limit is None or query.limit > most):
            query = msgspec.structs.replace(query, limit=most)
        start = random.randrange(1 << 30) if options.randomize_allocation_candidates else 0
        breadth_first = options.allocation_candidates_generation_strategy == "breadth-first"
        found = find_candidates(index, query, breadth_first, start) if query.limit != 0 else []
        body = {
            "allocation_requests": _view_requests(index, found, request.minor),
            "provider_summaries": _view_summaries(index, found, query, request.minor),
        }
    return Answer(200, body, now())


@operation("GET", "/allocation_candidates/explain", "placement:allocation_candidates:explain", since=10)
def explain_all(service: Service, request: Request) -> Answer:
    """Not part of any version of upstream's API: the same query, answered with reasons."""
    own = {key: value for key, value in request.query if key in _EXPLAIN_KEYS}
    most = own.get("max_reasons", str(_REASONS))
    if not (most.isascii() and most.isdigit() and int(most[:9]) <= _MOST_REASONS):
        raise BadQuery(f"Expected 'max_reasons' to be a whole number up to {_MOST_REASONS}. Got: {most}")
    with service.store.read() as index:
        about = None
        if "provider" in own:
            about = index.find(normal_uuid(own["provider"]) or "")
            if about is None:
                raise BadQuery(f"Expected 'provider' to be the uuid of a resource provider. Got: {own['provider']}")
        query = parse_candidates(request, index, ignore=_EXPLAIN_KEYS)
        explanation = explain(index, query, int(most), about)
    return Answer(200, msgspec.to_builtins(explanation), now())


def _view_requests(index: Index, found: list[Candidate], minor: int) -> list[dict[str, Any]]:
    names, providers = index.classes.names, index.providers
    # Many candidates are made of the same picks: each is put into words once.
    resources: dict[Pick, dict[str, Any]] = {}
    uuids: dict[int, list[str]] = {}
    views = []
    for candidate in found:
        allocations: dict[str, dict[str, Any]] = {}
        mappings: dict[str, list[str]] = {}
        for pick in candidate:
            number = uuids.get(pick.provider_id)
            if number is None:
                number = uuids[pick.provider_id] = [providers[pick.provider_id].uuid]
            if pick.resources:
                view = resources.get(pick)
                if view is None:
                    view = {"resources": {names[class_id]: amount for class_id, amount in pick.resources}}
                    resources[pick] = view
                uuid = number[0]
                allocations[uuid] = _merge(allocations[uuid], view) if uuid in allocations else view
            before = mappings.get(pick.suffix)
            if before is None:
                mappings[pick.suffix] = number
            elif number[0] not in before:
                mappings[pick.suffix] = [*before, *number]
        if minor >= MAPPINGS_SINCE:
            views.append({"allocations": allocations, "mappings": mappings})
        elif minor >= BY_PROVIDER_SINCE:
            views.append({"allocations": allocations})
        else:
            listed = [{"resource_provider": {"uuid": uuid}, **view} for uuid, view in allocations.items()]
            views.append({"allocations": listed})
    return views


def _merge(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    """What two picks of the same provider take together."""
    merged = dict(one["resources"])
    for name, amount in other["resources"].items():
        merged[name] = merged.get(name, 0) + amount
    return {"resources": merged}


def _view_summaries(
    index: Index, found: list[Candidate], query: CandidatesQuery, minor: int
) -> dict[str, dict[str, Any]]:
    """What the candidates' providers have; since 1.29 with all other providers of their trees."""
    numbers: dict[int, None] = {}
    if minor >= TREES_SINCE:
        roots = {index.providers[number].root_id: None for candidate in found for number in _holders(candidate)}
        for root_id in roots:
            numbers.update(index.members[root_id])
    else:
        for candidate in found:
            numbers.update(dict.fromkeys(_holders(candidate)))
    asked = None
    if minor < ALL_CLASSES_SINCE:
        asked = {class_id for group in query.groups for class_id, _ in group.resources}
    return {index.providers[n].uuid: _view_summary(index, index.providers[n], asked, minor) for n in numbers}


def _holders(candidate: Candidate) -> list[int]:
    """The providers of which a candidate takes something."""
    return [pick.provider_id for pick in candidate if pick.resources]


def _view_summary(index: Index, provider: Provider, asked: set[int] | None, minor: int) -> dict[str, Any]:
    names = index.classes.names
    view: dict[str, Any] = {
        "resources": {
            names[class_id]: {"capacity": room.capacity, "used": room.used}
            for class_id, room in index.rooms[provider.id].items()
            if asked is None or class_id in asked
        }
    }
    if minor >= TRAITS_SINCE:
        view["traits"] = [index.traits.names[trait] for trait in sorted(provider.traits)]
    if minor >= TREES_SINCE:
        parent = None if provider.parent_id is None else index.providers[provider.parent_id].uuid
        view["parent_provider_uuid"] = parent
        view["root_provider_uuid"] = index.providers[provider.root_id].uuid
    return view
