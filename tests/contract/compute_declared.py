"""Compares the operations the Compute API declares with the contract's tables, version by version.

Both sides become the same thing: for one operation at one version, a table from field path to what
is known of the field. Alternatives of a schema are laid over each other, list positions become [].
"""

import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from nova.api.compute import MODULES
from nova.api.compute.versions import MAXIMUM, MINIMUM
from nova.http.declaration import Endpoint, collect

Key = tuple[str, str, str | None]

_ALTERNATIVE = re.compile(r"<(one|any|all)\d+>")
_PATTERN = re.compile(r"\{.*?\}(?=$|\.|\[\])")
_POSITION = re.compile(r"\[\d+\]")


def key_of(method: str, path: str, action: str | None) -> Key:
    """An operation's identity: names of path parameters differ between the tables."""
    return method, re.sub(r"{[^}]*}", "{}", path).rstrip("/") or "/", action


def declared() -> dict[Key, list[Endpoint]]:
    """Our operations; several may share a key and differ in version."""
    found: dict[Key, list[Endpoint]] = {}
    for operation in collect(*MODULES):
        found.setdefault(key_of(operation.method, operation.path, operation.action), []).append(operation)
    return found


class Tables:
    """The contract's compute tables."""

    def __init__(self, contract: Path) -> None:
        def rows(name: str, part: str) -> Any:
            return json.loads((contract / "compute" / name).read_text())[part]

        self.operations = rows("operations.json", "operations")
        self.routes = rows("routes.json", "routes")
        self.fields = {
            key_of(one["method"], one["path"], one.get("action")): one for one in rows("fields.json", "operations")
        }


def minor(text: str | None, default: int) -> int:
    return default if text is None else int(text.split(".")[1])


def holds(row: dict[str, Any], version: int) -> bool:
    return minor(row.get("min_version"), MINIMUM) <= version <= minor(row.get("max_version"), MAXIMUM)


def their_fields(rows: Iterable[dict[str, Any]], version: int) -> dict[str, dict[str, Any]]:
    """The contract's field table at one version."""
    found: dict[str, dict[str, Any]] = {}
    for row in rows:
        if not holds(row, version):
            continue
        path = _plain(row["field"])
        entry = found.setdefault(path, {"required": False, "types": set()})
        entry["required"] |= bool(row.get("required"))
        entry["types"] |= set(_types(row.get("type")))
        for name in ("enum", "minimum", "maximum", "minLength", "maxLength", "minItems", "maxItems", "extra"):
            if name in row:
                entry[name] = row[name]
    return found


def our_fields(schema: dict[str, Any] | None) -> dict[str, dict[str, Any]]:
    """A JSON Schema as the same kind of table."""
    found: dict[str, dict[str, Any]] = {}
    if schema is not None:
        _flatten(schema, "$", False, found)
    return found


def _flatten(schema: dict[str, Any], path: str, is_required: bool, found: dict[str, dict[str, Any]]) -> None:
    entry = found.setdefault(path, {"required": False, "types": set()})
    entry["required"] |= is_required
    entry["types"] |= set(_types(schema.get("type")))
    for name in ("enum", "minimum", "maximum", "minLength", "maxLength", "minItems", "maxItems"):
        if name in schema:
            entry[name] = schema[name]
    if "properties" in schema or "patternProperties" in schema:
        entry["extra"] = schema.get("additionalProperties", True) is not False
    for kind in ("oneOf", "anyOf", "allOf"):
        for alternative in schema.get(kind, ()):
            _flatten(alternative, path, is_required, found)
    needed = schema.get("required", ())
    for name, inner in schema.get("properties", {}).items():
        _flatten(inner, _join(path, name), name in needed, found)
    for pattern, inner in schema.get("patternProperties", {}).items():
        _flatten(inner, _join(path, f"{{{pattern}}}"), False, found)
    if isinstance(schema.get("additionalProperties"), dict):
        entry["extra"] = True
        _flatten(schema["additionalProperties"], _join(path, "{*}"), False, found)
    if isinstance(schema.get("items"), dict):
        _flatten(schema["items"], f"{path}[]", False, found)


def _join(path: str, name: str) -> str:
    # Patterns of keys are compared by their place alone.
    name = "{}" if name.startswith("{") else name
    return name if path == "$" else f"{path}.{name}"


