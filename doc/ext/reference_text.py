"""Markdown of what is no Markdown: texts of the code, with their stars, brackets and underscores."""

import re
from collections.abc import Iterable, Sequence
from typing import Any

_SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|~$^])")


def escaped(text: str) -> str:
    """A text that looks as it is."""
    return _SPECIAL.sub(r"\\\1", text)


def paragraphs(text: str) -> list[str]:
    return [escaped(" ".join(part.split())) for part in re.split(r"\n\s*\n", text) if part.strip()]


def cell(text: str) -> str:
    return " ".join(paragraphs(text))


def quoted(text: str) -> str:
    """A text in which ``...`` is code, as in release notes."""
    parts = re.split(r"``(.+?)``", " ".join(text.split()))
    return "".join(code(part) if number % 2 else escaped(part) for number, part in enumerate(parts))


def code(value: Any) -> str:
    """A value as code; what would end the code or a table's cell is written otherwise."""
    text = str(value).replace("|", "\\|")
    fence = "``" if "`" in text else "`"
    return f"{fence}{text}{fence}" if text.strip() else "(empty)"


def table(titles: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [titles, ["---"] * len(titles), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
