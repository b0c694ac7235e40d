"""Answers: which fields there are at a version, and how each is read from the struct behind it.

A view is compiled once per version (and set of rights) into a list of (key, reader), so that
answering a thousand servers asks no question a thousand times.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

from nova.http.schema import NEXT, Arr, Field, Obj, Shape
from nova.http.versions import FIRST, FOREVER, parse

Read = Callable[..., Any]
ABSENT = object()


@dataclass(frozen=True)
class Shown:
    """One key of an answer. read is the name of an attribute, or takes (thing, request) and may give
    ABSENT, which leaves the key out.

    right: the name of a right, worked out once per request, without which the key is left out.
    """

    name: str
    shape: Shape
    read: Read | str
    since: int = FIRST
    until: int = FOREVER
    right: str | None = None
    is_optional: bool = False

    def holds(self, version: int) -> bool:
        return self.since <= version <= self.until


def shows(
    name: str,
    shape: Shape,
    read: Read | str | None = None,
    since: str | None = None,
    until: str | None = None,
    right: str | None = None,
    is_optional: bool = False,
) -> Shown:
    """A key. read: a function of (thing, request), the name of an attribute, or None for the key's own name."""
    return Shown(
        name, shape, read or name, parse(since, FIRST), parse(until, FOREVER), right, is_optional or right is not None
    )


@dataclass(frozen=True, eq=False)
class View:
    """An object in an answer. rights(request) names the rights the caller has, for keys that need one."""

    keys: tuple[Shown, ...]
    rights: Callable[[Any], frozenset[str]] = lambda request: frozenset()

    def renderer(self, request: Any) -> Callable[[Any], dict[str, Any]]:
        """A function from a thing to its JSON object, for this request's version and caller."""
        readers = _readers(self, request.version, self.rights(request))

        def render(thing: Any) -> dict[str, Any]:
            # Answers are made of thousands of these: an attribute is read without a call of ours.
            result = {}
            for name, attribute, read in readers:
                value = getattr(thing, attribute) if read is None else read(thing, request)
                if value is not ABSENT:
                    result[name] = value
            return result

        return render

    def shape(self) -> Obj:
        """What the answer looks like, for the OpenAPI document."""
        return Obj(tuple(Field(k.name, k.shape, not k.is_optional, k.since, k.until) for k in self.keys))


@cache
def _readers(view: View, version: int, rights: frozenset[str]) -> list[tuple[str, str, Read | None]]:
    """Of each key that is shown: its name, and the attribute behind it or the function that reads it."""
    held = [key for key in view.keys if key.holds(version) and (key.right is None or key.right in rights)]
    return [(key.name, key.read, None) if isinstance(key.read, str) else (key.name, "", key.read) for key in held]


def view(*keys: Shown, rights: Callable[[Any], frozenset[str]] | None = None) -> View:
    return View(keys) if rights is None else View(keys, rights)


@dataclass(frozen=True, eq=False)
class Answer:
    """The whole body of an answer: a View under a key, a list of them, or something made by hand.

    render takes (result, request) and gives what becomes JSON.
    """

    render: Callable[[Any, Any], Any]
    shape: Shape | None
    content_type: str = "application/json"


def single(key: str, of: View) -> Answer:
    """{"server": {...}}"""
    return Answer(
        lambda result, request: {key: of.renderer(request)(result)},
        Obj((Field(key, of.shape(), True),)),
    )


def listing(key: str, of: View, links_since: str | None = None, link_key: str | None = None) -> Answer:
    """{"servers": [...], "servers_links": [...]}; the handler gives a list, or a Page."""
    links = link_key or f"{key}_links"

    def render(result: Any, request: Any) -> dict[str, Any]:
        items = result.items if isinstance(result, Page) else result
        answer: dict[str, Any] = {key: list(map(of.renderer(request), items))}
        if isinstance(result, Page) and result.next_marker is not None:
            answer[links] = [{"rel": "next", "href": request.next_page(result.next_marker)}]
        return answer

    fields = [Field(key, Arr(of.shape()), True)]
    if links_since is not None:
        fields.append(Field(links, NEXT, False, parse(links_since, FIRST)))
    return Answer(render, Obj(tuple(fields)))


def made(shape: Shape | None = None, content_type: str = "application/json") -> Answer:
    """An answer the handler made itself."""
    return Answer(lambda result, request: result, shape, content_type)


def chosen(shape: Obj) -> Answer:
    """An answer the handler gives in full, of which a version shows what the shape has for it."""
    return Answer(lambda result, request: _held(shape, result, request.version), shape)


def _held(shape: Shape, value: Any, version: int) -> Any:
    if isinstance(shape, Arr) and isinstance(value, list):
        return [_held(shape.item, one, version) for one in value]
    if not isinstance(shape, Obj) or shape.patterns or shape.is_open or not isinstance(value, dict):
        return value
    held = {one.name: one.shape for one in shape.fields if one.holds(version)}
    return {name: _held(held[name], one, version) for name, one in value.items() if name in held}


@dataclass(frozen=True)
class Page:
    """Part of a list; next_marker names its last item when there is more."""

    items: list[Any]
    next_marker: str | None = None
