"""Which items a list shows: those that ids and filters name, a page at a time.

A page ends in a token that names its last item, so that nothing is shown twice or left out when others come and go.
"""

import base64
import binascii
import re
from collections.abc import Callable, Iterable
from typing import Any

from nova import patterns
from nova.api.ec2 import errors, ids
from nova.api.ec2.declaration import Filter, Item, Listing

_MOST_FILTERS, _MOST_VALUES, _MOST_RESULTS = 50, 200, 1000
_TAG = "tag:"


def page(listing: Listing, items: Iterable[Item], given: dict[str, Any], may_page: bool) -> dict[str, Any]:
    """The answer. may_page: the action's answer can hold a NextToken. Raises BadRequest."""
    shown = _filtered(listing, _named(listing, list(items), given), given.get("Filters", []))
    shown.sort(key=lambda item: str(item[listing.by]))
    most = given.get("MaxResults")
    if most is not None and not 1 <= most <= _MOST_RESULTS:
        raise errors.bad_value("MaxResults", most, f"It is between 1 and {_MOST_RESULTS}.")
    if "NextToken" in given:
        last = _read_token(given["NextToken"])
        shown = [item for item in shown if str(item[listing.by]) > last]
    rest = most is not None and len(shown) > most
    shown = shown[:most] if rest else shown
    answer: dict[str, Any] = {listing.key: listing.wrap(shown) if listing.wrap else shown}
    if rest and may_page:
        answer["NextToken"] = base64.urlsafe_b64encode(str(shown[-1][listing.by]).encode()).decode()
    return answer


def _named(listing: Listing, items: list[Item], given: dict[str, Any]) -> list[Item]:
    wanted = set(given.get(listing.ids, ())) if listing.ids else set()
    if not wanted:
        return items
    items = [item for item in items if item[listing.by] in wanted]
    missing = sorted(wanted - {item[listing.by] for item in items})
    if missing and listing.kind:
        raise ids.not_found(listing.kind, missing[0])
    if missing:
        raise errors.bad_value(str(listing.ids), missing[0])
    return items


def _filtered(listing: Listing, items: list[Item], filters: list[dict[str, Any]]) -> list[Item]:
    if len(filters) > _MOST_FILTERS or sum(len(each.get("Values", ())) for each in filters) > _MOST_VALUES:
        raise errors.BadRequest(
            f"A request has {_MOST_FILTERS} filters and {_MOST_VALUES} values at most.", "FilterLimitExceeded"
        )
    for each in filters:
        name = each.get("Name", "")
        values_of = _values_of(listing, name)
        matches = matcher(each.get("Values", []))
        items = [item for item in items if any(matches(_text(value)) for value in values_of(item) if value is not None)]
    return items


def _values_of(listing: Listing, name: str) -> Filter:
    if name in listing.filters:
        return listing.filters[name]
    if name.startswith(_TAG):
        key = name.removeprefix(_TAG)
        return lambda item: [tag["Value"] for tag in _tags(item) if tag["Key"] == key]
    if name == "tag-key":
        return lambda item: [tag["Key"] for tag in _tags(item)]
    if name == "tag-value":
        return lambda item: [tag["Value"] for tag in _tags(item)]
    raise errors.BadRequest(f"The filter '{name[:100]}' is invalid")


def _tags(item: Item) -> list[dict[str, str]]:
    return item.get("Tags") or item.get("TagSet") or []


def matcher(values: list[str]) -> Callable[[str], bool]:
    """Whether a text is one of these values, in which * is any text, ? any character and \\ quotes the next."""
    exact = {value for value in values if not re.search(r"[*?\\]", value)}
    wild = [patterns.compile(f"(?s)^(?:{_pattern(value)})$") for value in values if value not in exact]
    return lambda text: text in exact or any(pattern.search(text) is not None for pattern in wild)


def _pattern(value: str) -> str:
    def part(match: re.Match[str]) -> str:
        char = match[0]
        if char[0] == "\\":
            return re.escape(char[1:]) if len(char) > 1 else r"\\"
        return {"*": ".*", "?": "."}.get(char, re.escape(char))

    return re.sub(r"\\.|(?s:.)", part, value)


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _read_token(token: str) -> str:
    try:
        return base64.b64decode(token.encode("ascii"), altchars=b"-_", validate=True).decode()
    except (binascii.Error, UnicodeError) as error:
        raise errors.BadRequest("The token is not valid.", "InvalidNextToken") from error


def path(*names: str) -> Filter:
    """A filter's values: the members of an item on a path, through lists."""

    def values(item: Any, rest: tuple[str, ...] = names) -> list[Any]:
        if item is None:
            return []
        if isinstance(item, list):
            return [value for each in item for value in values(each, rest)]
        return values(item.get(rest[0]), rest[1:]) if rest else [item]

    return values
