"""What the Compute API declares is what the contract's tables say, in both directions and at every version."""

import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from compute_declared import (
    Key,
    Tables,
    declared,
    differences,
    ends,
    holds,
    key_of,
    limit_differences,
    our_fields,
    their_fields,
    versions_of_interest,
)
from conftest import find_contract, parametrize

# Where we differ knowingly, and why.
_CELLS = "told only of servers in a cell that cannot be reached, and there are no cells"
_POSITION = "required of the third link alone"
_ONE_ACTION = "a body with more than one key names no action"
KNOWN = {
    "POST /servers/{}/action addSecurityGroup: request: $ does not let unknown keys through": _ONE_ACTION,
    "POST /servers/{}/action removeSecurityGroup: request: $ does not let unknown keys through": _ONE_ACTION,
    "GET /servers: response: missing servers[].status": _CELLS,
    "GET /images: response: images[].links[].type is not required here": _POSITION,
    "GET /images/detail: response: images[].links[].type is not required here": _POSITION,
    "GET /images/{}: response: image.links[].type is not required here": _POSITION,
    "GET /os-hypervisors/detail: response: missing hypervisors[].disk_available_least": "removed in 2.88 by its facts",
    "GET /os-hypervisors/{}: response: missing hypervisor.disk_available_least": "removed in 2.88 by its facts",
}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "operation" not in metafunc.fixturenames:
        return
    contract = find_contract(metafunc.config)
    cases: list[Any] = []
    if (contract / "compute" / "operations.json").is_file():
        tables = Tables(contract)
        by_key: dict[Key, list[dict[str, Any]]] = {}
        for row in tables.operations:
            key = key_of(row["method"], row["path"], row.get("action"))
            if row["path"] not in ("/", "/{api_version}/"):
                by_key.setdefault(key, []).append(row)
        cases = [
            pytest.param(key, rows, tables.fields.get(key), id=" ".join(filter(None, key)))
            for key, rows in sorted(by_key.items(), key=str)
        ]
    parametrize(metafunc, ("operation", "rows", "fields"), cases, f"tables under {contract}/compute")


@pytest.fixture(scope="module")
def ours() -> dict[Key, list[Any]]:
    return declared()


def test_is_there_at_its_versions_with_its_fields(
    operation: Key, rows: list[dict[str, Any]], fields: dict[str, Any] | None, ours: dict[Key, list[Any]]
) -> None:
    found = ours.get(operation)

    assert found, "the operation is not declared"
    if rows[0].get("always_410"):
        assert all(one.is_gone for one in found)
        return
    complaints = []
    for version in versions_of_interest(fields, found):
        complaints += [f"2.{version}: {text}" for text in _complaints(operation, rows, fields, found, version)]
    assert complaints == []


def test_answers_with_its_codes(
    operation: Key, rows: list[dict[str, Any]], fields: Any, ours: dict[Key, list[Any]]
) -> None:
    found = ours.get(operation)

    assert found, "the operation is not declared"
    if rows[0].get("always_410"):
        return
    allowed = {code for row in rows for code in row["error_codes"]}
    for row in rows:
        for entry in row.get("handler_error_codes") or ():
            allowed |= set(entry.get("codes") or ())
    for one in found:
        named = {code for row in rows for code in row["normal_codes"]}
        named |= {entry["code"] for row in rows for entry in row.get("handler_codes") or () if "code" in entry}
        for version in ends(one):
            assert one.success(version) in named
        # Whoever reads a body or a query may find it wrong; whoever asks others may find them down.
        assert set(one.errors) <= allowed | {400, 401, 403, 503}, f"never documented: {set(one.errors) - allowed}"


def _complaints(
    operation: Key, rows: list[dict[str, Any]], fields: dict[str, Any] | None, found: list[Any], version: int
) -> list[str]:
    mine = [one for one in found if one.holds(version)]
    if bool(mine) != any(holds(row, version) for row in rows):
        return [f"{'is' if mine else 'is not'} here"]
    if not mine or fields is None:
        return []
    name = f"{operation[0]} {operation[1]}" + (f" {operation[2]}" if operation[2] else "")
    said = []
    for part, schema in _schemas(mine[0], version).items():
        theirs = their_fields(fields.get(part) or [], version)
        if part == "query" and not theirs:
            continue
        if part == "request" and (not theirs or (set(theirs) == {"$"} and not theirs["$"]["types"])):
            continue
        table = our_fields(schema)
        texts = list(differences(table, theirs, part == "response"))
        if part != "response":
            texts += limit_differences(table, theirs)
        said += [f"{name}: {part}: {text}" for text in texts]
    return [text for text in said if text not in KNOWN]


def _schemas(one: Any, version: int) -> dict[str, dict[str, Any] | None]:
    body = one.body.json_schema(version) if one.body is not None else None
    if body is not None and one.action is not None:
        body = {
            "type": "object",
            "properties": {one.action: body},
            "required": [one.action],
            "additionalProperties": False,
        }
    answer = one.answer.shape.json_schema(version) if one.answer is not None and one.answer.shape is not None else None
    return {"query": one.query.json_schema(version), "request": body, "response": answer}
