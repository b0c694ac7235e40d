"""Every operation, every field: what no client should send is refused, is never a defect, and changes nothing.

Requests are made from the declarations: one that is right, and from it all that are wrong in one place. Declarations
are held to the contract elsewhere (tests/contract/test_compute_declared.py), so that what they say is what is right.
"""

import itertools
import json
import re
import uuid
from collections import Counter

import pytest
from sqlalchemy import func, select

from nova.api.compute import MODULES
from nova.console.auth import ConsoleAuthService
from nova.db.models import Base
from nova.http.declaration import collect
from nova.http.schema import checker

OPERATIONS = [one for one in collect(*MODULES) if not one.is_gone and one.path != "/servers/events"]
WITH_BODY = [one for one in OPERATIONS if one.body is not None]
NEWEST = 104


def ids(operation):
    return f"{operation.method} {operation.path} {operation.action or ''}{operation.since}".strip().replace(" ", "_")


def versions(operation):
    """The first and the last version that has an operation."""
    return sorted({max(operation.since, 1), min(operation.until, NEWEST)})


# A request that is right.

_FORMATS = {
    "uuid": str(uuid.uuid4()),
    "ipv4": "10.0.0.1",
    "ipv6": "fe80::1",
    "cidr": "10.0.0.0/24",
    "date-time": "2026-01-01T00:00:00Z",
    "uri": "http://example.org/",
    "base64": "YWJj",
    "regex": "a",
    "flavor_id": "a",
}
_WORDS = ("a", "1", "ab", "abc", "/dev/vdb", "tcp", "10.0.0.1", "2", "-1", "/24", "os-start", "2026-01")


def example(schema):
    """A value that fits a schema of the kind that declarations give."""
    if "const" in schema:
        return schema["const"]
    if "enum" in schema:
        return schema["enum"][0]
    for key in ("oneOf", "anyOf"):
        if key in schema:
            return example({**{k: v for k, v in schema.items() if k != key}, **schema[key][0]})
    kinds = schema.get("type", "string")
    match kinds if isinstance(kinds, str) else kinds[0]:
        case "object":
            found = {name: example(schema["properties"][name]) for name in schema.get("required", ())}
            missing = schema.get("minProperties", 0) - len(found)
            if missing > 0 and schema.get("patternProperties"):
                return {**found, "a": example(next(iter(schema["patternProperties"].values())))}
            rest = [name for name in schema.get("properties", {}) if name not in found]
            return {**found, **{name: example(schema["properties"][name]) for name in rest[: max(missing, 0)]}}
        case "array":
            return [example(schema["items"])] * schema.get("minItems", 0)
        case "integer" | "number":
            return max(schema.get("minimum", 1), 1)
        case "boolean":
            return True
        case "null":
            return None
        case _:
            if schema.get("format") in _FORMATS:
                return _FORMATS[schema["format"]]
            pattern = re.compile(schema.get("pattern", ""))
            least, most = schema.get("minLength", 0), schema.get("maxLength", 1 << 20)
            if most == 0:
                return ""
            return next(word for word in _WORDS if pattern.search(word) and least <= len(word) <= most)


# What is wrong with it.

_KINDS = {
    "null": [None],
    "boolean": [True],
    "integer": [7, -1, 0, 1 << 31, 1 << 63, 1 << 64, -(1 << 63)],
    "number": [1.5],
    "string": ["", " ", "x", "-1", "1" * 41, "\U0001f600", "\U0001f600" * 300, "a" * 70000, "' OR 1=1 --", "../../etc"],
    "array": [[], [[]], [None], ["x"] * 2000],
    "object": [{}, {"": ""}, {"\U0001f600": {"a": []}}],
}


