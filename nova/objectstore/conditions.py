"""If-Match and its kin, and Range. Source: RFC 9110, sections 13 and 14; what S3 leaves out is left out."""

import re
from collections.abc import Callable, Mapping
from email.utils import formatdate, parsedate_to_datetime

from nova.objectstore.errors import S3Error
from nova.objectstore.index import Entry

_RANGE = re.compile(r"bytes=(\d{0,19})-(\d{0,19})", re.ASCII)


class NotModified(Exception):
    """The client has the object already: 304."""


def check_read(headers: Mapping[str, str], entry: Entry) -> None:
    """Raises S3Error where a precondition does not hold, NotModified."""
    if "if-match" in headers:
        if not _matches(headers["if-match"], entry):
            raise _failed("If-Match")
    elif "if-unmodified-since" in headers and _is_newer(entry, headers["if-unmodified-since"]):
        raise _failed("If-Unmodified-Since")
    if "if-none-match" in headers:
        if _matches(headers["if-none-match"], entry):
            raise NotModified()
    elif "if-modified-since" in headers and not _is_newer(entry, headers["if-modified-since"]):
        raise NotModified()


def check_copy(headers: Mapping[str, str], entry: Entry) -> None:
    """The same of a copy's source. Raises S3Error."""
    prefix = "x-amz-copy-source-"
    conditions = {
        name.removeprefix(prefix): value for name, value in headers.items() if name.startswith(f"{prefix}if-")
    }
    try:
        check_read(conditions, entry)
    except NotModified:
        raise _failed("x-amz-copy-source") from None


def for_write(headers: Mapping[str, str]) -> Callable[[Entry | None], None]:
    """What the object that is replaced or deleted must be; it is asked for in the change's transaction."""
    match, none_match = headers.get("if-match"), headers.get("if-none-match")
    if none_match not in (None, "*"):
        raise S3Error("NotImplemented", "If-None-Match takes * here.")

    def check(entry: Entry | None) -> None:
        if none_match is not None and entry is not None:
            raise _failed("If-None-Match")
        if match is not None and entry is None:
            raise S3Error("NoSuchKey")
        if match is not None and entry is not None and not _matches(match, entry):
            raise _failed("If-Match")

    return check


def span(headers: Mapping[str, str], entry: Entry) -> tuple[int, int] | None:
    """The first byte that is asked for and the one behind the last; None for all. Raises S3Error (416)."""
    text = headers.get("range")
    if text is None or ("if-range" in headers and not _is_same(headers["if-range"], entry)):
        return None
    match = _RANGE.fullmatch(text.replace(" ", ""))
    # What cannot be understood is as if it were not there.
    if match is None or match[1] == match[2] == "":
        return None
    if match[1] == "":
        first, last = max(entry.size - int(match[2]), 0), entry.size - 1
    else:
        first, last = int(match[1]), min(int(match[2] or entry.size), entry.size - 1)
        if match[2] and int(match[2]) < first:
            return None
    if first > last:
        raise S3Error(
            "InvalidRange",
            headers={"Content-Range": f"bytes */{entry.size}"},
            RangeRequested=text,
            ActualObjectSize=str(entry.size),
        )
    return first, last + 1


def copy_span(text: str, entry: Entry) -> tuple[int, int]:
    """x-amz-copy-source-range, which must lie within the source. Raises S3Error."""
    match = _RANGE.fullmatch(text)
    if match is None or not (match[1] and match[2]) or not int(match[1]) <= int(match[2]) < entry.size:
        raise S3Error("InvalidArgument", "The x-amz-copy-source-range value must lie within the source object.")
    return int(match[1]), int(match[2]) + 1


def http_date(seconds: float) -> str:
    """The second a time in Unix seconds lies in, as RFC 9110 writes it: fractions are cut off."""
    return formatdate(int(seconds), usegmt=True)


def _matches(header: str, entry: Entry) -> bool:
    tags = [tag.strip().removeprefix("W/").strip('"') for tag in header.split(",")]
    return "*" in tags or entry.etag in tags


def _is_newer(entry: Entry, date: str) -> bool:
    """Whether an object was changed after a date; a date that is none says nothing."""
    try:
        return int(entry.modified) > parsedate_to_datetime(date).timestamp()
    except (ValueError, OverflowError):
        return True


def _is_same(validator: str, entry: Entry) -> bool:
    return validator.strip('"') == entry.etag or validator == http_date(entry.modified)


def _failed(condition: str) -> S3Error:
    return S3Error("PreconditionFailed", Condition=condition)
