"""The OpenAPI 3.1 document of one microversion, made of the same declarations that serve requests."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable
from http import HTTPStatus
from typing import Any

from nova.api.compute import faults, versions
from nova.api.compute.openapi_examples import answer_examples, request_example, value_example
from nova.api.compute.openapi_schemas import Components, pascal, portable
from nova.http.declaration import SERVER, Endpoint
from nova.http.schema import LINK, METADATA, Field, Obj
from nova.http.versions import FIRST

_FAULT = {"$ref": "#/components/schemas/Fault"}
_VERSION = {"$ref": "#/components/parameters/ApiVersion"}
_SUCCESS = {
    201: "Created.", 202: "Accepted: it is done after this answer.", 207: "Done in part; each item has its own code.",
    300: "See there.",
}  # fmt: skip
_ERRORS = {
    400: "The request is not valid.", 401: "There is no valid token.", 403: "Policy or quota forbids it.",
    404: "There is no such thing, or not at this version.", 406: "There is no such version.",
    409: "The state of the thing forbids it.", 410: "The operation is gone for every version.",
    413: "The request is too large.", 415: "The content type is not JSON.",
    429: "There are too many of them at a time.", 500: "The service failed.",
    501: "The hypervisor cannot do it.", 503: "Another service does not answer.",
}  # fmt: skip
_PARAMETER = re.compile(r"{(\w+)}")
# What the program says of its errors, where a reader of the document has the responses.
_RAISES = re.compile(r"(^|\s)Raises [^.]*(\.|$)")
_OURS = "explain and watch"
_GONE = "This operation was removed. It answers 410 at every version."
_ACTIONS = "Run the action that the body names."
_ABOUT = (
    "The header OpenStack-API-Version chooses a version; this document holds for one. In requests, a number may also "
    'be a string of digits, a boolean a word such as "True", and most words may be in small letters or in capitals.'
)
# The parameters that mean more than one value when they repeat.
_LISTS = ("/servers", "/servers/detail")
_REPEATED = frozenset({"sort_key", "sort_dir", "status", "vm_state", "task_state", "metadata"})
_EVERYWHERE = (("Link", LINK), ("Metadata", METADATA))


def document(operations: Iterable[Endpoint], version: int, base_url: str) -> dict[str, Any]:
    """Everything this version has."""
    return _Maker(tuple(operations), version).document(base_url)


def servers(base_url: str) -> list[dict[str, str]]:
    """Where the API is."""
    return [{"url": f"{base_url}/v2.1"}]


class _Maker:
    """One document while it is made."""

    def __init__(self, operations: tuple[Endpoint, ...], version: int) -> None:
        self._operations = [one for one in operations if one.is_gone or one.holds(version)]
        self._version = version
        self._components = Components()
        # Handlers that stand at two paths share their name, also where only one of the two is of this version.
        names = {(one.name, one.method, one.path) for one in operations}
        self._uses = Counter(name for name, _, _ in names)

    def document(self, base_url: str) -> dict[str, Any]:
        self._name_well_known()
        # Components are complete when the paths are.
        paths = self._paths()
        return {
            "openapi": "3.1.0",
            "info": {
                "title": "Compute API",
                "version": versions.text(self._version),
                "description": _ABOUT,
                "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
            },
            "servers": servers(base_url),
            "security": [{"token": []}],
            "paths": paths,
            "components": {
                "securitySchemes": {"token": {"type": "apiKey", "in": "header", "name": "X-Auth-Token"}},
                "responses": {_error_name(code): _error(code) for code in _ERRORS},
                "parameters": {"ApiVersion": _version_header(self._version)},
                "schemas": {**self._components.schemas, "Fault": _fault()},
            },
        }

    def _paths(self) -> dict[str, dict[str, Any]]:
        held: dict[str, dict[str, list[Endpoint]]] = {}
        for one in self._operations:
            held.setdefault(one.path, {}).setdefault(one.method, []).append(one)
        return {
            path: {method.lower(): self._operation(path, found) for method, found in by_method.items()}
            for path, by_method in held.items()
        }

    def _name_well_known(self) -> None:
        """A resource has the name of the key under which it is shown: what shows the same shares it."""
        for name, shape in _EVERYWHERE:
            self._components.add(name, portable(shape.json_schema(self._version)))
        for field in filter(None, map(_shown, self._operations)):
            schema = portable(field.shape.json_schema(self._version))
            if schema.get("properties"):
                self._components.add(pascal(field.name), schema)

    def _operation(self, path: str, found: list[Endpoint]) -> dict[str, Any]:
        """One operation or, where the body names an action, all of them."""
        first = found[0]
        identifier = self._identifier(first, found)
        described: dict[str, Any] = {
            "operationId": identifier,
            "tags": [_OURS if first.is_ours else _tag(path)],
            "summary": _summary(found),
            "description": _description(found),
            "parameters": [*_path_parameters(path), *_query_parameters(first, self._version), _VERSION],
            "responses": self._responses(identifier, found),
        }
        if all(one.is_gone for one in found):
            described["deprecated"] = True
        if first.is_open:
            described["security"] = []
        content = self._body(identifier, found)
        if content is not None:
            described["requestBody"] = {"required": True, "content": {"application/json": content}}
        return described

    def _identifier(self, first: Endpoint, found: list[Endpoint]) -> str:
        # A handler made by a function shares its name with others.
        is_shared = self._uses[first.name] > 1 or "<locals>" in first.handler.__qualname__
        if first.is_gone or len(found) > 1 or first.action is not None or is_shared:
            return f"{first.method.lower()}_{re.sub(r'[^a-zA-Z0-9]+', '_', first.path).strip('_')}"
        return first.name

    def _body(self, identifier: str, found: list[Endpoint]) -> dict[str, Any] | None:
        """Schema and examples of the request's body; None when there is none."""
        first = found[0]
        if all(one.is_gone for one in found) or first.method not in ("POST", "PUT", "PATCH"):
            return None
        if first.action is not None:
            return self._actions(found)
        if first.body is None or first.is_bodyless:
            return None
        schema = portable(first.body.json_schema(self._version))
        return {
            "schema": self._components.add(pascal(identifier, "request"), schema),
            "example": request_example(schema),
        }

    def _actions(self, found: list[Endpoint]) -> dict[str, Any]:
        references, examples = [], {}
        for one in found:
            assert one.action is not None
            shape = {} if one.body is None else portable(one.body.json_schema(self._version))
            schema = {
                "type": "object",
                "description": _text(one),
                "properties": {one.action: shape},
                "required": [one.action],
                "additionalProperties": False,
            }
            references.append(self._components.add(pascal(one.action, "action"), schema))
            examples[one.action] = {"summary": _summary([one]), "value": request_example(schema)}
        return {"schema": references[0] if len(references) == 1 else {"anyOf": references}, "examples": examples}

    def _responses(self, identifier: str, found: list[Endpoint]) -> dict[str, Any]:
        responses: dict[str, Any] = {}
        answers: dict[int, list[tuple[Endpoint, dict[str, Any]]]] = defaultdict(list)
        for one in found:
            if one.is_gone:
                continue
            shape = one.answer.shape if one.answer is not None else None
            schema = {} if shape is None else portable(shape.json_schema(self._version))
            for code in (one.success(self._version), *one.other_codes):
                answers[code].append((one, schema))
        for code, given in answers.items():
            responses[str(code)] = self._answer(identifier, _SUCCESS.get(code, "Done."), given)
        for code in sorted(_error_codes(found)):
            responses[str(code)] = {"$ref": f"#/components/responses/{_error_name(code)}"}
        return responses

    def _answer(self, identifier: str, text: str, given: list[tuple[Endpoint, dict[str, Any]]]) -> dict[str, Any]:
        """The answer with one code, which actions that have a body may share with those that have none."""
        told = [(one, schema) for one, schema in given if schema and schema != {"type": "null"}]
        if not told:
            return {"description": text}
        schemas, examples = {}, {}
        for one, schema in told:
            name = pascal(one.action or identifier, "answer")
            schemas[one.action or "answer"] = self._components.part(name, schema)
            for form, value in answer_examples(schema).items():
                examples[one.action or form] = {"value": value}
        if len(told) < len(given):
            # Generated clients would read a body where there is none.
            kinds = (f"{action} answers with {schema['$ref'].rpartition('/')[2]}" for action, schema in schemas.items())
            return {"description": f"{text} There is no body, but: {', '.join(kinds)}."}
        unique = list({str(one): one for one in schemas.values()}.values())
        content = {"schema": unique[0] if len(unique) == 1 else {"anyOf": unique}, "examples": examples}
        first = told[0][0].answer
        return {
            "description": text,
            "content": {first.content_type if first is not None else "application/json": content},
        }


