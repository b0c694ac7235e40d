"""Placement against the contract's tables: each operation in each version, each field of each body and query."""

import json
import re
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from nova.placement.api import schemas
from nova.placement.api.operations import TABLE, find
from nova.placement.api.schemas import Body
from nova.placement.api.service import HANDLERS
from nova.placement.api.wsgi import MAX_MINOR, HttpError, Request
from tests.contract.conftest import find_contract

# Importing them is what fills the table of operations.
assert HANDLERS
# Queries are read by their handlers; these are the tables they are checked with.
QUERIES = {
    "/resource_providers": schemas.LIST_PROVIDERS,
    "/traits": schemas.LIST_TRAITS,
    "/usages": schemas.SUM_USAGES,
    "/allocation_candidates": schemas.CANDIDATES,
}
# What the tables say of a field beyond its type.
FACETS = ("minimum", "maximum", "minLength", "maxLength", "pattern", "format", "minItems", "minProperties", "enum")


def load(contract: Path, name: str) -> list[dict[str, Any]]:
    path = contract / "placement" / name
    return json.loads(path.read_text())["operations"] if path.is_file() else []


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    contract = find_contract(metafunc.config)
    for argument, table in (("operation", "operations.json"), ("fields", "fields.json")):
        if argument in metafunc.fixturenames:
            rows = load(contract, table)
            cases = [pytest.param(row, id=f"{row['method']} {row['path']} {row['min_version']}") for row in rows]
            skipped = pytest.param(None, marks=pytest.mark.skip(reason=f"no {table} in {contract}"))
            metafunc.parametrize(argument, cases or [skipped])


def minor(version: str | None, default: int) -> int:
    return default if version is None else int(version.partition(".")[2])


def routed_status(method: str, path: str, number: int) -> int | None:
    """The status with which routing refuses a request; None when it reaches a handler."""
    try:
        find(Request({"REQUEST_METHOD": method}, path, number))
    except HttpError as error:
        return error.status
    return None


def test_operation_exists_in_exactly_its_versions(operation: dict[str, Any], pytestconfig: pytest.Config) -> None:
    path = re.sub(r"\{.*?\}", str(uuid.uuid4()), operation["path"])
    method = operation["method"]
    ranges = [
        (minor(other["min_version"], 0), minor(other["max_version"], MAX_MINOR))
        for other in load(find_contract(pytestconfig), "operations.json")
        if (other["method"], other["path"]) == (method, operation["path"])
    ]
    since = min(first for first, _ in ranges)

    for number in range(MAX_MINOR + 1):
        if any(first <= number <= last for first, last in ranges):
            assert routed_status(method, path, number) is None, f"1.{number}"
        elif number < since:
            assert routed_status(method, path, number) == operation["status_below_min_version"], f"1.{number}"


def test_nothing_is_served_that_the_tables_do_not_know(pytestconfig: pytest.Config) -> None:
    rows = load(find_contract(pytestconfig), "operations.json")
    if not rows:
        pytest.skip("no operations.json")
    known = {(row["method"], re.sub(r"\{.*?\}", "{}", row["path"])) for row in rows}
    served = {
        (method, "/" + "/".join("{}" if part is None else part for part in key))
        for key, methods in TABLE.items()
        for method in methods
    }

    assert served - known == {("GET", "/allocation_candidates/explain")}
    assert known <= served


def test_fields_are_those_of_the_tables_in_every_version(fields: dict[str, Any]) -> None:
    body, rows = _body(fields), fields.get("request") or fields["query"]

    for number in range(minor(fields["min_version"], 0), minor(fields.get("max_version"), MAX_MINOR) + 1):
        expected = {row["field"]: row for row in rows if _applies(row, number)}
        found = dict(_flatten(body.at(number).schema))
        assert set(found) - {"$"} == set(expected) - {"$"}, f"1.{number}"
        for name in expected.keys() - {"$"}:
            is_required, schema = found[name]
            assert is_required == expected[name].get("required", False), f"{name} at 1.{number}"
            for facet in FACETS:
                if facet in expected[name]:
                    assert _same(facet, schema.get(facet), expected[name][facet]), f"{facet} of {name} at 1.{number}"
        if expected["$"].get("extra") is False:
            assert found["$"][1]["additionalProperties"] is False


def _body(fields: dict[str, Any]) -> Body:
    if "query" in fields:
        return QUERIES[fields["path"]]
    key = tuple(None if part.startswith("{") else part for part in fields["path"].split("/")[1:])
    operations = TABLE[key][fields["method"]]
    body = next(declared.body for declared in operations if declared.since <= minor(fields["min_version"], 0))
    assert body is not None
    return body


def _applies(row: dict[str, Any], number: int) -> bool:
    return minor(row.get("min_version"), 0) <= number <= minor(row.get("max_version"), MAX_MINOR)


def _same(facet: str, ours: Any, theirs: Any) -> bool:
    # One pattern of the tables forgets an end; ours does not.
    if facet == "pattern" and ours and theirs:
        return ours.replace("$", "") == theirs.replace("$", "")
    return ours == theirs or (theirs == 0 and ours is None)


def _flatten(schema: dict[str, Any], path: str = "", is_required: bool = False) -> Iterator[tuple[str, Any]]:
    """Each field of a schema in the tables' notation, with whether it is required and its own schema."""
    yield path or "$", (is_required, schema)
    dot = f"{path}." if path else ""
    required = schema.get("required", ())
    for name, value in schema.get("properties", {}).items():
        yield from _flatten(value, dot + name, name in required)
    for pattern, value in schema.get("patternProperties", {}).items():
        yield from _flatten(value, f"{dot}{{{pattern}}}")
    if "items" in schema:
        yield from _flatten(schema["items"], f"{path}[]")
