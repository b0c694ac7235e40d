"""EC2's actions and the shapes of what they take and answer, read from model.json (made by tools/ec2_model.py)."""

import functools
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Member:
    """A member of a structure: its shape, and its name in a query and in XML."""

    shape: str
    query: str
    xml: str


@dataclass(frozen=True)
class Shape:
    """kind: structure (with members), list (of item, each named xml), or the name of a scalar."""

    kind: str
    members: Mapping[str, Member]
    required: tuple[str, ...] = ()
    item: str = ""
    xml: str = ""


@dataclass(frozen=True)
class Model:
    """operations: action to the names of the shapes it takes and answers; the latter may be None."""

    version: str
    operations: Mapping[str, tuple[str, str | None]]
    shapes: Mapping[str, Shape]

    @property
    def namespace(self) -> str:
        return f"http://ec2.amazonaws.com/doc/{self.version}/"


@functools.cache
def model() -> Model:
    table = json.loads((Path(__file__).parent / "model.json").read_text())
    return Model(
        table["version"],
        {action: (taken, answered) for action, (taken, answered) in table["operations"].items()},
        {name: _shape(entry) for name, entry in table["shapes"].items()},
    )


def _shape(entry: Any) -> Shape:
    if isinstance(entry, str):
        return Shape(entry, {})
    if "list" in entry:
        return Shape("list", {}, item=entry["list"], xml=entry["xml"])
    members = {name: Member(*member) for name, member in entry["structure"].items()}
    return Shape("structure", members, tuple(entry["required"]))
