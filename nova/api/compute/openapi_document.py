"""The OpenAPI 3.1 document of one microversion, made of the same declarations that serve requests."""

import re
from collections.abc import Iterable
from typing import Any

from nova.api.compute import versions
from nova.http.declaration import SERVER, Endpoint
from nova.http.schema import Arr

_FAULT = {"$ref": "#/components/schemas/Fault"}
_ERRORS = {
    400: "The request is not valid.", 401: "There is no valid token.", 403: "Policy or quota forbids it.",
    404: "There is no such thing, or not at this version.", 406: "There is no such version.",
    409: "The state of the thing forbids it.", 410: "The operation is gone for every version.",
    413: "The request is too large.", 415: "The content type is not JSON.", 501: "The hypervisor cannot do it.",
    503: "Another service does not answer.",
}  # fmt: skip
_PARAMETER = re.compile(r"{(\w+)}")
_OURS = "explain and watch"


def document(operations: Iterable[Endpoint], version: int, base_url: str) -> dict[str, Any]:
    """Everything this version has."""
    held: dict[str, dict[str, list[Endpoint]]] = {}
    for one in operations:
        if one.is_gone or one.holds(version):
            held.setdefault(one.path, {}).setdefault(one.method, []).append(one)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Compute API",
            "version": versions.text(version),
            "description": "Choose a version by the header OpenStack-API-Version: compute X.Y.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": f"{base_url}/v2.1"}],
        "security": [{"token": []}],
        "paths": {
            path: {method.lower(): _operation(path, found, version) for method, found in by_method.items()}
            for path, by_method in held.items()
        },
        "components": {
            "securitySchemes": {"token": {"type": "apiKey", "in": "header", "name": "X-Auth-Token"}},
            "schemas": {"Fault": _fault()},
        },
    }


def _operation(path: str, found: list[Endpoint], version: int) -> dict[str, Any]:
    """One operation or, where the body names an action, all of them."""
    first = found[0]
    described: dict[str, Any] = {
        "operationId": _identifier(first, found),
        "tags": [_OURS if first.is_ours else _tag(path)],
        "parameters": [*_path_parameters(path), *_query_parameters(first, version), _version_header(version)],
        "responses": _responses(found, version),
    }
    summary = _summary(first) if len(found) == 1 else "Run the action the body names."
    if summary:
        described["summary"] = summary
    if first.is_gone and all(one.is_gone for one in found):
        described["deprecated"] = True
    body = _body(found, version)
    if body is not None:
        described["requestBody"] = {"required": True, "content": {"application/json": {"schema": body}}}
    return described


def _identifier(first: Endpoint, found: list[Endpoint]) -> str:
    # A handler made by a function shares its name with others.
    if first.is_gone or len(found) > 1 or first.action is not None or "<locals>" in first.handler.__qualname__:
        return f"{first.method.lower()}_{re.sub(r'[^a-zA-Z0-9]+', '_', first.path).strip('_')}"
    return first.name


def _tag(path: str) -> str:
    parts = [part for part in path.split("/") if part and not part.startswith("{")]
    return parts[1] if len(parts) > 1 and parts[0] == "servers" and parts[1] not in ("detail", "action") else parts[0]


def _summary(one: Endpoint) -> str:
    text = (one.handler.__doc__ or "").strip().partition("\n")[0]
    return "" if one.is_gone else text


def _path_parameters(path: str) -> list[dict[str, Any]]:
    return [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}
        for name in _PARAMETER.findall(path)
    ]


def _query_parameters(one: Endpoint, version: int) -> list[dict[str, Any]]:
    parameters = []
    for field in one.query.fields:
        if not field.holds(version):
            continue
        shape = field.shape
        schema = shape.json_schema(version) if isinstance(shape, Arr) else {"type": "array", "items": {}}
        parameters.append({"name": field.name, "in": "query", "required": False, "schema": schema})
    return parameters


def _version_header(version: int) -> dict[str, Any]:
    schema = {"type": "string", "const": f"compute {versions.text(version)}"}
    return {"name": "OpenStack-API-Version", "in": "header", "required": version > versions.MINIMUM, "schema": schema}


def _body(found: list[Endpoint], version: int) -> dict[str, Any] | None:
    if all(one.is_gone for one in found) or found[0].method not in ("POST", "PUT", "PATCH"):
        return None
    if found[0].action is None:
        shape = found[0].body
        return None if shape is None or found[0].is_bodyless else shape.json_schema(version)
    alternatives = [
        {
            "type": "object",
            "title": one.action,
            "properties": {one.action: {} if one.body is None else one.body.json_schema(version)},
            "required": [one.action],
            "additionalProperties": False,
        }
        for one in found
    ]
    return alternatives[0] if len(alternatives) == 1 else {"oneOf": alternatives}


def _responses(found: list[Endpoint], version: int) -> dict[str, Any]:
    responses: dict[str, Any] = {}
    answers: dict[int, list[dict[str, Any]]] = {}
    for one in found:
        if one.is_gone:
            continue
        shape = one.answer.shape if one.answer is not None else None
        for code in (one.success(version), *one.other_codes):
            answers.setdefault(code, []).append({} if shape is None else shape.json_schema(version))
    for code, schemas in answers.items():
        told = [schema for schema in schemas if schema and schema != {"type": "null"}]
        responses[str(code)] = {"description": "Done." if code < 300 else "See there."}
        if told:
            schema = told[0] if len(told) == len(schemas) == 1 else {"anyOf": told} if len(told) > 1 else told[0]
            responses[str(code)]["content"] = {"application/json": {"schema": schema}}
    for code in sorted(_error_codes(found)):
        responses[str(code)] = {
            "description": _ERRORS.get(code, "An error."),
            "content": {"application/json": {"schema": _FAULT}},
        }
    return responses


def _error_codes(found: list[Endpoint]) -> set[int]:
    """The codes an operation names, and those that any request can meet."""
    codes = {400, 401, 403, 406, 503}
    for one in found:
        codes |= set(one.errors)
        if one.is_gone:
            codes.add(410)
        if one.target == SERVER or "{" in one.path:
            codes.add(404)
        if one.method in ("POST", "PUT", "PATCH"):
            codes |= {413, 415}
    return codes


def _fault() -> dict[str, Any]:
    inner = {
        "type": "object",
        "properties": {"code": {"type": "integer"}, "message": {"type": "string"}, "retryAfter": {"type": "string"}},
        "required": ["code", "message"],
    }
    return {"type": "object", "minProperties": 1, "maxProperties": 1, "additionalProperties": inner}
