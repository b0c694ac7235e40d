"""Time as every record holds it: UTC, without a zone, whole microseconds."""

import datetime


def utcnow() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC).replace(tzinfo=None)


def parse_utc(text: str) -> datetime.datetime:
    """A time in ISO 8601, as records hold it; without a zone it is UTC. Raises ValueError, out of range too."""
    parsed = datetime.datetime.fromisoformat(text)
    if parsed.tzinfo is None:
        return parsed
    try:
        return parsed.astimezone(datetime.UTC).replace(tzinfo=None)
    except OverflowError as error:
        raise ValueError(f"{text} is out of range in UTC") from error
