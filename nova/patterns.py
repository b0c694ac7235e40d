"""Users' patterns: one dialect, RE2, matched in linear time, and the same over every database.

No back-references and no look-around: what has them may take for ever. Source: RE2's syntax.
"""

from typing import Any

import re2  # type: ignore[import-untyped]

from nova import errors

_LONGEST = 255
_MOST_MEMORY = 1 << 20


def compile(text: str) -> Any:
    """A pattern whose search(text) tells whether it is found in a text. Raises Invalid."""
    if len(text) > _LONGEST:
        raise errors.Invalid(f"A regular expression has at most {_LONGEST} characters.")
    options = re2.Options()
    options.max_mem = _MOST_MEMORY
    options.log_errors = False
    try:
        return re2.compile(text, options)
    except re2.error as error:
        reason = error.args[0].decode(errors="replace") if error.args else ""
        raise errors.Invalid(f"Invalid regular expression {text!r}: {reason}") from error