def _shown(one: Endpoint) -> Field | None:
    """The only key of an answer that shows one resource."""
    shape = None if one.answer is None else one.answer.shape
    if one.method != "GET" or not one.path.endswith("}") or not isinstance(shape, Obj) or len(shape.fields) != 1:
        return None
    return shape.fields[0]


def _tag(path: str) -> str:
    parts = [part for part in path.split("/") if part and not part.startswith("{")]
    return parts[1] if len(parts) > 1 and parts[0] == "servers" and parts[1] not in ("detail", "action") else parts[0]


def _text(one: Endpoint) -> str:
    """What an operation does, as its handler says it."""
    if one.is_gone:
        return _GONE
    return _RAISES.sub("", " ".join((one.handler.__doc__ or "").split())).strip()


def _summary(found: list[Endpoint]) -> str:
    if all(one.is_gone for one in found):
        return "Removed"
    if found[0].action is not None and len(found) > 1:
        return _ACTIONS.rstrip(".")
    return _text(found[0]).partition(". ")[0].rstrip(".")


def _description(found: list[Endpoint]) -> str:
    first = found[0]
    if first.action is not None and len(found) > 1:
        return "\n".join([_ACTIONS, "", *(f"* `{one.action}`: {_text(one)} {_facts(one)}".rstrip() for one in found)])
    return f"{_text(first)}\n\n{_facts(first)}".rstrip()


