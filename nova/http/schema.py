"""The shapes of requests and answers, declared once with the versions in which each field holds.

A Shape gives, for one version, the JSON Schema that checks a value and a function that normalises
it: "boolish" words become booleans, numbers in strings become numbers, defaults are filled in.
"""

import ipaddress
import json
import re
import unicodedata
import uuid
from base64 import b64decode
from binascii import Error as BadBase64
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import jsonschema_rs

from nova import errors, patterns
from nova.clock import parse_utc
from nova.http.versions import FIRST, FOREVER, parse

Normalise = Callable[[Any], Any] | None
_MISSING = object()


class Shape:
    """What a value may look like. Subclasses are values themselves: declare them once, share them."""

    def json_schema(self, version: int) -> dict[str, Any]:
        raise NotImplementedError

    def normaliser(self, version: int) -> Normalise:
        """A function from a valid value to the normalised one; None when nothing changes."""
        return None


@dataclass(frozen=True)
class Plain(Shape):
    """A JSON Schema as it is, for all versions."""

    schema: Mapping[str, Any]
    normalise: Normalise = None

    def json_schema(self, version: int) -> dict[str, Any]:
        return dict(self.schema)

    def normaliser(self, version: int) -> Normalise:
        return self.normalise


@dataclass(frozen=True)
class Field:
    """A property of an object, and the versions that have it."""

    name: str
    shape: Shape
    is_required: bool = False
    since: int = FIRST
    until: int = FOREVER
    default: Any = _MISSING

    def holds(self, version: int) -> bool:
        return self.since <= version <= self.until


def required(name: str, shape: Shape, since: str | None = None, until: str | None = None) -> Field:
    return Field(name, shape, True, parse(since, FIRST), parse(until, FOREVER))


def optional(
    name: str, shape: Shape, since: str | None = None, until: str | None = None, default: Any = _MISSING
) -> Field:
    return Field(name, shape, False, parse(since, FIRST), parse(until, FOREVER), default)


@dataclass(frozen=True)
class Obj(Shape):
    """An object. open_until: the last version in which unknown keys are let through (and dropped).

    patterns: shapes of further keys by regular expression; others: the shape of all further keys.
    """

    fields: tuple[Field, ...] = ()
    patterns: Mapping[str, Shape] = field(default_factory=dict)
    others: Shape | None = None
    is_open: bool = False
    open_until: int = 0
    limits: Mapping[str, Any] = field(default_factory=dict)
    is_nullable: bool = False

    def json_schema(self, version: int) -> dict[str, Any]:
        held = [one for one in self.fields if one.holds(version)]
        schema: dict[str, Any] = {
            "type": ["object", "null"] if self.is_nullable else "object",
            "properties": {one.name: one.shape.json_schema(version) for one in held},
            "additionalProperties": self.is_open or version <= self.open_until
            if self.others is None
            else self.others.json_schema(version),
            **self.limits,
        }
        needed = [one.name for one in held if one.is_required]
        if needed:
            schema["required"] = needed
        if self.patterns:
            schema["patternProperties"] = {key: shape.json_schema(version) for key, shape in self.patterns.items()}
        return schema

    def normaliser(self, version: int) -> Normalise:
        held = [one for one in self.fields if one.holds(version)]
        inner = {one.name: norm for one in held if (norm := one.shape.normaliser(version))}
        defaults = {one.name: one.default for one in held if one.default is not _MISSING}
        known = {one.name for one in held}
        drops = not self.is_open and version <= self.open_until and not self.patterns
        if not (inner or defaults or drops):
            return None

        def normalise(value: Any) -> Any:
            if value is None:
                return None
            result = {k: v for k, v in value.items() if k in known} if drops else dict(value)
            for name, norm in inner.items():
                if name in result:
                    result[name] = norm(result[name])
            for name, default in defaults.items():
                result.setdefault(name, default)
            return result

        return normalise


@dataclass(frozen=True)
class Arr(Shape):
    """A list of one shape; limits are JSON Schema's minItems, maxItems, uniqueItems."""

    item: Shape
    limits: Mapping[str, Any] = field(default_factory=dict)
    is_nullable: bool = False

    def json_schema(self, version: int) -> dict[str, Any]:
        kind = ["array", "null"] if self.is_nullable else "array"
        return {"type": kind, "items": self.item.json_schema(version), **self.limits}

    def normaliser(self, version: int) -> Normalise:
        inner = self.item.normaliser(version)
        return None if inner is None else lambda values: None if values is None else [inner(one) for one in values]


@dataclass(frozen=True)
class OneOf(Shape):
    """Exactly one of some shapes; the first that fits normalises."""

    shapes: tuple[Shape, ...]

    def json_schema(self, version: int) -> dict[str, Any]:
        return {"oneOf": [shape.json_schema(version) for shape in self.shapes]}


