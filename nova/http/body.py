"""Reading a JSON body, with the same limits for every API: size, depth, and nothing that no database can store."""

from typing import Any

import orjson

from nova import errors
from nova.http.wsgi import Environ

JSON = "application/json"
# The deepest body that upstream's schemas describe has seven.
_DEEPEST = 32


def read(environ: Environ, limit: int) -> bytes:
    """The body; empty for none. Raises TooLarge."""
    length = environ.get("CONTENT_LENGTH") or ""
    if not length and "chunked" not in environ.get("HTTP_TRANSFER_ENCODING", "").lower():
        return b""
    if length and not (length.isascii() and length.isdigit()):
        raise errors.Invalid("content-length header must be an integer")
    if length and int(length) > limit:
        raise errors.TooLarge()
    raw: bytes = environ["wsgi.input"].read(int(length) if length else limit + 1)
    if len(raw) > limit:
        raise errors.TooLarge()
    return raw


def read_json(environ: Environ, limit: int) -> Any:
    """The body, parsed; None for none. Raises TooLarge, Invalid."""
    raw = read(environ, limit)
    return parse(raw) if raw else None


def parse(raw: bytes, may_hold_nul: bool = False) -> Any:
    """JSON in UTF-8. may_hold_nul: the API looks for NULs itself, and names the field. Raises Invalid."""
    # No field may hold a NUL, and not every database can store one.
    if not may_hold_nul and b"\\u0000" in raw:
        raise errors.Invalid("Malformed request body: it holds a NUL character")
    try:
        content = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise errors.Invalid(f"Malformed request body: Malformed JSON: {error}") from error
    # Few bodies have as many brackets at all.
    if raw.count(b"[") + raw.count(b"{") > _DEEPEST and not _is_flat(content, _DEEPEST):
        raise errors.Invalid(f"Malformed request body: it is nested deeper than {_DEEPEST} levels")
    return content


def content_type(environ: Environ) -> str:
    """The body's type, without its parameters."""
    kind: str = environ.get("CONTENT_TYPE") or ""
    return kind.partition(";")[0].strip().lower()


def _is_flat(content: Any, levels: int) -> bool:
    """Whether a value has at most so many levels. What checks, copies and keeps values goes down by recursion."""
    if not isinstance(content, dict | list):
        return True
    inner = content.values() if isinstance(content, dict) else content
    return levels > 0 and all(_is_flat(one, levels - 1) for one in inner)


def read_object(environ: Environ, limit: int) -> dict[str, Any]:
    """The body as a JSON object. Raises TooLarge, Invalid."""
    content = read_json(environ, limit)
    if not isinstance(content, dict):
        raise errors.Invalid("The request's body is not a JSON object.")
    return content
