"""EC2's query protocol: the parameters of a request as values, and an answer's values as XML.

What the model does not describe is refused: names it does not know, numbers that are none, lists without order.
Source: EC2 API reference, "Query requests", and the protocol "ec2" of the Smithy documentation.
"""

import base64
import binascii
import datetime
import re
from collections.abc import Iterable
from typing import Any
from xml.sax.saxutils import escape

from nova.api.ec2 import errors
from nova.api.ec2.model import Model, Shape

# Parameters that are no action's own.
_OF_EVERY_ACTION = frozenset(("Action", "Version"))
# Of one request. An action that takes most takes some thousand ids or filters.
_MOST_PARAMETERS = 20000
_MOST_DIGITS = 6
_DEEPEST = 16
_WHOLE = re.compile(r"[+-]?[0-9]{1,19}")
# What XML 1.0 cannot hold, whatever it is escaped as.
_NO_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")

Tree = dict[str, Any]


def read(model: Model, action: str, pairs: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """The parameters of a request by the names of the model's members.

    Raises BadRequest with EC2's codes: MalformedQueryString, UnknownParameter, MissingParameter, InvalidParameterValue.
    """
    tree = _tree(pairs)
    value: dict[str, Any] = _value(model, model.operations[action][0], tree, "")
    return value


def write(model: Model, action: str, value: dict[str, Any] | None, request_id: str) -> bytes:
    """An answer; members that are None are left out."""
    chunks = [
        f'<?xml version="1.0" encoding="UTF-8"?>\n<{action}Response xmlns="{model.namespace}">'
        f"<requestId>{_text(request_id)}</requestId>"
    ]
    shape = model.operations[action][1]
    if shape is None:
        chunks.append("<return>true</return>")
    else:
        _write(model, shape, value or {}, chunks)
    chunks.append(f"</{action}Response>")
    return "".join(chunks).encode()


def write_error(code: str, message: str, request_id: str) -> bytes:
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n<Response><Errors><Error>'
        f"<Code>{_text(code)}</Code><Message>{_text(message)}</Message></Error></Errors>"
        f"<RequestID>{_text(request_id)}</RequestID></Response>"
    ).encode()


def _tree(pairs: Iterable[tuple[str, str]]) -> Tree:
    """A.1.B=v as {"A": {"1": {"B": v}}}."""
    root: Tree = {}
    for count, (name, value) in enumerate(pairs, 1):
        if count > _MOST_PARAMETERS:
            raise errors.malformed(f"A request has {_MOST_PARAMETERS} parameters at most.")
        if "\0" in value:
            raise errors.bad_value(name, value, "It holds a NUL character.")
        if name in _OF_EVERY_ACTION:
            continue
        *parents, last = name.split(".", _DEEPEST)
        node = root
        for part in parents:
            node = node.setdefault(part, {})
            if not isinstance(node, dict):
                raise errors.malformed(f"The parameter {name[:100]} is a value and has parts.")
        if last in node:
            raise errors.malformed(f"The parameter {name[:100]} is there twice.")
        node[last] = value
    return root


def _value(model: Model, name: str, node: Any, path: str) -> Any:
    shape = model.shapes[name]
    if shape.kind == "structure":
        return _structure(model, shape, node, path)
    if shape.kind == "list":
        return _list(model, shape, node, path)
    if isinstance(node, dict):
        raise errors.unknown_parameter(f"{path}.{next(iter(node))}"[:100])
    try:
        return _SCALARS[shape.kind](node)
    except (ValueError, binascii.Error) as error:
        raise errors.bad_value(path, node, f"It is no {shape.kind}.") from error


def _structure(model: Model, shape: Shape, node: Any, path: str) -> dict[str, Any]:
    if not isinstance(node, dict):
        raise errors.bad_value(path, node, "It has parts.")
    by_query = {member.query: (key, member) for key, member in shape.members.items()}
    values = {}
    for part, inner in node.items():
        where = f"{path}.{part}" if path else part
        if part not in by_query:
            raise errors.unknown_parameter(where[:100])
        key, member = by_query[part]
        values[key] = _value(model, member.shape, inner, where)
    for key in shape.required:
        if key not in values:
            name = shape.members[key].query
            raise errors.missing_parameter(f"{path}.{name}" if path else name)
    return values


def _list(model: Model, shape: Shape, node: Any, path: str) -> list[Any]:
    """Items by their numbers, which may have gaps. A list of one may come without a number, as old clients send it."""
    if not isinstance(node, dict):
        return [_value(model, shape.item, node, path)]
    for part in node:
        if not (part.isascii() and part.isdigit() and len(part) <= _MOST_DIGITS):
            raise errors.unknown_parameter(f"{path}.{part}"[:100])
    if len({int(part) for part in node}) < len(node):
        raise errors.malformed(f"An item of {path} is there twice.")
    return [_value(model, shape.item, node[part], f"{path}.{part}") for part in sorted(node, key=int)]


def _boolean(text: str) -> bool:
    return {"true": True, "false": False, "1": True, "0": False}[text.lower()]


def _integer(text: str) -> int:
    if not _WHOLE.fullmatch(text):
        raise ValueError(text)
    return int(text)


def _time(text: str) -> datetime.datetime:
    when = datetime.datetime.fromisoformat(text)
    return when if when.tzinfo is None else when.astimezone(datetime.UTC).replace(tzinfo=None)


def _checked_boolean(text: str) -> bool:
    try:
        return _boolean(text)
    except KeyError as error:
        raise ValueError(text) from error


_SCALARS: dict[str, Any] = {
    "string": str,
    "integer": _integer,
    "long": _integer,
    "float": float,
    "double": float,
    "boolean": _checked_boolean,
    "blob": lambda text: base64.b64decode(text, validate=True),
    "timestamp": _time,
}


def _write(model: Model, name: str, value: Any, chunks: list[str]) -> None:
    shape = model.shapes[name]
    if shape.kind == "structure":
        for key, member in value.items():
            if member is None:
                continue
            declared = shape.members[key]
            chunks.append(f"<{declared.xml}>")
            _write(model, declared.shape, member, chunks)
            chunks.append(f"</{declared.xml}>")
    elif shape.kind == "list":
        for item in value:
            chunks.append(f"<{shape.xml}>")
            _write(model, shape.item, item, chunks)
            chunks.append(f"</{shape.xml}>")
    elif isinstance(value, bool):
        chunks.append("true" if value else "false")
    elif isinstance(value, datetime.datetime):
        chunks.append(value.strftime("%Y-%m-%dT%H:%M:%S.") + f"{value.microsecond // 1000:03}Z")
    elif isinstance(value, bytes):
        chunks.append(base64.b64encode(value).decode())
    else:
        chunks.append(_text(str(value)))


def _text(text: str) -> str:
    return escape(_NO_XML.sub("\ufffd", text))
