"""What each microversion changed, by the contract's own sentences of it, is what our declarations change there.

The tables say how a version is; these facts say what came and went. Facts of behaviour are for the
functional tests: a declaration cannot show them.
"""

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from compute_declared import Key, declared, key_of, minor, our_fields

from tests.contract.conftest import find_contract, parametrize

_PARTS = {"req": "request", "resp": "response", "query": "query"}
OURS = declared()
# Facts the contract's own tables contradict: the tables hold.
_NOT_IN_THE_TABLES = {(50, "resp_remove", "quota_class_set.networks"), (73, "enum_add", "sort_key")}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    path = find_contract(metafunc.config) / "compute" / "microversions.json"
    cases: list[Any] = []
    if path.is_file():
        for version in json.loads(path.read_text())["versions"]:
            number = version.get("version") or version["microversion"]
            for fact in version["facts"]:
                if _can_be_declared(minor(number, 1), fact):
                    what = " ".join(filter(None, (number, fact["kind"], str(fact["op"])[:60], fact.get("field"))))
                    cases.append(pytest.param(minor(number, 1), fact, id=what))
    parametrize(metafunc, ("version", "fact"), cases, str(path))


def _can_be_declared(version: int, fact: dict[str, Any]) -> bool:
    kind, op = fact["kind"], fact.get("op")
    if op is None or kind not in _CHECKS:
        return False
    if (version, kind, fact.get("field")) in _NOT_IN_THE_TABLES:
        return False
    return bool(list(_keys(fact))) and (kind != "status" or "from" in fact)


def test_what_a_version_changed_changes_there(version: int, fact: dict[str, Any]) -> None:
    wrong = [text for key in _keys(fact) for text in _CHECKS[fact["kind"]](key, version, fact)]

    assert wrong == []


def _keys(fact: dict[str, Any]) -> Iterator[Key]:
    """The operations a fact is of, but for those that are gone for every version."""
    for text in [fact["op"]] if isinstance(fact["op"], str) else fact["op"]:
        method, _, rest = text.partition(" ")
        path, _, action = rest.partition(" ")
        if method == "*":
            # "* /images (not /images/{id}/metadata)": all below a path, but for what is below another.
            start, without = (key_of("", one, None)[1] for one in (path, action.removeprefix("(not ").rstrip(")")))
            below = [key for key in OURS if f"{key[1]}/".startswith(f"{start}/")]
            for key in below:
                if not action or not key[1].startswith(without):
                    yield from _kept(key)
        elif path:
            yield from _kept(key_of(method, path, action or None))


def _kept(key: Key) -> Iterator[Key]:
    found = OURS.get(key)
    if not (found and all(one.is_gone for one in found)):
        yield key


def _at(key: Key, version: int) -> Any:
    return next((one for one in OURS.get(key, ()) if one.holds(version)), None)


def _comes(key: Key, version: int, fact: dict[str, Any]) -> Iterator[str]:
    if _at(key, version) is None or _at(key, version - 1) is not None:
        yield f"{key} does not begin at 2.{version}"
    elif isinstance(fact.get("status"), int) and _at(key, version).success(version) != fact["status"]:
        yield f"{key} answers {_at(key, version).success(version)}"


def _goes(key: Key, version: int, fact: dict[str, Any]) -> Iterator[str]:
    if _at(key, version) is not None or _at(key, version - 1) is None:
        yield f"{key} does not end at 2.{version - 1}"


def _status(key: Key, version: int, fact: dict[str, Any]) -> Iterator[str]:
    codes = _at(key, version - 1).success(version - 1), _at(key, version).success(version)
    if codes != (fact["from"], fact["to"]):
        yield f"{key} answers {codes}"


def _field(is_added: bool) -> Any:
    def check(key: Key, version: int, fact: dict[str, Any]) -> Iterator[str]:
        name = re.split(r"[.]", fact["field"].replace("[]", ""))[-1]
        part = _PARTS[fact["kind"].partition("_")[0]]
        before, now = (_named(key, one, part, fact["field"], name) for one in (version - 1, version))
        if _at(key, version - 1) is None and is_added:
            before = set()
        appeared, vanished = now - before, before - now
        if not (appeared if is_added else vanished):
            yield f"{key}: {fact['field']} does not {'come' if is_added else 'go'} at 2.{version}"

    return check


def _named(key: Key, version: int, part: str, field: str, name: str) -> set[str]:
    """The fields of one part of an operation that may be meant by a fact's field."""
    found = set()
    for path in our_fields(_schema(_at(key, version), part, version)):
        plain = path.replace("[]", "")
        wanted = field.replace("[]", "")
        if plain == wanted or plain.endswith(f".{wanted}") or plain.rpartition(".")[2] == name:
            found.add(plain)
    return found


def _schema(operation: Any, part: str, version: int) -> Any:
    if operation is None:
        return None
    if part == "response":
        shape = operation.answer.shape if operation.answer is not None else None
    else:
        shape = operation.body if part == "request" else operation.query
    return shape.json_schema(version) if shape is not None else None


def _enum(is_added: bool) -> Any:
    def check(key: Key, version: int, fact: dict[str, Any]) -> Iterator[str]:
        name = fact["field"].replace("[]", "").rpartition(".")[2]
        for part in ("request", "query"):
            at = [_values(_schema(_at(key, one), part, one), name) for one in (version - 1, version)]
            if at[0] or at[1]:
                before, now = at if is_added else reversed(at)
                for value in fact["values"]:
                    if value not in now or value in before:
                        yield f"{key}: {value} of {name} does not {'come' if is_added else 'go'}"

    return check


def _values(schema: Any, name: str) -> set[Any]:
    found = set()
    for path, entry in our_fields(schema).items():
        if path.replace("[]", "").rpartition(".")[2] == name:
            found |= set(entry.get("enum") or ())
    return found


_CHECKS = {
    "op_add": _comes,
    "op_remove": _goes,
    "status": _status,
    "req_add": _field(True),
    "resp_add": _field(True),
    "query_add": _field(True),
    "req_remove": _field(False),
    "resp_remove": _field(False),
    "enum_add": _enum(True),
    "enum_remove": _enum(False),
}
