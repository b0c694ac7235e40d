"""Compares an answer with a sample, and with the contract's field table, by shape: keys and JSON types."""

import re
from collections.abc import Iterable, Iterator
from typing import Any

from compute_declared import _plain, _types, holds

_OF_SOME = re.compile(r"<|\[\d+\]")
ANYTHING = "object", "array", "string", "integer", "number", "boolean", "null"


class Fields:
    """The contract's field table of one body at one version.

    Fields of an alternative, or of one position of a list, are known but not required: the sample says which
    alternative holds.
    """

    def __init__(self, rows: Iterable[dict[str, Any]], version: int) -> None:
        self.known: dict[str, set[str]] = {}
        self.required: set[str] = set()
        self.optional: set[str] = set()
        self.closed: set[str] = set()
        self.enums: dict[str, set[Any]] = {}
        for row in rows:
            if not holds(row, version):
                continue
            path = _plain(row["field"])
            self.known.setdefault(path, set()).update(_types(row.get("type")) or ANYTHING)
            is_required = bool(row.get("required")) and not _OF_SOME.search(row["field"])
            (self.required if is_required else self.optional).add(path)
            if row.get("extra") is False:
                self.closed.add(path)
            if "enum" in row:
                self.enums.setdefault(path, set()).update(row["enum"])

    def types(self, path: str) -> set[str]:
        return self.known.get(path, set())

    def has_roots(self, names: Iterable[str]) -> bool:
        """Whether a body with these keys may be meant."""
        return self.is_map("$") or (bool(self.known) and all(name in self.known for name in names))

    def is_map(self, path: str) -> bool:
        """Whether an object's keys are data."""
        return _join(path, "{}") in self.known

    def is_open(self, path: str) -> bool:
        """Whether nothing is said of what is inside."""
        return not any(one.startswith((f"{path}.", f"{path}[")) for one in self.known)


def kind_of(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int | float):
        return "number"
    return {str: "string", list: "array", dict: "object"}[type(value)]


def misfits(value: Any, table: Fields, path: str = "$") -> Iterator[str]:
    """Where a body is not what the field table says of it."""
    if not table.known:
        return
    kinds = {"number" if one == "integer" else one for one in table.types(path)}
    if kinds and kind_of(value) not in kinds:
        yield f"{path} is {kind_of(value)}, by the table {sorted(kinds)}"
    elif isinstance(value, str) and value not in table.enums.get(path, {value}):
        yield f"{path} is none of the values of the table"
    elif isinstance(value, list):
        for one in value:
            yield from misfits(one, table, f"{path}[]")
    elif isinstance(value, dict) and not (table.is_open(path) and path != "$"):
        for name, inner in value.items():
            place = _join(path, name)
            if place not in table.known and table.is_map(path):
                place = _join(path, "{}")
            if place in table.known:
                yield from misfits(inner, table, place)
            elif path in table.closed:
                yield f"{place} is no field of the table"
        for place in sorted(table.required):
            parent, _, name = place.rpartition(".")
            if (parent or "$") == path and name and name not in value and "[" not in name and name != "{}":
                yield f"{place} is missing, by the table"


def differences(sample: Any, answer: Any, table: Fields, path: str = "$") -> Iterator[str]:
    """Where an answer has not the shape of its sample.

    A value may be null here and not there when the table lets it be either.
    """
    theirs, ours = kind_of(sample), kind_of(answer)
    if theirs != ours:
        kinds = {"number" if one == "integer" else one for one in table.types(path)}
        if not {theirs, ours} <= kinds or table.types(path) == set(ANYTHING):
            yield f"{path} is {ours}, in the sample {theirs}"
    elif isinstance(sample, dict):
        yield from _object_differences(sample, answer, table, path)
    elif isinstance(sample, list) and sample:
        if not answer:
            yield f"{path} is empty, in the sample it is not"
        for one in answer:
            # Like the first of the sample, where it is not like another of them.
            found = [list(differences(like, one, table, f"{path}[]")) for like in sample]
            yield from found[0] if all(found) else ()


def _object_differences(sample: Any, answer: Any, table: Fields, path: str) -> Iterator[str]:
    if table.is_map(path) and not sample.keys() & {one.rpartition(".")[2] for one in table.required}:
        for one in answer.values() if sample else ():
            yield from differences(next(iter(sample.values())), one, table, _join(path, "{}"))
        return
    for name in sorted(sample.keys() - answer.keys()):
        yield f"{_join(path, name)} is missing"
    for name in sorted(answer.keys() - sample.keys()):
        yield f"{_join(path, name)} is not in the sample"
    for name in sample.keys() & answer.keys():
        yield from differences(sample[name], answer[name], table, _join(path, name))


def _join(path: str, name: str) -> str:
    return name if path == "$" else f"{path}.{name}"