@dataclass(frozen=True)
class Versioned(Shape):
    """Another shape from some versions on: pairs of (first version, shape), ascending."""

    stages: tuple[tuple[int, Shape], ...]

    def _at(self, version: int) -> Shape:
        return [shape for since, shape in self.stages if since <= version][-1]

    def json_schema(self, version: int) -> dict[str, Any]:
        return self._at(version).json_schema(version)

    def normaliser(self, version: int) -> Normalise:
        return self._at(version).normaliser(version)


def obj(*fields: Field, **options: Any) -> Obj:
    if "open_until" in options:
        options["open_until"] = parse(options["open_until"], 0)
    return Obj(fields, **options)


def arr(item: Shape, is_nullable: bool = False, **limits: Any) -> Arr:
    return Arr(item, limits, is_nullable)


def _is_regex(value: str) -> bool:
    try:
        patterns.compile(value)
    except errors.Invalid:
        return False
    return True


def _is_flavor_id(value: str) -> bool:
    return re.fullmatch(r"(?! )[a-zA-Z0-9. _-]+(?<! )", value) is not None


def _is_cidr(value: str) -> bool:
    try:
        ipaddress.ip_network(value, strict=False)
    except ValueError:
        return False
    return "/" in value


def one_of(*shapes: Shape) -> OneOf:
    return OneOf(shapes)


def versioned(first: Shape, **since: Shape) -> Versioned:
    """versioned(A, v2_37=B): A, and B from 2.37 on."""
    later = sorted((int(name.removeprefix("v2_")), shape) for name, shape in since.items())
    return Versioned(((0, first), *later))


def body(key: str, *fields: Field, siblings: tuple[Field, ...] = (), **options: Any) -> Obj:
    """The usual request body: one key that holds an object."""
    return obj(required(key, obj(*fields, **options)), *siblings)


def string(**limits: Any) -> Plain:
    return Plain({"type": "string", **limits})


def enum(*values: Any) -> Plain:
    return Plain({"type": "string", "enum": list(values)})


def integer(minimum: int = 0, maximum: int = 2147483647, **limits: Any) -> Plain:
    """A number, or a string of digits as old clients send it."""
    sign = "-?" if minimum < 0 else ""
    schema = {
        "type": ["integer", "string"], "pattern": f"^{sign}[0-9]+$", "minimum": minimum, "maximum": maximum,
        "minLength": 1, **limits,
    }  # fmt: skip
    return Plain(schema, lambda value: _bounded(value, minimum, maximum))


def nullable(shape: Plain) -> Plain:
    kind = shape.schema["type"]
    kinds = [*kind, "null"] if isinstance(kind, list) else [kind, "null"]
    schema = {**shape.schema, "type": kinds}
    if "enum" in schema:
        schema["enum"] = [*schema["enum"], None]
    inner = shape.normalise
    return Plain(schema, None if inner is None else lambda value: None if value is None else inner(value))


def _bounded(value: int | str, minimum: int, maximum: int) -> int:
    """JSON Schema bounds numbers, not digits in a string."""
    if isinstance(value, str) and len(value) > _MOST_DIGITS:
        raise errors.Invalid(f"Invalid input. Value: {value[:_MOST_DIGITS]}... is too long")
    number = int(value)
    if not minimum <= number <= maximum:
        word, limit = ("less than the minimum", minimum) if number < minimum else ("greater than the maximum", maximum)
        raise errors.Invalid(f"Invalid input. Value: {value}. {number} is {word} of {limit}")
    return number


_MOST_DIGITS = 40

_TRUE = (True, "True", "TRUE", "true", "1", "ON", "On", "on", "YES", "Yes", "yes")
_FALSE = (False, "False", "FALSE", "false", "0", "OFF", "Off", "off", "NO", "No", "no")

REGEX = Plain({"type": "string", "format": "regex"})
ANY = Plain({})
NULL = Plain({"type": "null"})
NOTHING = Plain({"type": "null"})
BOOLEAN = Plain({"type": "boolean"})
BOOLISH = Plain(
    {"type": ["boolean", "string"], "enum": [*_TRUE, *_FALSE]},
    lambda value: value is True or (isinstance(value, str) and value in _TRUE),
)
INTEGER = Plain({"type": "integer"})
NUMBER = Plain({"type": "number"})
STRING = Plain({"type": "string"})
UUID = Plain({"type": "string", "format": "uuid"})
URI = Plain({"type": "string", "format": "uri"})
TIME = Plain({"type": "string", "format": "date-time"})
NAME = Plain({"type": "string", "format": "name", "minLength": 1, "maxLength": 255})
DESCRIPTION = Plain({"type": ["string", "null"], "format": "printable", "minLength": 0, "maxLength": 255})
# A long text: printable, lines included.
LONG_TEXT = Plain({"type": ["string", "null"], "format": "printable", "minLength": 0, "maxLength": 65535})
IP = Plain({"type": "string", "oneOf": [{"format": "ipv4"}, {"format": "ipv6"}]})
HOSTNAME = Plain({"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[a-zA-Z0-9-._]*$"})
TAG = Plain({"type": "string", "minLength": 1, "maxLength": 60, "pattern": "^[^,/]*$"})
BASE64 = Plain({"type": "string", "format": "base64"})
METADATA = Obj(patterns={"^[a-zA-Z0-9-_:. ]{1,255}$": Plain({"type": "string", "maxLength": 255})})
LINK = obj(required("href", URI), required("rel", STRING))
# The link to the next page of a list.
NEXT = arr(obj(required("href", URI), required("rel", Plain({"const": "next"}))), minItems=1, maxItems=1)
LIMIT = integer(0)
# A list that is there for old clients and always empty.
NONE_OF_THEM = Plain({"type": "array", "maxItems": 0})


