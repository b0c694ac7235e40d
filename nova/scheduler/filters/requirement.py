"""One requirement of an extra spec, such as ">= 5" or "<or> fpu <or> gpu".

Source: Compute admin guide, "Compute schedulers", operators of ComputeCapabilitiesFilter.
"""

import operator
from collections.abc import Callable

Requirement = Callable[[object], bool]

_NUMBERS: dict[str, Callable[[float, float], bool]] = {
    # A plain "=" asks for at least as much, as for vcpus.
    "=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
    ">=": operator.ge,
    "<=": operator.le,
    ">": operator.gt,
    "<": operator.lt,
}
_STRINGS: dict[str, Callable[[str, str], bool]] = {
    "s==": operator.eq,
    "s!=": operator.ne,
    "s>=": operator.ge,
    "s>": operator.gt,
    "s<=": operator.le,
    "s<": operator.lt,
}
# Longest first, so that ">=" is not read as ">".
_OPERATORS = sorted((*_NUMBERS, *_STRINGS, "<in>", "<all-in>", "<or>"), key=len, reverse=True)


def parse(text: str) -> Requirement:
    """Whether a value meets what text asks; without an operator the texts must be equal."""
    text = text.strip()
    sign = next((name for name in _OPERATORS if text.startswith(name)), None)
    if sign is None:
        return lambda value: str(value) == text
    rest = text[len(sign) :].strip()
    if sign in _NUMBERS:
        return _number(_NUMBERS[sign], rest)
    if sign in _STRINGS:
        compare = _STRINGS[sign]
        return lambda value: compare(str(value), rest)
    if sign == "<in>":
        return lambda value: _has(value, rest)
    if sign == "<all-in>":
        words = rest.split()
        return lambda value: all(_has(value, word) for word in words)
    choices = {choice.strip() for choice in rest.split("<or>")}
    return lambda value: str(value) in choices


def _number(compare: Callable[[float, float], bool], text: str) -> Requirement:
    threshold = _as_number(text)

    def meets(value: object) -> bool:
        have = _as_number(value)
        return have is not None and threshold is not None and compare(have, threshold)

    return meets


def _as_number(value: object) -> float | None:
    if not isinstance(value, str | int | float):
        return None
    try:
        return float(value)
    except ValueError:
        return None


def _has(value: object, word: str) -> bool:
    """Whether a word is one of a collection's elements, or part of any other value's text."""
    return word in (value if isinstance(value, list | tuple | set | frozenset | dict) else str(value))