def _plain(path: str) -> str:
    return _PATTERN.sub("{}", _POSITION.sub("[]", _ALTERNATIVE.sub("", path))).removeprefix(".") or "$"


def _types(given: Any) -> list[str]:
    if given is None:
        return []
    if given == "boolish":
        return ["boolean", "string"]
    return list(given) if isinstance(given, list) else [given]


def ends(operation: Endpoint) -> tuple[int, int]:
    """The first and the last version that have an operation."""
    return max(operation.since, MINIMUM), min(operation.until, MAXIMUM)


def versions_of_interest(row: dict[str, Any] | None, operations: Iterable[Endpoint]) -> list[int]:
    """Every version at which a field of this operation may begin or end, within the operation's own."""
    marks = {MINIMUM, MAXIMUM}
    for part in ("query", "request", "response"):
        for one in (row or {}).get(part) or ():
            first = minor(one.get("min_version"), MINIMUM)
            marks |= {first, max(first - 1, MINIMUM)}
            last = minor(one.get("max_version"), MAXIMUM)
            marks |= {last, min(last + 1, MAXIMUM)}
    for operation in operations:
        marks |= set(ends(operation))
    return sorted(marks)


def differences(ours: dict[str, Any], theirs: dict[str, Any], is_answer: bool = False) -> Iterator[str]:
    """What one table has and the other has not, and where they say different things of a field.

    An answer may promise more than is asked: a key that is always there, a type less.
    """
    for path in sorted(theirs.keys() - ours.keys()):
        if not _is_nothing(theirs[path], path) and not (is_answer and _inside_open(path, ours)):
            yield f"missing {path}"
    for path in sorted(ours.keys() - theirs.keys()):
        if not _is_nothing(ours[path], path) and not _inside_open(path, theirs):
            yield f"invented {path}"
    for path in sorted(ours.keys() & theirs.keys()):
        mine, other = ours[path], theirs[path]
        if mine["required"] != other["required"] and not (is_answer and mine["required"]):
            yield f"{path} is {'' if mine['required'] else 'not '}required here"
        if mine["types"] and other["types"] and not _same_types(mine["types"], other["types"], is_answer):
            yield f"{path} is {sorted(mine['types'])} here, {sorted(other['types'])} there"
        if mine.get("extra") is not None and other.get("extra") is not None and mine["extra"] != other["extra"]:
            yield f"{path} {'lets' if mine['extra'] else 'does not let'} unknown keys through"


def limit_differences(ours: dict[str, Any], theirs: dict[str, Any]) -> Iterator[str]:
    """Bounds and enumerations that differ."""
    for path in sorted(ours.keys() & theirs.keys()):
        for name in ("enum", "minimum", "maximum", "minLength", "maxLength", "minItems", "maxItems"):
            mine, other = ours[path].get(name), theirs[path].get(name)
            if name == "enum":
                if other is not None and mine is not None and set(map(str, mine)) != set(map(str, other)):
                    yield f"{path} {name} differs: {sorted(set(map(str, mine)) ^ set(map(str, other)))}"
                elif other is not None and mine is None:
                    yield f"{path} has no enum, there it is {other}"
            elif mine != other and other is not None:
                yield f"{path} {name} is {mine} here, {other} there"


def _same_types(mine: set[str], other: set[str], is_answer: bool) -> bool:
    def widened(types: set[str]) -> set[str]:
        return types | {"integer"} if "number" in types else types

    mine, other = widened(mine), widened(other)
    return mine <= other if is_answer else mine == other


def _is_nothing(entry: dict[str, Any], path: str) -> bool:
    """The root of a body that is null, absent or anything says nothing; nor does an item of no kind."""
    return (path == "$" and (not entry["types"] or entry["types"] == {"null"})) or (
        path.endswith("[]") and not entry["types"]
    )


def _inside_open(path: str, theirs: dict[str, Any]) -> bool:
    """Whether the other side leaves the inside of an enclosing object open."""
    while "." in path or path.endswith("[]"):
        path = path[:-2] if path.endswith("[]") else path.rpartition(".")[0]
        if path in theirs and not any(one.startswith((f"{path}.", f"{path}[")) for one in theirs):
            return theirs[path].get("extra") is not False
    return False
