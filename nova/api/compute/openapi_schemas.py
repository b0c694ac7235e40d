"""Schemas of the OpenAPI document: in a form that generators of clients read, and each under a name of its own.

Requests are checked against the declared schemas, which also take what old clients send. The document names the plain
form alone: whatever it allows is accepted.
"""

import json
import re
from collections.abc import Callable, Iterable
from typing import Any

Schema = dict[str, Any]
_NESTED = ("properties", "patternProperties")
_LISTED = ("oneOf", "anyOf", "allOf")


def portable(schema: Any) -> Any:
    """The same schema without what generators stumble over."""
    if isinstance(schema, bool):
        return schema
    simple = dict(schema)
    for key in _NESTED:
        if key in simple:
            simple[key] = {name: portable(value) for name, value in simple[key].items()}
    for key in _LISTED:
        if key in simple:
            simple[key] = [portable(value) for value in simple[key]]
    # Validators that do not know a format find that more than one of them fits.
    simple |= {"anyOf": simple.pop("oneOf")} if "oneOf" in simple else {}
    for key in ("items", "additionalProperties"):
        if isinstance(simple.get(key), dict):
            simple[key] = portable(simple[key])
    for step in (_items, _const, _boolean, _number, _words, _keys):
        step(simple)
    return simple


def _items(schema: Schema) -> None:
    if "array" in schema.get("type", ()):
        schema.setdefault("items", {})


def _const(schema: Schema) -> None:
    if "const" in schema:
        schema.setdefault("type", "string")
        schema["enum"] = [schema.pop("const")]


def _boolean(schema: Schema) -> None:
    """A boolean, for one that may also be written as a word."""
    if any(one is True for one in schema.get("enum", ())):
        del schema["enum"]
        _without_string(schema)


def _number(schema: Schema) -> None:
    """A number, for one that may also be a string of digits."""
    kinds = schema.get("type")
    if isinstance(kinds, list) and {"integer", "string"} <= set(kinds) and "pattern" in schema:
        _without_string(schema)
        del schema["pattern"]
        schema.pop("minLength", None)


def _without_string(schema: Schema) -> None:
    kinds = [kind for kind in schema["type"] if kind != "string"]
    schema["type"] = kinds[0] if len(kinds) == 1 else kinds


def _words(schema: Schema) -> None:
    """Each word once, for those that are accepted in capitals and in small letters."""
    if "enum" in schema:
        schema["enum"] = list({str(one).lower(): one for one in reversed(schema["enum"])}.values())[::-1]


def _keys(schema: Schema) -> None:
    """Keys of the user's own as additional properties: few generators know patternProperties."""
    patterns = schema.get("patternProperties")
    if patterns and len(patterns) == 1 and not schema.get("properties"):
        del schema["patternProperties"]
        [(pattern, value)] = patterns.items()
        schema["additionalProperties"] = value
        schema["propertyNames"] = {"pattern": pattern}


class Components:
    """The named schemas of one document. Schemas that do not differ have one name: the first they were given."""

    def __init__(self) -> None:
        self.schemas: dict[str, Schema] = {}
        self._names: dict[str, str] = {}

    def add(self, name: str, schema: Schema) -> Schema:
        """A reference to a schema, whose objects are named after the properties that hold them."""
        return self._named(name, self._inner(name, schema))

    def _inner(self, name: str, schema: Schema) -> Schema:
        flat = dict(schema)
        if "properties" in flat:
            flat["properties"] = {key: self.part(pascal(name, key), value) for key, value in flat["properties"].items()}
        if isinstance(flat.get("additionalProperties"), dict):
            flat["additionalProperties"] = self.part(f"{name}Value", flat["additionalProperties"])
        if isinstance(flat.get("items"), dict):
            flat["items"] = self.part(singular(name), flat["items"])
        for key in _LISTED:
            if key in flat:
                flat[key] = [self.part(f"{name}{number}", one) for number, one in enumerate(flat[key], 1)]
        return flat

    def part(self, name: str, schema: Schema) -> Schema:
        """The same for an object with properties; any other schema as it is, with the objects in it named."""
        return self.add(name, schema) if schema.get("properties") else self._inner(name, schema)

    def _named(self, name: str, schema: Schema) -> Schema:
        text = json.dumps(schema, sort_keys=True)
        known = self._names.get(text)
        if known is None:
            known = self._names[text] = _free(name, self.schemas.__contains__)
            self.schemas[known] = schema
        return {"$ref": f"#/components/schemas/{known}"}


def _free(name: str, is_taken: Callable[[str], bool]) -> str:
    number, free = 1, name
    while is_taken(free):
        number += 1
        free = f"{name}{number}"
    return free


def pascal(*parts: str) -> str:
    """One name of several parts: ("servers.create", "request") is ServersCreateRequest."""
    return "".join(word[0].upper() + word[1:] for part in parts for word in _words_of(part))


def _words_of(text: str) -> Iterable[str]:
    return re.findall(r"[a-zA-Z0-9]+", text)


def singular(word: str) -> str:
    for ending, other in (("ies", "y"), ("sses", "ss"), ("s", "")):
        if word.endswith(ending) and not word.endswith("ss"):
            return word.removesuffix(ending) + other
    return f"{word}Item"
