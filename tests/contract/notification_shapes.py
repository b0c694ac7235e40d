"""Compares a notification with the contract's samples and payload tables: keys, types, names, versions."""

import json
import re
from pathlib import Path
from typing import Any

_UUID = re.compile(r"^[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}$")
_TIME = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$")
_DATA = "nova_object.data"

# An image's properties are those it has: the sample shows an image with one of them.
_AS_FAR_AS_SET = ("ImageMetaPropsPayload",)


class Contract:
    """The notifications of a contract directory: event types, samples by event type, payload tables."""

    def __init__(self, directory: Path) -> None:
        tables = json.loads((directory / "notifications.json").read_text())
        self.payloads = tables["payloads"]
        self.events: dict[str, dict[str, Any]] = {one["event_type"]: one for one in tables["events"]}
        self.samples: dict[str, list[dict[str, Any]]] = {}
        for path in sorted((directory / "notification_samples").glob("*.json")):
            sample = _resolved(json.loads(path.read_text()), path.parent)
            self.samples.setdefault(sample["event_type"], []).append(sample)

    def differences(self, ours: dict[str, Any]) -> list[str]:
        """In what a notification differs from every sample of its type; from the one nearest to it."""
        samples = self.samples.get(ours["event_type"], [])
        found = [self._from_sample(ours, sample) for sample in samples]
        found = found or [self._from_table(ours)]
        return min(found, key=len) + self._types(ours["payload"], "payload")

    def _from_table(self, ours: dict[str, Any]) -> list[str]:
        row = self.events[ours["event_type"]]
        wanted = (row["publisher"], row["priority"], row["payload_object"], row["payload_version"])
        payload = ours["payload"]
        got = (_binary(ours), ours["priority"], payload["nova_object.name"], payload["nova_object.version"])
        return [] if got == wanted else [f"{got} is not {wanted}"]

    def _from_sample(self, ours: dict[str, Any], sample: dict[str, Any]) -> list[str]:
        found = []
        if _binary(ours) != _binary(sample):
            found.append(f"publisher: {_binary(ours)} is not {_binary(sample)}")
        if ours["priority"] != sample["priority"]:
            found.append(f"priority: {ours['priority']} is not {sample['priority']}")
        return found + self._objects(ours["payload"], sample["payload"], "payload")

    def _objects(self, ours: dict[str, Any], sample: dict[str, Any], where: str) -> list[str]:
        found = [
            f"{where}: {key} {ours[key]} is not {sample[key]}"
            for key in ("nova_object.name", "nova_object.namespace", "nova_object.version")
            if ours[key] != sample[key]
        ]
        mine, theirs = ours[_DATA], sample[_DATA]
        if sample["nova_object.name"] not in _AS_FAR_AS_SET:
            found += [f"{where}: {key} is missing" for key in sorted(theirs.keys() - mine.keys())]
            found += [f"{where}: {key} is too much" for key in sorted(mine.keys() - theirs.keys())]
        for key in mine.keys() & theirs.keys():
            found += self._values(mine[key], theirs[key], f"{where}.{key}")
        return found

    def _values(self, ours: Any, sample: Any, where: str) -> list[str]:
        if _is_object(ours) and _is_object(sample):
            return self._objects(ours, sample, where)
        if isinstance(ours, list) and isinstance(sample, list) and sample:
            return [problem for one in ours for problem in self._values(one, sample[0], f"{where}[]")]
        # Whether null is allowed, the tables say.
        if ours is None or sample is None or type(ours) is type(sample):
            return []
        return [f"{where}: {type(ours).__name__} is not {type(sample).__name__}"]

    def _types(self, ours: dict[str, Any], where: str) -> list[str]:
        name, version = ours["nova_object.name"], ours["nova_object.version"]
        table = self.payloads.get(name)
        if table is None:
            return [f"{where}: there is no {name}"]
        if version != table["version"]:
            return [f"{where}: version {version} is not {table['version']}"]
        found = []
        for key, value in ours[_DATA].items():
            field = table["fields"].get(key)
            if field is None:
                found.append(f"{where}: {name} has no {key}")
            elif value is None:
                found += [] if field.get("nullable") else [f"{where}.{key}: null is not allowed"]
            else:
                found += self._type(value, field, f"{where}.{key}")
        return found

    def _type(self, value: Any, field: dict[str, Any], where: str) -> list[str]:
        kind = field["type"]
        if kind == "Object":
            return self._types(value, where)
        if kind == "ListOfObjects":
            return [problem for one in value for problem in self._types(one, f"{where}[]")]
        if "values" in field and value not in field["values"]:
            return [f"{where}: {value!r} is none of its values"]
        fits = _KINDS.get(kind)
        return [] if fits is None or fits(value) else [f"{where}: {value!r} is no {kind}"]


def _strings(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(one, str) for one in value)


_KINDS: dict[str, Any] = {
    "String": lambda value: isinstance(value, str),
    "UUID": lambda value: isinstance(value, str) and _UUID.match(value),
    "Integer": lambda value: type(value) is int,
    "Float": lambda value: type(value) is float,
    "Boolean": lambda value: isinstance(value, bool),
    "FlexibleBoolean": lambda value: isinstance(value, bool),
    "DateTime": lambda value: isinstance(value, str) and _TIME.match(value),
    "ListOfStrings": _strings,
    "DictOfStrings": lambda value: isinstance(value, dict) and _strings(list(value.values())),
    "DictOfListOfStrings": lambda value: isinstance(value, dict) and all(map(_strings, value.values())),
}


def _is_object(value: Any) -> bool:
    return isinstance(value, dict) and "nova_object.name" in value


def _binary(notification: dict[str, Any]) -> str:
    return notification["publisher_id"].partition(":")[0]


def _resolved(value: Any, directory: Path) -> Any:
    """A sample with what it refers to in place; its own keys win."""
    if isinstance(value, list):
        return [_resolved(one, directory) for one in value]
    if not isinstance(value, dict):
        return value
    own = {key: _resolved(one, directory) for key, one in value.items() if key != "$ref"}
    if "$ref" not in value:
        return own
    path = directory / value["$ref"].rstrip("#")
    return _merged(_resolved(json.loads(path.read_text()), path.parent), own)


def _merged(below: Any, above: Any) -> Any:
    if not (isinstance(below, dict) and isinstance(above, dict)):
        return above
    return {
        key: _merged(below[key], above[key])
        if key in below and key in above
        else (above if key in above else below)[key]
        for key in {**below, **above}
    }
