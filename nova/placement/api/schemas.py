"""What bodies and queries must look like, by version. Checked before anything else is touched.

A schema is checked by jsonschema_rs, in microseconds; when that says no, jsonschema is asked for
the reason, because its words are the ones clients of this API know.
Source: Placement API reference, request parameters of each operation.
"""

import functools
import re
import uuid
from typing import Any

import jsonschema
import jsonschema_rs

from nova.placement.errors import BadRequest

# An error that quotes a megabyte of the request back helps nobody.
_MOST_WORDS = 2000


_NORMAL_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


def normal_uuid(value: str) -> str | None:
    """A UUID in lower case with dashes; None for what is no UUID."""
    if _NORMAL_UUID.fullmatch(value):
        return value
    return str(uuid.UUID(value)) if is_uuid(value) else None


def is_uuid(value: object) -> bool:
    """Whether value is a UUID, with or without dashes and in any case."""
    if not isinstance(value, str) or _NORMAL_UUID.fullmatch(value):
        return True
    try:
        return str(uuid.UUID(value)).replace("-", "") == value.replace("-", "").lower()
    except ValueError:
        return False


_FORMATS = jsonschema.FormatChecker(formats=())
_FORMATS.checks("uuid")(is_uuid)


class Checker:
    """One schema, compiled on first use."""

    def __init__(self, schema: dict[str, Any]) -> None:
        self.schema = schema

    @functools.cached_property
    def _fast(self) -> Any:
        return jsonschema_rs.Draft4Validator(self.schema, validate_formats=True, formats={"uuid": is_uuid})

    @functools.cached_property
    def _wordy(self) -> Any:
        return jsonschema.Draft4Validator(self.schema, format_checker=_FORMATS)

    def check(self, value: Any, what: str) -> None:
        """Raise BadRequest with the reason when value does not fit."""
        if self._fast.is_valid(value):
            return
        error = jsonschema.exceptions.best_match(self._wordy.iter_errors(value))
        if error is None:
            # The two disagree: the stricter one decides.
            raise BadRequest(f"{what}: the value does not fit the schema")
        place = "".join(f"[{part!r}]" for part in list(error.relative_schema_path)[:-1])
        instance = "".join(f"[{part!r}]" for part in error.relative_path)
        raise BadRequest(
            f"{what}: {error.message[:_MOST_WORDS]}\n\nFailed validating {error.validator!r} in schema{place}"
            f"\n\nOn instance{instance}:\n    {str(error.instance)[:_MOST_WORDS]}"
        )


class Body:
    """The body of one operation over the versions: (first minor version, schema), oldest first."""

    def __init__(self, *versions: tuple[int, dict[str, Any]]) -> None:
        self._versions = [(since, Checker(schema)) for since, schema in reversed(versions)]

    def check(self, value: Any, minor: int, what: str = "JSON does not validate") -> None:
        """Raises BadRequest in the words of jsonschema, behind what."""
        self.at(minor).check(value, what)

    def at(self, minor: int) -> Checker:
        return next(checker for since, checker in self._versions if since <= minor)


def of(required: tuple[str, ...] = (), /, **properties: Any) -> dict[str, Any]:
    """An object that has these properties and no others."""
    schema: dict[str, Any] = {"type": "object", "properties": properties, "additionalProperties": False}
    if required:
        schema["required"] = list(required)
    return schema


def keyed(pattern: str, value: dict[str, Any], least: int = 0) -> dict[str, Any]:
    """An object whose keys all fit pattern."""
    return {
        "type": "object",
        "minProperties": least,
        "patternProperties": {pattern: value},
        "additionalProperties": False,
    }


STRING = {"type": "string"}
UUID = {"type": "string", "format": "uuid"}
INTEGER = {"type": "integer"}
_MAX_INTEGER = 2147483647
_UUID_KEY = "^[0-9a-fA-F-]{36}$"
_CLASS_KEY = "^[A-Z0-9_]+$"
_OWNER = {"type": "string", "minLength": 1, "maxLength": 255}
CUSTOM_NAME = {"type": "string", "pattern": "^CUSTOM_[A-Z0-9_]+$", "maxLength": 255}


