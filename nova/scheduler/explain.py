"""Why hosts are not among Placement's candidates, and the sentence a user gets.

Used only when no host was found or for a dry run: each question is a request to Placement.
The sentence counts hosts and names none.
"""

import itertools
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from typing import NamedTuple

from nova import errors
from nova.clients.placement import PlacementClient
from nova.clients.placement.query import CandidatesQuery
from nova.clients.ttl_cache import TtlCache
from nova.scheduler.host_candidate import Refusal
from nova.structs.schedule import Counted, PlacementRequest, Promise

# Answers of this many hosts are kept for so long.
CACHED_FROM = 1000
CACHE_S = 3.0


class Question(NamedTuple):
    """A question to Placement: providers with room for an amount of a class, or with a trait ("!TRAIT": without it)."""

    resource_class: str
    amount: int
    trait: str | None


EVERYBODY = Question("", 0, None)

NOT_ASKED = Refusal("is beyond the number of candidates asked for")
NOT_TOGETHER = Refusal("has not all of this at once")
NO_CANDIDATE = Refusal("is no candidate of Placement")
NOT_REGISTERED = Refusal("is unknown to Placement")

# A sentence with more reasons than this is not read.
REASONS_SHOWN = 6
# A decision names this many hosts with promises.
PROMISES_SHOWN = 20

_PLURALS = {"is": "are", "has": "have", "does": "do", "was": "were", "lacks": "lack", "holds": "hold", "runs": "run"}


class Explainer:
    """Asks Placement for each part of a request separately.

    In a large cloud the answers are large, and many requests that fail for one reason ask the
    same; such answers are kept for a few seconds.
    """

    def __init__(self, placement: PlacementClient) -> None:
        self._placement = placement
        # Each answer may hold ten thousand ids.
        self._cache: TtlCache[frozenset[str]] = TtlCache(CACHE_S, size=100)

    def what_hosts_lack(self, request: PlacementRequest, hosts: Collection[str]) -> Mapping[str, Refusal]:
        """Why each of these providers cannot meet the request. Raises errors.Unavailable."""
        short: dict[str, list[str]] = {host: [] for host in hosts}
        for say, question in _questions(request):
            able = self._ask(question)
            for host, reasons in short.items():
                if host not in able:
                    reasons.append(say)
        # A host without room for anything may not be registered in Placement yet.
        has_host_without_resources = any(len(reasons) >= len(request.amounts) for reasons in short.values())
        there = self._ask(EVERYBODY) if has_host_without_resources else short.keys()
        details = self._placement.explain(CandidatesQuery.of(request))
        return {
            host: NOT_REGISTERED
            if host not in there
            else Refusal(_joined(reasons) if reasons else NOT_TOGETHER.short, details.get(host, ""))
            for host, reasons in short.items()
        }

    def _ask(self, question: Question) -> Collection[str]:
        """The roots of the providers that have room for a class, or a trait; of all, for EVERYBODY."""
        providers = self._cache.peek(question)
        if providers is not None:
            return providers
        resource_class, amount, trait = question
        try:
            records = self._placement.providers({resource_class: amount} if resource_class else None, trait)
        except errors.Invalid:
            # Placement does not know the class or trait: no host has it.
            return ()
        able = frozenset(provider.root_provider_uuid or provider.uuid for provider in records)
        if len(able) >= CACHED_FROM:
            self._cache.put(question, able)
        return able


def _questions(request: PlacementRequest) -> list[tuple[str, Question]]:
    """Each part of the request: the reason for a host that does not meet it, and the question to Placement."""
    # Two groups may ask the same.
    resources = dict.fromkeys(
        (*request.resources.items(), *(pair for group in request.groups for pair in group.resources))
    )
    required = {*request.required_traits, *(trait for group in request.groups for trait in group.required)}
    return [
        *((f"lacks {name} (needs {amount})", Question(name, amount, None)) for name, amount in sorted(resources)),
        *((f"lacks trait {name}", Question("", 0, name)) for name in sorted(required)),
        *((f"has forbidden trait {name}", Question("", 0, f"!{name}")) for name in sorted(request.forbidden_traits)),
    ]


def _joined(reasons: list[str]) -> str:
    """'lacks A, lacks B' as 'lacks A and B'."""
    first, *rest = reasons
    verb = first.partition(" ")[0]
    return " and ".join([first, *(reason.removeprefix(f"{verb} ") for reason in rest)])


def counted(promises: Iterable[Promise]) -> tuple[Counted, ...]:
    """The promises by host, for the first few hosts."""
    sequences: dict[str, list[int]] = {}
    for promise in promises:
        sequences.setdefault(promise.host, []).append(promise.sequence)
    shown = itertools.islice(sorted(sequences.items()), PROMISES_SHOWN)
    return tuple(Counted(host=host, sequences=tuple(sorted(numbers))) for host, numbers in shown)


def sentence(total: int, lost: Counter[str]) -> str:
    """'3 hosts: 2 lack MEMORY_MB (needs 2048), 1 is disabled.'"""
    if not total:
        return "There are no hosts."
    shown = lost.most_common(REASONS_SHOWN)
    if rest := sum(lost.values()) - sum(count for _, count in shown):
        shown.append(("has other reasons", rest))
    counted = ", ".join(f"{count} {agree(reason, count)}" for reason, count in shown)
    return f"{total} {'host' if total == 1 else 'hosts'}: {counted}."


def agree(clause: str, count: int) -> str:
    """The clause with its verb in singular or plural: 'is down' for one, 'are down' for more."""
    verb, space, rest = clause.partition(" ")
    return clause if count == 1 else f"{_PLURALS.get(verb, verb)}{space}{rest}"
