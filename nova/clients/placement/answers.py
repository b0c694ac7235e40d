"""The Placement API's answers: their form on the wire, and the structs read from them.

Only what is used is declared; whatever else an answer holds is ignored.
"""

import logging
from collections.abc import Mapping
from typing import Any

import msgspec

from nova.structs.guest import Inventory

LOG = logging.getLogger(__name__)

_SHARING = b'"MISC_SHARES_VIA_AGGREGATE"'

# How WebOb begins the body of an error, before it says anything of this one.
_PREAMBLES = (
    "The server could not comply with the request since it is either malformed or otherwise incorrect.",
    "There was a conflict when trying to complete your request.",
)


class Room(msgspec.Struct, frozen=True, gc=False):
    """One resource class of a provider: what may be allocated, and what is."""

    capacity: int
    used: int

    @property
    def free(self) -> int:
        """Negative where an operator has taken away what is in use."""
        return self.capacity - self.used


class Candidate(msgspec.Struct, frozen=True, gc=False):
    """One way to meet a request. provider is the root of the tree that is the host's; allocations
    are provider -> class -> amount; room is the tree's, by class."""

    provider: str
    allocations: dict[str, dict[str, int]]
    room: dict[str, Room]


class Allocations(msgspec.Struct, frozen=True):
    """What a consumer holds: provider -> class -> amount. generation None: the consumer is unknown."""

    resources: dict[str, dict[str, int]]
    generation: int | None = None
    project_id: str = ""
    user_id: str = ""
    consumer_type: str | None = None


class Provider(msgspec.Struct, frozen=True):
    uuid: str
    name: str
    generation: int
    parent_provider_uuid: str | None = None
    root_provider_uuid: str | None = None


class Providers(msgspec.Struct):
    resource_providers: list[Provider]


class Inventories(msgspec.Struct):
    inventories: dict[str, Inventory]
    resource_provider_generation: int


class Traits(msgspec.Struct):
    traits: list[str]
    resource_provider_generation: int


class Aggregates(msgspec.Struct):
    aggregates: list[str]
    resource_provider_generation: int


class Generation(msgspec.Struct):
    resource_provider_generation: int


class Problem(msgspec.Struct):
    """One error of an answer, in words, and its code."""

    detail: str = ""
    code: str = ""


class _Resources(msgspec.Struct, gc=False):
    resources: dict[str, int]


class ProviderAllocations(msgspec.Struct):
    allocations: dict[str, _Resources]


class _ConsumerAllocations(msgspec.Struct):
    allocations: dict[str, _Resources]
    consumer_generation: int | None = None
    project_id: str = ""
    user_id: str = ""
    consumer_type: str | None = None


class _AllocationRequest(msgspec.Struct, gc=False):
    allocations: dict[str, _Resources]


class _Summary(msgspec.Struct, gc=False):
    resources: dict[str, Room]
    root_provider_uuid: str
    traits: msgspec.Raw = msgspec.Raw(b"[]")


class _Candidates(msgspec.Struct):
    allocation_requests: list[_AllocationRequest]
    provider_summaries: dict[str, _Summary]


class _Dropped(msgspec.Struct):
    uuid: str
    reason: str


class _Stage(msgspec.Struct):
    reasons: list[_Dropped]


class _Explanation(msgspec.Struct):
    stages: list[_Stage]


class _Problems(msgspec.Struct):
    errors: list[Problem] = []


_decode_candidates = msgspec.json.Decoder(_Candidates).decode
_decode_allocations = msgspec.json.Decoder(_ConsumerAllocations).decode
_decode_explanation = msgspec.json.Decoder(_Explanation).decode
_decode_problems = msgspec.json.Decoder(_Problems).decode


def read_candidates(content: bytes) -> list[Candidate]:
    """The candidates in Placement's order. A thousand hosts take milliseconds: little is done per host."""
    answer = _decode_candidates(content)
    summaries = answer.provider_summaries
    trees: dict[str, list[_Summary]] = {}
    for uuid, summary in summaries.items():
        # Most hosts are one provider; only the others need their trees gathered.
        if summary.root_provider_uuid != uuid:
            trees.setdefault(summary.root_provider_uuid, []).append(summary)
    rooms = {root: _room_of([summaries[root], *members]) for root, members in trees.items() if root in summaries}
    candidates = []
    for request in answer.allocation_requests:
        allocations = {provider: amounts.resources for provider, amounts in request.allocations.items()}
        if len(allocations) == 1:
            root = summaries[next(iter(allocations))].root_provider_uuid
        else:
            root = _root_of(allocations, summaries)
        room = rooms.get(root) if rooms else None
        if room is None:
            room = summaries[root].resources if root in summaries else {}
        candidates.append(Candidate(root, allocations, room))
    return candidates


def read_allocations(content: bytes) -> Allocations:
    """The answer about one consumer; one that holds nothing is an answer, too, without resources."""
    answer = _decode_allocations(content)
    return Allocations(
        resources={provider: amounts.resources for provider, amounts in answer.allocations.items()},
        generation=answer.consumer_generation,
        project_id=answer.project_id,
        user_id=answer.user_id,
        consumer_type=answer.consumer_type,
    )


def read_reasons(content: bytes) -> dict[str, str]:
    """By provider, why the first stage that dropped it did so."""
    reasons: dict[str, str] = {}
    for stage in _decode_explanation(content).stages:
        for dropped in stage.reasons:
            reasons.setdefault(dropped.uuid, dropped.reason)
    return reasons


def read_problem(content: bytes) -> Problem:
    """The first error of an answer. What is not Placement's own, a page of a proxy, is for the log."""
    try:
        problem = _decode_problems(content).errors[0]
    except (msgspec.DecodeError, IndexError):
        LOG.warning("a refusal that is not Placement's: %r", content[:200].decode(errors="replace"))
        return Problem(detail="it does not say why")
    text = " ".join(problem.detail.split())
    for preamble in _PREAMBLES:
        text = text.removeprefix(preamble)
    return Problem(text.strip(), problem.code)


def _root_of(allocations: Mapping[str, Any], summaries: Mapping[str, _Summary]) -> str:
    """The root of the host's own tree: a provider that shares its inventory belongs to no host."""
    for provider in allocations:
        if _SHARING not in bytes(summaries[provider].traits):
            return summaries[provider].root_provider_uuid
    return summaries[next(iter(allocations))].root_provider_uuid


def _room_of(members: list[_Summary]) -> dict[str, Room]:
    total: dict[str, Room] = {}
    for summary in members:
        for name, room in summary.resources.items():
            known = total.get(name)
            total[name] = Room(known.capacity + room.capacity, known.used + room.used) if known else room
    return total
