"""The OpenAPI document: valid at every version, and something for its reader in every operation."""

import json
import re
from collections import Counter

import jsonschema_rs
import pytest
from openapi_spec_validator import validate

from nova.api.compute import MODULES, openapi_document, versions
from nova.http.declaration import collect
from nova.http.schema import Plain, checker

_OPERATIONS = tuple(collect(*MODULES))
_VERSIONS = range(versions.MINIMUM, versions.MAXIMUM + 1)


def _document(version):
    return json.loads(json.dumps(openapi_document.document(_OPERATIONS, version, "http://compute")))


def _operations(document):
    return {f"{method} {path}": one for path, item in document["paths"].items() for method, one in item.items()}


def _references(part):
    return set(re.findall(r'"#/components/schemas/(\w+)"', json.dumps(part)))


def _closure(document, part):
    """The named schemas that a part of the document needs."""
    needed, new = set(), _references(part)
    while new:
        needed |= new
        new = {name for one in new for name in _references(document["components"]["schemas"][one])} - needed
    return {name: document["components"]["schemas"][name] for name in sorted(needed)}


def test_the_document_of_every_version_is_valid_and_its_ids_are_unique():
    # A path that is as it was in an earlier version was validated with that.
    seen = set()
    for version in _VERSIONS:
        document = _document(version)
        ids = Counter(one["operationId"] for one in _operations(document).values())
        assert [name for name, times in ids.items() if times > 1] == [], f"2.{version}"
        schemas, paths = {"Fault": document["components"]["schemas"]["Fault"]}, {}
        for path, item in document["paths"].items():
            needed = _closure(document, item)
            text = json.dumps([path, item, needed])
            if text not in seen:
                seen.add(text)
                paths[path] = item
                schemas |= needed
        document["components"]["schemas"] = schemas
        document["paths"] = paths
        validate(document)


@pytest.mark.parametrize("version", [versions.MINIMUM, versions.MAXIMUM])
def test_the_whole_document_is_valid(version):
    validate(_document(version))


@pytest.mark.parametrize("version", [1, 35, 104])
def test_every_operation_says_what_it_does(version):
    for name, one in _operations(_document(version)).items():
        assert re.fullmatch(r"[A-Z].*[^.]", one["summary"]), name
        assert len(one["description"]) > len(one["summary"]) or one.get("deprecated"), name
        assert "Raises" not in one["description"], name


@pytest.mark.parametrize("version", [1, 35, 104])
def test_every_operation_has_an_example(version):
    document = _document(version)
    for name, one in _operations(document).items():
        bodies = [one.get("requestBody", {}), *one["responses"].values()]
        given = [content for body in bodies for content in body.get("content", {}).values()]
        # What has neither body nor answer shows what stands in its path.
        assert all("example" in content or "examples" in content for content in given), name
        in_path = [parameter for parameter in one["parameters"] if parameter.get("in") == "path"]
        assert all("example" in parameter for parameter in in_path), name
        assert given or in_path or one.get("deprecated"), name


def _examples(content):
    return [content["example"]] if "example" in content else [one["value"] for one in content["examples"].values()]


@pytest.mark.parametrize("version", [1, 35, 104])
def test_examples_are_what_their_schema_says(version):
    document = _document(version)
    wrong = []
    for name, one in _operations(document).items():
        for body in (one.get("requestBody", {}), *one["responses"].values()):
            for content in body.get("content", {}).values():
                schema = {**content["schema"], "components": {"schemas": _closure(document, content["schema"])}}
                validator = jsonschema_rs.Draft202012Validator(schema, validate_formats=False)
                wrong += [(name, value) for value in _examples(content) if not validator.is_valid(value)]

    assert wrong == []


@pytest.mark.parametrize("version", [1, 35, 104])
def test_examples_are_accepted_by_what_checks_requests(version):
    document = _document(version)
    refused = []
    for one in _OPERATIONS:
        described = _operations(document).get(f"{one.method.lower()} {one.path}", {})
        if one.body is None or not one.holds(version) or "requestBody" not in described:
            continue
        content = described["requestBody"]["content"]["application/json"]
        value = content["example"] if one.action is None else content["examples"][one.action]["value"][one.action]
        if not checker(one.body, version).validator.is_valid(value):
            refused.append((one.name, value))

    assert refused == []


def test_what_is_shown_has_the_name_of_its_kind():
    schemas = _document(104)["components"]["schemas"]

    assert {"Server", "Flavor", "Keypair", "Aggregate", "Metadata", "Link", "Fault"} <= set(schemas)
    assert schemas["ServersShowAnswer"]["properties"] == {"server": {"$ref": "#/components/schemas/Server"}}


def test_the_document_alone_needs_no_token():
    described = _operations(_document(104))

    assert [name for name, one in described.items() if one.get("security") == []] == ["get /openapi.json"]


def test_the_stream_of_events_is_one():
    answer = _document(104)["paths"]["/servers/events"]["get"]["responses"]["200"]

    assert list(answer["content"]) == ["text/event-stream"]


def test_a_word_that_may_be_written_in_several_ways_is_named_once():
    schemas = _document(104)["components"]["schemas"]

    assert schemas["RebootActionReboot"]["properties"]["type"]["enum"] == ["HARD", "SOFT"]
    assert schemas["ServersCreateRequestServer"]["properties"]["config_drive"] == {"type": "boolean"}
    assert Plain(schemas["Metadata"]).schema["additionalProperties"] == {"type": "string", "maxLength": 255}
