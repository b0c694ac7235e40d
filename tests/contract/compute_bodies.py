"""The smallest body a JSON Schema accepts, so that a request gets past validation."""

import re
from typing import Any

_TEXTS = ("a", "ssh", "1", "aa", "10.0.0.1", "10.0.0.0/24", "/64", "sda", "2026-01-01T00:00:00Z", "a:1")
_BY_FORMAT = {
    "uuid": "00000000-0000-4000-8000-000000000000",
    "date-time": "2026-01-01T00:00:00Z",
    "ipv4": "10.0.0.1",
    "ipv6": "fd00::1",
    "uri": "http://localhost/",
    "cidr": "10.0.0.0/24",
    "base64": "YQ==",
}


def smallest(schema: dict[str, Any]) -> Any:
    """A valid value. Raises AssertionError for a schema this does not understand."""
    for kind in ("oneOf", "anyOf"):
        if kind in schema:
            return _of_alternatives({**schema}.pop("type", None), schema[kind])
    if "const" in schema:
        return schema["const"]
    if "enum" in schema:
        return schema["enum"][0]
    kinds = schema.get("type", "object")
    kind = kinds if isinstance(kinds, str) else "null" if "null" in kinds else kinds[0]
    if kind == "object":
        return _object(schema)
    if kind == "array":
        return [smallest(schema["items"]) for _ in range(schema.get("minItems", 0))]
    if kind in ("integer", "number"):
        return max(schema.get("minimum", 0), 1) if "exclusiveMinimum" in schema else schema.get("minimum", 0)
    if kind == "boolean":
        return True
    if kind == "null":
        return None
    return _text(schema)


def _of_alternatives(kind: Any, alternatives: list[dict[str, Any]]) -> Any:
    """What asks least: nothing, where that is allowed."""
    if any(one.get("type") == "null" for one in alternatives):
        return None
    first = alternatives[0]
    return smallest(first if kind is None else {"type": kind, **first})


def _object(schema: dict[str, Any]) -> dict[str, Any]:
    wanted = schema.get("required", ())
    value = {name: smallest(inner) for name, inner in schema.get("properties", {}).items() if name in wanted}
    spare = iter(schema.get("properties", {}).items())
    while len(value) < schema.get("minProperties", 0):
        name, inner = next(spare, (None, None))
        if name is None:
            value["a"] = smallest(next(iter(schema["patternProperties"].values())))
            break
        value.setdefault(name, smallest(inner))
    return value


def _text(schema: dict[str, Any]) -> str:
    if schema.get("format") in _BY_FORMAT:
        return _BY_FORMAT[schema["format"]]
    pattern, low = schema.get("pattern", ""), schema.get("minLength", 0)
    for text in _TEXTS:
        if len(text) >= low and re.search(pattern, text):
            return text
    raise AssertionError(f"no text for {schema}")