def _facts(one: Endpoint) -> str:
    """The policy rule of an operation, and the versions that have it."""
    facts = []
    if one.policy is not None:
        facts.append(f"Policy rule: `{one.policy}`.")
    if one.since > FIRST:
        facts.append(f"Since {versions.text(one.since)}.")
    if one.until < versions.MAXIMUM:
        facts.append(f"Until {versions.text(one.until)}.")
    if one.is_open:
        facts.append("It needs no token.")
    return " ".join(facts)


def _path_parameters(path: str) -> list[dict[str, Any]]:
    schema = {"type": "string", "minLength": 1}
    return [
        {"name": name, "in": "path", "required": True, "schema": schema, "example": value_example(schema, name)}
        for name in _PARAMETER.findall(path)
    ]


def _query_parameters(one: Endpoint, version: int) -> list[dict[str, Any]]:
    """Each parameter once: where one may repeat without meaning anything, the last counts."""
    parameters = []
    for field in one.query.fields:
        if field.holds(version):
            schema = portable(field.shape.json_schema(version))
            if not (one.path in _LISTS and field.name in _REPEATED):
                schema = schema.get("items", {})
            parameters.append({"name": field.name, "in": "query", "required": False, "schema": schema})
    return parameters


def _version_header(version: int) -> dict[str, Any]:
    text = f"compute {versions.text(version)}"
    # A pattern and no enum: generated clients send the default, and need no type of their own for it.
    return {
        "name": "OpenStack-API-Version",
        "in": "header",
        "required": version > versions.MINIMUM,
        "description": "The version this document describes.",
        "schema": {"type": "string", "pattern": f"^compute 2[.]{version}$", "default": text},
    }


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


def _error(code: int) -> dict[str, Any]:
    example = {faults.key(code): {"code": code, "message": _ERRORS[code]}}
    return {"description": _ERRORS[code], "content": {"application/json": {"schema": _FAULT, "example": example}}}


def _error_name(code: int) -> str:
    return pascal(HTTPStatus(code).phrase)