def kinds_of(schema):
    """The JSON types that a schema lets through, as far as it says so."""
    for key in ("oneOf", "anyOf"):
        if key in schema:
            return set().union(*(kinds_of({"type": schema.get("type"), **one}) for one in schema[key]))
    if "const" in schema or "enum" in schema:
        return {_kind(one) for one in schema.get("enum", [schema.get("const")])}
    kinds = schema.get("type") or list(_KINDS)
    return set(kinds) if isinstance(kinds, list) else {kinds}


def _kind(value):
    names = {bool: "boolean", int: "integer", float: "number", str: "string", list: "array", dict: "object"}
    return "null" if value is None else names[type(value)]


def faults(schema):
    """Values in the place of one with this schema, and whether they are certainly wrong."""
    allowed = kinds_of(schema)
    for kind, values in _KINDS.items():
        is_wrong = kind not in allowed and not (kind == "integer" and "number" in allowed)
        yield from ((value, is_wrong) for value in values)
    if "string" in allowed and "maxLength" in schema:
        yield "a" * (schema["maxLength"] + 1), True
    if "minimum" in schema:
        yield schema["minimum"] - 1, True
    if "maximum" in schema:
        yield schema["maximum"] * 10 + 1, True
        if "string" in allowed:
            yield str(schema["maximum"] + 1), True
    if "array" in allowed and "maxItems" in schema:
        yield [example(schema["items"])] * (schema["maxItems"] + 1), True


def wrong_bodies(schema, whole):
    """(where, body, whether it is certainly wrong) for every field of a schema, one fault at a time."""
    yield from (("", value, is_wrong) for value, is_wrong in faults(schema))
    if "object" not in kinds_of(schema) or "properties" not in schema:
        return
    base = whole if isinstance(whole, dict) else {}
    if schema.get("additionalProperties") is False and "patternProperties" not in schema:
        yield "unknown", {**base, "no such key": 1}, True
    for name in schema.get("required", ()):
        yield f"without {name}", {key: value for key, value in base.items() if key != name}, True
    for name, inner in schema["properties"].items():
        shape = inner.get("oneOf", [inner])[0]
        at = base[name] if name in base else example(inner)
        for where, value, is_wrong in wrong_bodies(inner, at):
            yield f"{name}/{where}", {**base, name: value}, is_wrong
        if "array" in kinds_of(shape) and "items" in shape:
            for where, value, is_wrong in wrong_bodies(shape["items"], example(shape["items"])):
                yield f"{name}[]/{where}", {**base, name: [value]}, is_wrong


NOTHING = object()


class Asker:
    """Sends requests of one operation, each about things that are not there."""

    def __init__(self, cloud):
        self.cloud = cloud
        self.server_id = cloud.client("admin", "project").create_server()["id"]

    def ask(self, operation, version, body=NOTHING, raw=None, query="", headers=None, path=None):
        client = self.cloud.client("admin", "project", f"2.{version}")
        path = path or re.sub(r"{\w+}", lambda _: str(uuid.uuid4()), operation.path)
        wanted = {"Content-Type": "application/json", **client.headers, **(headers or {})}
        data = raw if body is NOTHING else json.dumps(wrapped(operation, body)).encode()
        return self.cloud.transport.request(
            operation.method, f"http://compute/v2.1{path}{query}", data=data, headers=wanted
        )

    def rows(self):
        """How much there is of everything but the log."""
        with self.cloud.db.engine.connect() as connection:
            return Counter(
                {
                    table.name: connection.execute(select(func.count()).select_from(table)).scalar()
                    for table in Base.metadata.sorted_tables
                }
            )


def wrapped(operation, value):
    return value if operation.action is None else {operation.action: value}


@pytest.fixture(scope="module")
def asker(make_module_cloud):
    cloud = make_module_cloud("[quota]\ncores = -1\n")
    cloud.add_host()
    consoleauth = ConsoleAuthService(cloud.conf, cloud.bus, cloud.conductor_calls)
    consoleauth.start()
    yield Asker(cloud)
    consoleauth.stop()


