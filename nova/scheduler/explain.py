"""Why hosts are not among Placement's candidates, and the one sentence a user is told.

Asked only when nothing was found or nothing will be claimed: each question is a request to Placement.
The sentence counts hosts and names none.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping

from nova import errors
from nova.placement_answers import Provider
from nova.placement_client import PlacementClient
from nova.scheduler.contender import Refusal
from nova.structs.schedule import PlacementRequest

Question = Callable[[], list[Provider]]

NOT_ASKED = Refusal("is beyond the number of candidates asked for")
NOT_TOGETHER = Refusal("has not all of this at once")
NO_CANDIDATE = Refusal("is no candidate of Placement")
NOT_THERE = Refusal("is unknown to Placement")

# A sentence with more reasons than this is not read.
REASONS_TOLD = 6

_PLURALS = {"is": "are", "has": "have", "does": "do", "was": "were", "lacks": "lack", "holds": "hold", "runs": "run"}


def what_hosts_lack(
    placement: PlacementClient, request: PlacementRequest, hosts: Collection[str]
) -> Mapping[str, Refusal]:
    """Why each of these providers cannot meet the request, found by asking for each part of it alone."""
    short: dict[str, list[str]] = {host: [] for host in hosts}
    for say, ask in _questions(placement, request):
        try:
            able = _roots(ask())
        except errors.Invalid:
            # Placement has never heard of the class or trait: no host has it.
            able = set()
        for host, reasons in short.items():
            if host not in able:
                reasons.append(say)
    # A host without room for anything may not have told Placement of itself yet.
    is_anyone_without = any(len(reasons) >= len(request.resources) for reasons in short.values())
    there = _roots(placement.providers()) if is_anyone_without else short.keys()
    details = placement.explain(request.resources, request.required_traits, request.forbidden_traits)
    return {
        host: NOT_THERE
        if host not in there
        else Refusal(_joined(reasons) if reasons else NOT_TOGETHER.short, details.get(host, ""))
        for host, reasons in short.items()
    }


def _roots(providers: Iterable[Provider]) -> set[str]:
    return {provider.root_provider_uuid or provider.uuid for provider in providers}


def _questions(placement: PlacementClient, request: PlacementRequest) -> list[tuple[str, Question]]:
    """Each part of the request: what to say of a host that does not meet it, and how to ask who does."""

    def room(name: str, amount: int) -> Question:
        return lambda: placement.providers(resources={name: amount})

    def trait(name: str) -> Question:
        return lambda: placement.providers(required=name)

    return [
        *((f"lacks {name} (needs {amount})", room(name, amount)) for name, amount in sorted(request.resources.items())),
        *((f"lacks trait {name}", trait(name)) for name in sorted(request.required_traits)),
        *((f"has forbidden trait {name}", trait(f"!{name}")) for name in sorted(request.forbidden_traits)),
    ]


def _joined(reasons: list[str]) -> str:
    """'lacks A, lacks B' as 'lacks A and B'."""
    first, *rest = reasons
    verb = first.partition(" ")[0]
    return " and ".join([first, *(one.removeprefix(f"{verb} ") for one in rest)])


def sentence(total: int, lost: Counter[str]) -> str:
    """'3 hosts: 2 lack MEMORY_MB (needs 2048), 1 is disabled.'"""
    if not total:
        return "There are no hosts."
    told = lost.most_common(REASONS_TOLD)
    if rest := sum(lost.values()) - sum(count for _, count in told):
        told.append(("has other reasons", rest))
    counted = ", ".join(f"{count} {agree(reason, count)}" for reason, count in told)
    return f"{total} {'host' if total == 1 else 'hosts'}: {counted}."


def agree(clause: str, count: int) -> str:
    """The clause with its verb in the number of count: 'is down' for one, 'are down' for more."""
    verb, space, rest = clause.partition(" ")
    return clause if count == 1 else f"{_PLURALS.get(verb, verb)}{space}{rest}"
