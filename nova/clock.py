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


def span(time: datetime.timedelta) -> str:
    """A time for people, in its largest unit: 90 s, 12 min, 5 h, 3 d. What is below nothing is nothing."""
    seconds = max(0, int(time.total_seconds()))
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"