def query(*fields: Field, strict_since: str | None = None, patterns: Mapping[str, Shape] | None = None) -> Obj:
    """A query string: every parameter may repeat. strict_since: the first version that refuses others."""
    listed = tuple(
        one if isinstance(one.shape, Arr) else Field(one.name, Arr(one.shape), one.is_required, one.since, one.until)
        for one in fields
    )
    return Obj(
        listed,
        patterns={pattern: Arr(shape) for pattern, shape in (patterns or {}).items()},
        open_until=FOREVER if strict_since is None else parse(strict_since, 0) - 1,
    )


def once(name: str, shape: Shape, since: str | None = None, until: str | None = None) -> Field:
    """A query parameter that may not repeat."""
    return optional(name, arr(shape, maxItems=1), since, until)


@dataclass(frozen=True)
class Checker:
    """Checks and normalises values of one shape at one version."""

    validator: Any
    normalise: Normalise

    def __call__(self, value: Any) -> Any:
        """The normalised value. Raises Invalid, naming the field."""
        if not self.validator.is_valid(value):
            raise errors.Invalid(_complaint(next(iter(self.validator.iter_errors(value)))))
        return value if self.normalise is None else self.normalise(value)


@cache
def _validator(schema: str) -> Any:
    return jsonschema_rs.validator_for(schema, formats=_FORMATS, validate_formats=True, pattern_options=_PATTERNS)


def checker(shape: Shape, version: int, is_relaxed: bool = False) -> Checker:
    """Schemas of versions that do not differ share one validator. is_relaxed: unknown keys are let through."""
    schema = shape.json_schema(version)
    return Checker(_validator(json.dumps(_relaxed(schema) if is_relaxed else schema)), shape.normaliser(version))


def _relaxed(schema: Any) -> Any:
    if isinstance(schema, list):
        return [_relaxed(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    loose = {name: _relaxed(value) for name, value in schema.items()}
    # Where keys are the user's own (metadata), what is no key of that kind stays wrong.
    if loose.get("additionalProperties") is False and "patternProperties" not in loose:
        loose["additionalProperties"] = True
    return loose


def _complaint(error: Any) -> str:
    # The message quotes the value, which may be as large as a request.
    message = error.message if len(error.message) <= _LONGEST_COMPLAINT else f"{error.message[:_LONGEST_COMPLAINT]}..."
    path = "/".join(str(one) for one in error.instance_path)
    if not path:
        return f"Invalid input. {message}"
    return f"Invalid input for field/attribute {path[:255]}. {message}"


_LONGEST_COMPLAINT = 500


def _is_name(value: str) -> bool:
    """Printable, and no blanks at either end. Source: API reference, name parameters."""
    return bool(value.strip()) and value == value.strip() and _is_printable(value)


def _is_printable(value: str) -> bool:
    return all(unicodedata.category(char) not in ("Cc", "Cs", "Cn", "Zl", "Zp") or char in "\r\n\t" for char in value)


def _is_base64(value: str) -> bool:
    try:
        b64decode(value.encode(), validate=False)
    except (BadBase64, ValueError):
        return False
    return re.fullmatch(r"[A-Za-z0-9+/=\s]*", value) is not None


def is_uuid(value: str) -> bool:
    """Whether a text is a UUID in any of the ways people write one."""
    try:
        return str(uuid.UUID(value)).replace("-", "") == value.lower().replace("-", "").strip("{}").removeprefix(
            "urn:uuid:"
        )
    except ValueError:
        return False


def is_number(text: str) -> bool:
    """Whether a text is a number without a sign, and one that a database can hold."""
    return text.isascii() and text.isdigit() and len(text) <= 18


def _is_time(value: str) -> bool:
    try:
        parse_utc(value)
    except ValueError:
        return False
    return True


def _is_address(version: int) -> Callable[[str], bool]:
    def check(value: str) -> bool:
        try:
            return ipaddress.ip_address(value).version == version
        except ValueError:
            return False

    return check


_FORMATS = {
    "name": _is_name,
    "printable": _is_printable,
    "base64": _is_base64,
    "regex": _is_regex,
    "flavor_id": _is_flavor_id,
    "uuid": is_uuid,
    "cidr": _is_cidr,
    "ipv4": _is_address(4),
    "ipv6": _is_address(6),
    "date-time": _is_time,
}
_PATTERNS = jsonschema_rs.RegexOptions()
