"""How a request carries a signature of AWS version 4; what it covers is each service's own.

Source: "Signature Version 4 signing process".
"""

import datetime

ALGORITHM = "AWS4-HMAC-SHA256"
# Of a signature in the query of an address.
LONGEST_LIFE_S = 7 * 24 * 3600


def fields(authorization: str) -> dict[str, str]:
    """Credential, SignedHeaders and Signature of a header Authorization, as far as they are there."""
    pairs = (part.strip().partition("=") for part in authorization.removeprefix(ALGORITHM).split(","))
    return {name: value for name, _, value in pairs}


def time(text: str) -> datetime.datetime:
    """The time of X-Amz-Date, in UTC. Raises ValueError."""
    return datetime.datetime.strptime(text, "%Y%m%dT%H%M%SZ")