def is_refusal(answer):
    """Whether an answer is one in the API's own envelope."""
    if answer.status_code not in (400, 403, 404, 405, 409, 413, 415):
        return False
    if not answer.headers["Content-Type"].startswith("application/json"):
        return answer.status_code == 404
    [content] = answer.json().values()
    return content["code"] == answer.status_code and len(content["message"]) < 2000


@pytest.mark.parametrize("operation", WITH_BODY, ids=ids)
def test_a_body_with_one_wrong_field_is_refused(asker, operation):
    for version in versions(operation):
        schema = operation.body.json_schema(version)
        right = example(schema)
        checker(operation.body, version)(right)
        bodies = list(wrong_bodies(schema, right))
        rows = asker.rows()

        for where, body in ((where, body) for where, body, is_wrong in bodies if is_wrong):
            answer = asker.ask(operation, version, body)

            said = f"2.{version} {where} {json.dumps(body)[:200]}: {answer.status_code} {answer.text[:300]}"
            is_huge = len(answer.request.body) > asker.cloud.conf.api.max_body_size
            assert answer.status_code == (413 if is_huge else 400), said
            assert is_refusal(answer), said

        assert asker.rows() == rows
        for where, body in ((where, body) for where, body, is_wrong in bodies if not is_wrong):
            answer = asker.ask(operation, version, body)

            said = f"2.{version} {where} {json.dumps(body)[:200]}: {answer.status_code} {answer.text[:300]}"
            assert answer.status_code in (*range(200, 300), 501) or is_refusal(answer), said


RAW = {
    "no JSON": (b'{"a": ', 400),
    "two documents": (b"{} {}", 400),
    "deep nesting": (b'{"a": ' + b"[" * 1000 + b"]" * 1000 + b"}", 400),
    "deeper nesting": (b"[" * 100_000, 400),
    "a number without end": (b'{"a": 1e400}', 400),
    "a number of many digits": (b'{"a": ' + b"9" * 5000 + b"}", 400),
    "not a number": (b'{"a": NaN}', 400),
    "a NUL": (b'{"a": "\\u0000"}', 400),
    "half a character": (b'{"a": "\\ud800"}', 400),
    "no UTF-8": (b'{"a": "\xff"}', 400),
    "another character set": ('{"a": "b"}'.encode("utf-16"), 400),
    "ten megabytes": (b'{"a": "' + b"a" * (10 << 20) + b'"}', 413),
}


@pytest.mark.parametrize("operation", WITH_BODY, ids=ids)
def test_a_body_that_is_none_is_refused(asker, operation):
    rows = asker.rows()

    for name, (raw, status) in RAW.items():
        answer = asker.ask(operation, versions(operation)[-1], raw=raw)

        assert answer.status_code == status, f"{name}: {answer.text[:300]}"
        assert is_refusal(answer), name

    assert asker.rows() == rows


@pytest.mark.parametrize("operation", WITH_BODY, ids=ids)
def test_a_body_of_another_type_is_refused(asker, operation):
    version = versions(operation)[-1]
    body = json.dumps(wrapped(operation, example(operation.body.json_schema(version)))).encode()

    for kind in ("application/xml", "application/x-www-form-urlencoded", "multipart/form-data", "nonsense"):
        answer = asker.ask(operation, version, raw=body, headers={"Content-Type": kind})

        assert answer.status_code == 415, f"{kind}: {answer.text[:300]}"


QUERIES = (
    "x",
    "",
    "-1",
    "0",
    "9" * 40,
    "%00",
    "%ff",
    "\U0001f600",
    "a" * 5000,
    "(",
    "%",
    "[]",
    "null",
    "1e400",
    "\u00b2",
)


