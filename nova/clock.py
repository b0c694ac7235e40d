"""Time as every record holds it: UTC, without a zone, whole microseconds."""

import datetime


def utcnow() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC).replace(tzinfo=None)