def _amount(least: int) -> dict[str, Any]:
    return {"type": "integer", "minimum": least, "maximum": _MAX_INTEGER}


_PARENT = {"anyOf": [UUID, {"type": "null"}]}
_PROVIDER_NAME = {"type": "string", "maxLength": 200}
CREATE_PROVIDER = Body(
    (0, of(("name",), name=_PROVIDER_NAME, uuid=UUID)),
    (14, of(("name",), name=_PROVIDER_NAME, uuid=UUID, parent_provider_uuid=_PARENT)),
)
UPDATE_PROVIDER = Body(
    (0, of(("name",), name=_PROVIDER_NAME)),
    (14, of(("name",), name=_PROVIDER_NAME, parent_provider_uuid=_PARENT)),
)

_AGGREGATES = {"type": "array", "items": UUID, "uniqueItems": True}
SET_AGGREGATES = Body(
    (1, _AGGREGATES),
    (
        19,
        of(
            ("aggregates", "resource_provider_generation"),
            aggregates=_AGGREGATES,
            resource_provider_generation=INTEGER,
        ),
    ),
)

_INVENTORY = {
    "resource_provider_generation": INTEGER,
    "total": _amount(1),
    "reserved": _amount(0),
    "min_unit": _amount(1),
    "max_unit": _amount(1),
    "step_size": _amount(1),
    "allocation_ratio": {"type": "number", "maximum": 3.40282e38},
}
_INVENTORIES = keyed(_CLASS_KEY, of(("total",), **_INVENTORY))
ADD_INVENTORY = Body(
    (0, of(("total", "resource_class"), **_INVENTORY, resource_class={"type": "string", "pattern": _CLASS_KEY}))
)
UPDATE_INVENTORY = Body((0, of(("total", "resource_provider_generation"), **_INVENTORY)))
SET_INVENTORIES = Body(
    (
        0,
        of(
            ("resource_provider_generation", "inventories"),
            resource_provider_generation=INTEGER,
            inventories=_INVENTORIES,
        ),
    )
)

CREATE_CLASS = Body((2, of(("name",), name=CUSTOM_NAME)))
CLASS_NAME = Checker(CUSTOM_NAME)

SET_TRAITS = Body(
    (
        6,
        of(
            ("traits", "resource_provider_generation"),
            traits={"type": "array", "items": {"type": "string", "minLength": 1, "maxLength": 255}},
            resource_provider_generation=INTEGER,
        ),
    )
)