@pytest.mark.parametrize("operation", OPERATIONS, ids=ids)
def test_a_strange_query_is_no_defect(asker, operation):
    for version in versions(operation):
        body = NOTHING if operation.body is None else example(operation.body.json_schema(version))
        if body is not NOTHING and operation.method != "GET":
            # It would be done.
            body = {"no such key": None}
        names = [one.name for one in operation.query.fields if one.holds(version)]
        for name in (*names, "no such parameter", "\U0001f600"):
            for value in QUERIES:
                answer = asker.ask(operation, version, body, query=f"?{name}={value}")

                said = f"2.{version} {name}={value[:50]}: {answer.status_code} {answer.text[:300]}"
                assert answer.status_code < 500 or answer.status_code == 501, said
                is_closed = operation.query.json_schema(version)["additionalProperties"] is False
                if operation.method == "GET" and name not in names and is_closed and not operation.query.patterns:
                    assert answer.status_code == 400, said


IDS = (
    "x",
    "-1",
    "0",
    "9" * 40,
    "%00",
    "%ff",
    "%F0%9F%98%80",
    "a" * 300,
    "..%2f..",
    "%20",
    "a%0Ab",
    "'",
    "None",
    "detail",
    "%C2%B2",
)


@pytest.mark.parametrize("operation", [one for one in OPERATIONS if "{" in one.path], ids=ids)
def test_a_malformed_id_is_of_nothing(asker, operation):
    parameters = re.findall(r"{\w+}", operation.path)
    for version, place, wrong in itertools.product(versions(operation), range(len(parameters)), IDS):
        body = NOTHING if operation.body is None else example(operation.body.json_schema(version))
        path = operation.path
        for index, parameter in enumerate(parameters):
            known = asker.server_id if parameter == "{server_id}" else str(uuid.uuid4())
            path = path.replace(parameter, wrong if index == place else known)

        answer = asker.ask(operation, version, body, path=path)

        assert answer.status_code < 500 or answer.status_code == 501, f"{path}: {answer.text[:300]}"


@pytest.mark.parametrize("operation", [one for one in OPERATIONS if "{server_id}" in one.path], ids=ids)
def test_another_projects_server_is_like_none_at_all(asker, operation):
    version = versions(operation)[-1]
    body = NOTHING if operation.body is None else example(operation.body.json_schema(version))
    stranger = {"X-Auth-Token": "stranger:elsewhere"}
    nobody = str(uuid.uuid4())

    def answer(server_id):
        path = re.sub(r"{\w+}", nobody, operation.path.replace("{server_id}", server_id))
        found = asker.ask(operation, version, body, path=path, headers=stranger)
        return found.status_code, found.text.replace(server_id, "ID")

    of_another, of_none = answer(asker.server_id), answer(nobody)

    assert of_another == of_none
    assert of_another[0] == 404


@pytest.mark.parametrize("operation", [one for one in OPERATIONS if not one.is_open], ids=ids)
def test_nobody_gets_anything_without_a_token(asker, operation):
    path = re.sub(r"{\w+}", "x", operation.path)

    answer = asker.cloud.transport.request(operation.method, f"http://compute/v2.1{path}", data=b"{")

    assert answer.status_code == 401
    message = "The request you have made requires authentication."
    assert answer.json() == {"unauthorized": {"code": 401, "message": message}}
    assert "WWW-Authenticate" in answer.headers


VERSIONS = {"2.0": 406, "2.105": 406, "3.0": 406, "0.1": 400, "2": 400, "x": 400, "2.1.1": 400, "-2.1": 400,
            "2.9999999999999999999999": 406, "\uff12.\uff11": 400, "latest ": 200, "2.01": 400}  # fmt: skip


@pytest.mark.parametrize("operation", OPERATIONS[:1], ids=ids)
@pytest.mark.parametrize("version", VERSIONS)
def test_a_version_that_is_none_is_refused_before_anything_else(asker, operation, version):
    answer = asker.ask(operation, 1, headers={"OpenStack-API-Version": f"compute {version}".encode()})

    assert answer.status_code == VERSIONS[version], answer.text
