"""JsonFilter: a condition that the user states in the scheduler hint "query".

Source: Compute admin guide, "Compute schedulers", JsonFilter. The hint is JSON: a list whose first
element is an operator, the rest values, variables such as "$free_ram_mb", or lists of the same kind.
"""

import operator
from collections.abc import Callable
from typing import Any

import msgspec

from nova.scheduler.filters.filter import Check, Filter
from nova.scheduler.host_candidate import HostCandidate, Refusal
from nova.structs.schedule import PlacementRequest

DEPTH = 16

Term = Callable[[HostCandidate], Any]


class JsonFilter(Filter):
    """Passes hosts for which the query is true; none when it cannot be read."""

    def check(self, request: PlacementRequest) -> Check | None:
        query = request.hints.get("query")
        if not query:
            return None
        try:
            is_true = read(query)
        except ValueError as error:
            unreadable = Refusal(f"cannot be asked the hint 'query': {error}")
            return lambda host: unreadable
        reason = Refusal("does not match the hint 'query'")

        def check(host: HostCandidate) -> Refusal | None:
            return None if is_true(host) else reason

        return check


def read(query: object) -> Term:
    """The condition a query states. Raises ValueError with what is wrong with it."""
    if isinstance(query, list) and len(query) == 1 and isinstance(query[0], str) and query[0].startswith("["):
        query = query[0]
    if isinstance(query, str):
        try:
            query = msgspec.json.decode(query)
        except (msgspec.DecodeError, RecursionError):
            raise ValueError("it is not JSON") from None
    if not isinstance(query, list):
        raise ValueError("it is not a list")
    return _condition(query, DEPTH)


def _condition(query: list[Any], depth: int) -> Term:
    if depth == 0:
        raise ValueError(f"it is more than {DEPTH} levels deep")
    if not query or not isinstance(query[0], str) or query[0] not in _OPERATORS:
        raise ValueError(f"it must begin with one of {' '.join(_OPERATORS)}")
    terms = [_term(part, depth - 1) for part in query[1:]]
    if not terms:
        raise ValueError(f"'{query[0]}' stands alone")
    combine = _OPERATORS[query[0]]
    return lambda host: combine([term(host) for term in terms])


def _term(part: Any, depth: int) -> Term:
    if isinstance(part, list):
        return _condition(part, depth)
    if isinstance(part, str) and part.startswith("$"):
        path = part[1:].split(".")
        return lambda host: host.attribute(path)
    return lambda host: part


def _all_against_first(compare: Callable[[Any, Any], bool]) -> Callable[[list[Any]], bool]:
    def combine(values: list[Any]) -> bool:
        if len(values) < 2 or None in values:
            return False
        try:
            return all(compare(values[0], value) for value in values[1:])
        except TypeError:
            return False

    return combine


def _none_of(values: list[Any]) -> bool:
    return not any(values)


_OPERATORS: dict[str, Callable[[list[Any]], bool]] = {
    "=": _all_against_first(operator.eq),
    "<": _all_against_first(operator.lt),
    ">": _all_against_first(operator.gt),
    "in": lambda values: values[0] in values[1:],
    "<=": _all_against_first(operator.le),
    ">=": _all_against_first(operator.ge),
    "not": _none_of,
    "or": any,
    "and": all,
}
