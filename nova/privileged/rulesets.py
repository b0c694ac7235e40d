"""Rulesets for nftables, as this cloud writes them: tables of its own, with chains and sets, one statement to a line.

nft could do more with a text than change rules: read any file of the host (include). So only the forms below pass.
"""

import re

from nova.privileged import bounds
from nova.privileged.bounds import Refused

# Neither comments nor variables, continued lines or quotes of another kind.
_LINE = re.compile(r'[A-Za-z0-9 "{}(),.:;=!<>@/*&|_-]*')
_TABLE = re.compile(r"(?:delete )?table (?:bridge|inet|netdev) (?P<name>[a-z0-9-]+)(?P<opens> \{)?")
_BLOCK = re.compile(r"(?:chain|set) [A-Za-z0-9_.:-]+ \{")
_QUOTED = re.compile(r'"([^"]*)"')
# A name, or all names that begin with it.
_DEVICES = re.compile(rf"{bounds.DEVICE}\*?")
_HOOK_DEVICE = re.compile(r'device "([^"]*)"')
_DIRECTIVE = re.compile(r"\b(?:include|define|redefine|undefine)\b(?!-)")


def check(ruleset: str, space: str) -> str:
    """A ruleset that changes tables of this cloud and does nothing else. Raises Refused."""
    depth = 0
    for line in ruleset.split("\n"):
        depth = _after(line.strip(), depth, space)
    if depth:
        raise Refused("a ruleset that does not end")
    return ruleset


def _after(line: str, depth: int, space: str) -> int:
    """How deep in blocks it is after a line."""
    bounds.check(_LINE, line, "line of a ruleset")
    if not line:
        return depth
    if line == "}":
        if not depth:
            raise Refused("a ruleset that closes more than it opens")
        return depth - 1
    if depth == 0:
        match = bounds.check(_TABLE, line, "statement about a table")
        bounds.table(match["name"], space)
        if match["opens"] and line.startswith("delete"):
            raise Refused(f"no statement about a table: {line!r}")
        return 1 if match["opens"] else 0
    if depth == 1:
        bounds.check(_BLOCK, line, "chain or set")
        return 2
    _check_statement(line)
    return 2


def _check_statement(line: str) -> None:
    if not all(bounds.check(_DEVICES, name, "network device") for name in _QUOTED.findall(line)):
        raise Refused(line)
    for device in _HOOK_DEVICE.findall(line):
        bounds.own_device(device)
    bare = _QUOTED.sub("", line)
    if '"' in bare or _DIRECTIVE.search(bare):
        raise Refused(f"no rule: {line!r}")
    open_braces = 0
    for character in bare:
        open_braces += (character == "{") - (character == "}")
        if open_braces < 0:
            raise Refused(f"no rule: {line!r}")
    if open_braces:
        raise Refused(f"no rule: {line!r}")
