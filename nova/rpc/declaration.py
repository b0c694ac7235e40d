"""How a contract is declared: a class whose methods have types and no bodies.

nova.rpc.client makes an object with those methods that sends each over the bus; nova.rpc.server hands what
arrives to an object that implements them. Arguments and results travel as one JSON text each, so that a
thousand servers cost the bus one string.
"""

import functools
import inspect
import typing
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import msgspec

VERSION = "1.0"

# Not a method of any contract: a server answers it itself, which proves that its queue is heard.
PING = "ping itself"


class Method(msgspec.Struct, frozen=True):
    """One method of an interface: how its arguments and its result are encoded."""

    name: str
    arguments: type[msgspec.Struct]
    result: Any
    is_cast: bool
    is_fanout: bool


def cast(function: Callable[..., Any]) -> Callable[..., Any]:
    """Marks a method of an interface: the caller does not wait, and may lose the message."""
    function.is_cast = True  # type: ignore[attr-defined]
    return function


def fanout(function: Callable[..., Any]) -> Callable[..., Any]:
    """Marks a method of an interface: every server of the topic gets the message; nobody answers."""
    function.is_fanout = True  # type: ignore[attr-defined]
    return cast(function)


@functools.cache
def methods(interface: type) -> Mapping[str, Method]:
    """The methods an interface declares, its bases' included."""
    found = {}
    for name, function in inspect.getmembers(interface, inspect.isfunction):
        if name.startswith("_"):
            continue
        hints = typing.get_type_hints(function)
        result = hints.pop("return", type(None))
        fields: list[Any] = []
        for parameter in list(inspect.signature(function).parameters.values())[1:]:
            kind = hints[parameter.name]
            if parameter.default is parameter.empty:
                fields.append((parameter.name, kind))
            else:
                fields.append((parameter.name, kind, msgspec.field(default=parameter.default)))
        fields.sort(key=len)
        found[name] = Method(
            name,
            msgspec.defstruct(f"{name}_arguments", fields, kw_only=True),
            result,
            getattr(function, "is_cast", False),
            getattr(function, "is_fanout", False),
        )
    return MappingProxyType(found)
