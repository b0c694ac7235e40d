"""Times every statement that a database is sent, by its kind and the first table it names.

Both come from its text, which code writes: no user makes a new series.
"""

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import event
from sqlalchemy.engine import Engine

from nova import metrics

_KINDS = ("select", "insert", "update", "delete", "begin", "commit", "rollback")
_WITH_TABLE = _KINDS[:4]
_WORD = re.compile(r"\s*(\w+)")
_TABLE = re.compile(r'\b(?:FROM|INTO|UPDATE)\s+[`"]?(\w+)')


def watch(engine: Engine, database: str) -> None:
    """Time what goes through this engine's cursors."""

    def begin(connection: Any, cursor: Any, statement: str, parameters: Any, context: Any, is_many: bool) -> None:
        context.nova_began = time.monotonic()

    def end(connection: Any, cursor: Any, statement: str, parameters: Any, context: Any, is_many: bool) -> None:
        _count(database, statement, context.nova_began, "ok")

    def fail(context: Any) -> None:
        began = getattr(context.execution_context, "nova_began", None)
        # Without one, no statement was sent: the database could not be reached.
        if began is not None:
            _count(database, context.statement, began, "error")

    event.listen(engine, "before_cursor_execute", begin)
    event.listen(engine, "after_cursor_execute", end)
    event.listen(engine, "handle_error", fail)


@contextmanager
def timed_batch(database: str) -> Iterator[None]:
    """Around several statements that are sent in one message."""
    began, outcome = time.monotonic(), "error"
    try:
        yield
        outcome = "ok"
    finally:
        metrics.STATEMENTS.labels(database, "batch", "", outcome).observe(time.monotonic() - began)


def class_of(statement: str) -> tuple[str, str]:
    """Kind and table of a statement; "other" is what changes no row and reads none."""
    word = _WORD.match(statement)
    kind = word[1].lower() if word else ""
    if kind == "with":
        kind = "select"
    if kind not in _KINDS:
        kind = "begin" if kind == "start" else "other"
    table = _TABLE.search(statement) if kind in _WITH_TABLE else None
    return kind, table[1].lower() if table else ""


def _count(database: str, statement: str, began: float, outcome: str) -> None:
    metrics.STATEMENTS.labels(database, *class_of(statement), outcome).observe(time.monotonic() - began)
