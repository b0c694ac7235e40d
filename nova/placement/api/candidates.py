"""/allocation_candidates. Source: Placement API reference, "Allocation Candidates"."""

import random
from typing import TYPE_CHECKING, Any

import msgspec

from nova.placement.api.queries import parse_candidates
from nova.placement.api.routing import operation
from nova.placement.api.wsgi import Answer, Request, now
from nova.placement.candidates import find_candidates
from nova.placement.index import Index
from nova.placement.structs import Candidate, CandidatesQuery, Provider

if TYPE_CHECKING:
    from nova.placement.api.service import Service

BY_PROVIDER_SINCE = 12
TRAITS_SINCE = 17
ALL_CLASSES_SINCE = 27
TREES_SINCE = 29
MAPPINGS_SINCE = 34


@operation("GET", "/allocation_candidates", "placement:allocation_candidates:list", since=10)
def list_all(service: "Service", request: Request) -> Answer:
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


def _view_requests(index: Index, found: list[Candidate], minor: int) -> list[dict[str, Any]]:
    names, providers = index.classes.names, index.providers
    views = []
    for candidate in found:
        held = [
            (providers[number].uuid, {"resources": {names[class_id]: used for class_id, used in amounts.items()}})
            for number, amounts in candidate.resources.items()
        ]
        if minor < BY_PROVIDER_SINCE:
            views.append({"allocations": [{"resource_provider": {"uuid": uuid}, **value} for uuid, value in held]})
            continue
        view: dict[str, Any] = {"allocations": dict(held)}
        if minor >= MAPPINGS_SINCE:
            view["mappings"] = {
                suffix: [providers[number].uuid for number in numbers] for suffix, numbers in candidate.mappings.items()
            }
        views.append(view)
    return views


def _view_summaries(
    index: Index, found: list[Candidate], query: CandidatesQuery, minor: int
) -> dict[str, dict[str, Any]]:
    """What the candidates' providers have; since 1.29 with all other providers of their trees."""
    numbers: dict[int, None] = {}
    if minor >= TREES_SINCE:
        roots = {index.providers[number].root_id: None for candidate in found for number in candidate.resources}
        for root_id in roots:
            numbers.update(index.members[root_id])
    else:
        for candidate in found:
            numbers.update(dict.fromkeys(candidate.resources))
    asked = None
    if minor < ALL_CLASSES_SINCE:
        asked = {class_id for group in query.groups for class_id, _ in group.resources}
    return {index.providers[n].uuid: _view_summary(index, index.providers[n], asked, minor) for n in numbers}


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
