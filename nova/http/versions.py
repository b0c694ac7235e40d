"""The range of versions in which a part of an API holds.

A version is its minor number: 53 is 2.53. Declarations write "2.53".
"""

import sys

# For what was there from the beginning, and for what nothing has ended.
FIRST, FOREVER = 0, sys.maxsize


def parse(text: str | None, default: int) -> int:
    """The minor number of a version in a declaration; default for None."""
    return default if text is None else int(text.split(".")[1])
