"""Prints line and branch coverage per package: tools/coverage_by_package.py DATA_FILE..."""

import json
import sys
import tempfile
from collections import Counter, defaultdict
from pathlib import Path

import coverage

_ROW = "{:<20} {:>8} {:>8} {:>9} {:>8}"
_COUNTED = ("num_statements", "covered_lines", "num_branches", "covered_branches")


def main() -> None:
    totals = _totals(sys.argv[1:])
    print(_ROW.format("package", "lines", "covered", "branches", "covered"))
    for package, counts in [*sorted(totals.items()), ("all", sum(totals.values(), Counter()))]:
        lines, hit_lines, branches, hit_branches = (counts[name] for name in _COUNTED)
        print(_ROW.format(package, lines, _percent(hit_lines, lines), branches, _percent(hit_branches, branches)))


def _totals(data_files: list[str]) -> dict[str, Counter[str]]:
    """What was counted in the files of each package of nova, by package."""
    with tempfile.TemporaryDirectory() as directory:
        measured = coverage.Coverage(data_file=f"{directory}/all")
        measured.combine(data_files, keep=True)
        report = Path(directory, "report.json")
        measured.json_report(outfile=str(report))
        files = json.loads(report.read_text())["files"]
    totals: dict[str, Counter[str]] = defaultdict(Counter)
    for path, entry in files.items():
        # nova/clock.py is of the package nova, nova/db/engine.py of nova/db.
        package = "/".join(Path(path).parent.parts[:2])
        totals[package].update({name: entry["summary"][name] for name in _COUNTED})
    return totals


def _percent(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f}%" if whole else "-"


if __name__ == "__main__":
    main()
