"""doc/architecture.md names functions that exist, and following a request through the code stays short.

A walk is a table of that page. A name that moved is corrected there; the limits below only go down.
"""

import ast
import importlib
import re
from functools import reduce
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parent.parent.parent
PAGE = (ROOT / "doc" / "architecture.md").read_text()
ROW = re.compile(r"^\| `(nova/[\w/.]+\.py)` \| (.+?) \|", re.M)
REQUEST, OPERATION = "What every Compute request passes", "What every operation passes"


class Walk(NamedTuple):
    """parts: the tables that belong to it. The most files and lines that it may have."""

    parts: tuple[str, ...]
    files: int
    lines: int


WALKS = {
    "create server": Walk((REQUEST, OPERATION, "Walk: create server"), 17, 1200),
    "resize": Walk((REQUEST, OPERATION, "Walk: resize"), 13, 800),
    "attach volume": Walk((REQUEST, OPERATION, "Walk: attach volume"), 12, 700),
    "create a port": Walk(("Walk: create a port",), 6, 300),
}


def rows_of(part: str) -> list[tuple[str, str]]:
    """The files of one table, each with a name that the page mentions beside it."""
    section = PAGE.split(f"### {part}\n", 1)[1].split("\n#", 1)[0]
    return [(path, name) for path, names in ROW.findall(section) for name in re.findall(r"`([\w.]+)`", names)]


ROWS = [row for part in sorted({part for walk in WALKS.values() for part in walk.parts}) for row in rows_of(part)]


@pytest.mark.parametrize("path, name", ROWS)
def test_every_name_of_a_walk_is_in_its_file(path, name):
    module = importlib.import_module(path.removesuffix(".py").removesuffix("/__init__").replace("/", "."))

    assert reduce(getattr, name.split("."), module) is not None
    assert length(path, name) > 0


@pytest.mark.parametrize("name", WALKS)
def test_a_walk_is_short(name):
    walk = WALKS[name]
    rows = {row for part in walk.parts for row in rows_of(part)}
    files = {path for path, _ in rows}
    lines = sum(length(path, function) for path, function in rows)
    whole = sum(len((ROOT / path).read_text().splitlines()) for path in files)

    print(f"{name}: {len(files)} files, {lines} lines of the functions named, {whole} lines of their files")
    assert len(files) <= walk.files
    assert lines <= walk.lines


def length(path: str, name: str) -> int:
    """The lines of a function, class or assignment, decorators included. Raises LookupError when it is not there."""
    body = ast.parse((ROOT / path).read_text()).body
    for part in name.split("."):
        node = next((node for node in body if part in _names(node)), None)
        if node is None:
            raise LookupError(f"{path} defines no {name}")
        body = getattr(node, "body", [])
    first = min([node.lineno, *(decorator.lineno for decorator in getattr(node, "decorator_list", ()))])
    return node.end_lineno - first + 1


def _names(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Assign):
        return [target.id for target in node.targets if isinstance(target, ast.Name)]
    if isinstance(node, ast.AnnAssign):
        return [node.target.id] if isinstance(node.target, ast.Name) else []
    return [node.name] if isinstance(node, ast.FunctionDef | ast.ClassDef) else []