_RESOURCES = keyed(_CLASS_KEY, {"type": "integer", "minimum": 1}, least=1)
# Accepted and ignored: whatever a candidate's mappings are keyed by comes back.
_MAPPINGS = {
    "type": "object",
    "minProperties": 1,
    "patternProperties": {"[a-zA-Z0-9_-]{1,64}": {"type": "array", "minItems": 1, "items": UUID}},
}
_LIST_CLAIM = {
    "allocations": {
        "type": "array",
        "minItems": 1,
        "items": of(
            ("resource_provider", "resources"), resource_provider=of(("uuid",), uuid=UUID), resources=_RESOURCES
        ),
    }
}
_OWNERS = {"project_id": _OWNER, "user_id": _OWNER}
_GENERATION = {"consumer_generation": {"type": ["integer", "null"]}}
_TYPE = {"consumer_type": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": _CLASS_KEY}}


def _held(least: int) -> dict[str, Any]:
    amounts = of(("resources",), generation=INTEGER, resources=_RESOURCES)
    return {"allocations": keyed(_UUID_KEY, amounts, least)}


def _claims(**more: Any) -> dict[str, Any]:
    required = ("allocations", "project_id", "user_id", *(name for name in more if name != "mappings"))
    return of(required, **_held(0), **_OWNERS, **more)


_WITH_GENERATION = _claims(**_GENERATION)
_WITH_MAPPINGS = _claims(**_GENERATION, mappings=_MAPPINGS)
_WITH_TYPE = _claims(**_GENERATION, mappings=_MAPPINGS, **_TYPE)

SET_ALLOCATIONS = Body(
    (0, of(("allocations",), **_LIST_CLAIM)),
    (8, of(("allocations", "project_id", "user_id"), **_LIST_CLAIM, **_OWNERS)),
    (12, of(("allocations", "project_id", "user_id"), **_held(1), **_OWNERS)),
    (28, _WITH_GENERATION),
    (34, _WITH_MAPPINGS),
    (38, _WITH_TYPE),
)
POST_ALLOCATIONS = Body(
    (13, keyed(_UUID_KEY, _claims(), least=1)),
    (28, keyed(_UUID_KEY, _WITH_GENERATION, least=1)),
    (34, keyed(_UUID_KEY, _WITH_MAPPINGS, least=1)),
    (38, keyed(_UUID_KEY, _WITH_TYPE, least=1)),
)


def _reshape(claims: dict[str, Any]) -> dict[str, Any]:
    provider = of(
        ("resource_provider_generation", "inventories"),
        resource_provider_generation=INTEGER,
        inventories=_INVENTORIES,
    )
    return of(
        ("inventories", "allocations"),
        inventories=keyed(_UUID_KEY, provider, least=1),
        allocations=keyed(_UUID_KEY, claims),
    )


RESHAPE = Body((30, _reshape(_WITH_GENERATION)), (34, _reshape(_WITH_MAPPINGS)), (38, _reshape(_WITH_TYPE)))

# -- queries ---------------------------------------------------------------------------------------

LIST_PROVIDERS = Body(
    (0, of(name=STRING, uuid=UUID)),
    (3, of(name=STRING, uuid=UUID, member_of=STRING)),
    (4, of(name=STRING, uuid=UUID, member_of=STRING, resources=STRING)),
    (14, of(name=STRING, uuid=UUID, member_of=STRING, resources=STRING, in_tree=UUID)),
    (18, of(name=STRING, uuid=UUID, member_of=STRING, resources=STRING, in_tree=UUID, required=STRING)),
)
LIST_TRAITS = Body((6, of(name=STRING, associated=STRING)))
NOTHING = Body((0, of()))
_USAGES = {"project_id": _OWNER, "user_id": _OWNER}
SUM_USAGES = Body(
    (9, of(("project_id",), **_USAGES)),
    (
        38,
        of(
            ("project_id",),
            **_USAGES,
            consumer_type={
                "type": "string",
                "minLength": 1,
                "maxLength": 255,
                "pattern": "^[A-Z0-9_]+$|^all$|^unknown$",
            },
        ),
    ),
)

_LIMIT = {"type": ["integer", "string"], "pattern": "^[1-9][0-9]*$", "minimum": 1, "minLength": 1}
_POLICY = {"type": "string", "enum": ["none", "isolate"]}


def _grouped(suffix: str, words: tuple[str, ...], **single: Any) -> dict[str, Any]:
    schema = of(**single)
    schema["patternProperties"] = {f"^{word}({suffix})?$": STRING for word in words}
    return schema


_NUMBER, _SUFFIX = "[1-9][0-9]*", "[a-zA-Z0-9_-]{1,64}"
_WORDS = ("resources", "required", "member_of")
_SINGLE = {"limit": _LIMIT, "group_policy": _POLICY}
CANDIDATES = Body(
    (10, of(("resources",), resources=STRING)),
    (16, of(("resources",), resources=STRING, limit=_LIMIT)),
    (17, of(("resources",), resources=STRING, limit=_LIMIT, required=STRING)),
    (21, of(("resources",), resources=STRING, limit=_LIMIT, required=STRING, member_of=STRING)),
    (25, _grouped(_NUMBER, _WORDS, **_SINGLE)),
    (31, _grouped(_NUMBER, (*_WORDS, "in_tree"), **_SINGLE)),
    (33, _grouped(_SUFFIX, (*_WORDS, "in_tree"), **_SINGLE)),
    (35, _grouped(_SUFFIX, (*_WORDS, "in_tree"), **_SINGLE, root_required=STRING)),
    (36, _grouped(_SUFFIX, (*_WORDS, "in_tree"), **_SINGLE, root_required=STRING, same_subtree=STRING)),
)
