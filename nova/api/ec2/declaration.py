"""The declaration of an action: everything about it but what it does stands in the decorator.

takes names the parameters an action honours, by the names of the model's members: "Ebs.VolumeSize" stands for one
member, "Ebs" for all below it. Any other parameter that the model knows is refused, unless it says what holds anyhow.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from nova.api.ec2 import errors
from nova.errors import DomainError

# Every action knows them.
_ALWAYS = frozenset(("DryRun",))

# The values of a thing that a filter compares with; one of them has to match.
Filter = Callable[[Any], Iterable[Any]]
Item = dict[str, Any]
Codes = Mapping[type[DomainError], str]


@dataclass(frozen=True)
class Listing:
    """How the items of a list are chosen and cut into pages.

    key: the member of the answer with the items. by: the member of an item that orders and names it. ids: the parameter
    that names some of them, and the prefix of their ids. wrap: from the items of a page to what stands under key.
    """

    key: str
    by: str
    ids: str | None = None
    kind: str | None = None
    filters: Mapping[str, Filter] = field(default_factory=dict)
    wrap: Callable[[list[Item]], list[Item]] | None = None


@dataclass(frozen=True, eq=False)
class Action:
    """policy: the rule of the Compute API's operation it stands on; a tuple where several have to hold.

    holds: parameters that say what is so in any case, by path, and the values that may be given. codes: the action's own
    codes for some errors.
    """

    name: str
    handler: Callable[..., Any]
    policy: tuple[str, ...]
    takes: frozenset[str] = frozenset()
    holds: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    lists: Listing | None = None
    codes: Codes = field(default_factory=dict)

    def check(self, given: Mapping[str, Any]) -> None:
        """Raises BadRequest (Unsupported) for a parameter that would not be honoured."""
        for path, value in _leaves(given, ""):
            if path in _ALWAYS or self._takes(path) or (self.lists is not None and self._chooses(path)):
                continue
            if value not in self.holds.get(path, ()):
                raise errors.unsupported(path, value)

    def _takes(self, path: str) -> bool:
        parts = path.split(".")
        return any(".".join(parts[:length]) in self.takes for length in range(1, len(parts) + 1))

    def _chooses(self, path: str) -> bool:
        assert self.lists is not None
        return path.split(".")[0] in ("Filters", "MaxResults", "NextToken", self.lists.ids)


def action(
    name: str,
    *,
    policy: str | tuple[str, ...],
    takes: Iterable[str] = (),
    holds: Mapping[str, tuple[Any, ...]] | None = None,
    lists: Listing | None = None,
    codes: Codes | None = None,
) -> Callable[[Callable[..., Any]], Action]:
    rules = (policy,) if isinstance(policy, str) else policy
    return lambda handler: Action(name, handler, rules, frozenset(takes), holds or {}, lists, codes or {})


def collect(*modules: Any) -> dict[str, Action]:
    """The actions declared in some modules, by name."""
    declared = [value for module in modules for value in vars(module).values() if isinstance(value, Action)]
    return {each.name: each for each in declared}


def _leaves(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict) and value:
        for name, inner in value.items():
            yield from _leaves(inner, f"{path}.{name}" if path else name)
    elif isinstance(value, list) and value:
        for inner in value:
            yield from _leaves(inner, path)
    elif path:
        yield path, value
