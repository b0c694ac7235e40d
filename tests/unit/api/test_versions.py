"""Handlers compare versions with the names of nova/api/compute/versions.py, never with a number."""

import ast
from pathlib import Path

import pytest

import nova.api
from nova.api.compute import versions

ROOT = Path(nova.api.__file__).parent
MODULES = sorted(str(path.relative_to(ROOT)) for path in ROOT.rglob("*.py"))


@pytest.mark.parametrize("module", MODULES)
def test_no_version_is_compared_with_a_number(module):
    text = (ROOT / module).read_text()

    assert literal_comparisons(text) == []


@pytest.mark.parametrize(
    "text",
    [
        "if request.version >= 98: pass",
        "if 47 > version: pass",
        "request.since(73)",
        "page = nodes if request.since(33) else []",
        "replace(key, since=70)",
        "FIRST = parse('2.54', 0)",
        "versions.parse('2.54', 0)",
    ],
)
def test_a_comparison_with_a_number_is_noticed(text):
    assert literal_comparisons(text)


def test_the_names_stand_in_the_order_of_their_numbers():
    numbers = [number for name, number in vars(versions).items() if name.isupper() and isinstance(number, int)]
    behaviours = [number for number in numbers if number not in (versions.MINIMUM, versions.MAXIMUM)]

    assert behaviours == sorted(behaviours)


def literal_comparisons(text: str) -> list[str]:
    """The places of a module's text that say a version as a number where a name belongs."""
    return [
        f"line {node.lineno}: {ast.unparse(node)}" for node in ast.walk(ast.parse(text)) if _compares_a_number(node)
    ]


def _compares_a_number(node: ast.AST) -> bool:
    if isinstance(node, ast.Compare):
        sides = [node.left, *node.comparators]
        return any(_name(side) == "version" for side in sides) and any(map(_is_number, sides))
    if isinstance(node, ast.Call):
        is_version_call = _name(node.func) in ("since", "until") and any(map(_is_number, node.args))
        keywords = [word.value for word in node.keywords if word.arg in ("since", "until")]
        parses = ast.unparse(node.func) in ("parse", "versions.parse")
        return is_version_call or parses or any(map(_is_number, keywords))
    return False


def _is_number(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and type(node.value) is int


def _name(node: ast.AST) -> str:
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""
