"""Write the table of actions in doc/ec2.md from their declarations: tools/ec2_actions.py."""

import sys
from pathlib import Path

from nova.api.ec2 import ACTIONS
from nova.api.ec2.declaration import Action

PAGE = Path(__file__).parents[1] / "doc/ec2.md"
_BEGIN, _END = "<!-- The table is written by tools/ec2_actions.py. -->\n", "<!-- End of the table. -->\n"


def main() -> int:
    PAGE.write_text(with_table(PAGE.read_text()))
    return 0


def with_table(page: str) -> str:
    """The page with the table as the declarations have it."""
    before, _, rest = page.partition(_BEGIN)
    return before + _BEGIN + table() + _END + rest.partition(_END)[2]


def table() -> str:
    rows = ["| Action | Parameters | Rules of the Compute API |", "|---|---|---|"]
    rows += [f"| {name} | {_parameters(action)} | {', '.join(action.policy)} |" for name, action in ACTIONS.items()]
    return "\n".join(rows) + "\n"


def _parameters(action: Action) -> str:
    names = sorted(action.takes)
    if action.lists is not None:
        names += [action.lists.ids] if action.lists.ids else []
        names.append(f"Filters ({', '.join(sorted(action.lists.filters))})")
    names += [f"{path}: {' or '.join(map(_text, values))} alone" for path, values in sorted(action.holds.items())]
    return ", ".join(names)


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


if __name__ == "__main__":
    sys.exit(main())
