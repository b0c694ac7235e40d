"""Where the contract lies: --contract-dir, else CONTRACT_DIR, else the directory beside the checkout.

Nothing here or in the runners names a file of it: another directory of the same shape runs as it is.
"""

import os
from pathlib import Path
from typing import Any

import pytest

# The property of a test whose sample could not be replayed as it is: why.
NOT_REPLAYED = "not replayed"

_BESIDE = Path(__file__).resolve().parents[3] / "shared" / "contract"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--contract-dir", help="directory with the contract data; also CONTRACT_DIR")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say what was not replayed, and why."""
    ended = [one for listed in terminalreporter.stats.values() for one in listed]
    reports = [one for one in ended if isinstance(one, pytest.TestReport) and one.when == "call"]
    listed = [(one.nodeid, why) for one in reports for name, why in one.user_properties if name == NOT_REPLAYED]
    if listed:
        terminalreporter.section(NOT_REPLAYED)
    for where, why in listed:
        terminalreporter.line(f"{where.partition('[')[2].removesuffix(']')}: {why}")


def find_contract(config: pytest.Config) -> Path:
    """The contract directory this run was asked to use; it need not exist."""
    return Path(config.getoption("--contract-dir", None) or os.environ.get("CONTRACT_DIR") or _BESIDE)


def parametrize(metafunc: pytest.Metafunc, names: tuple[str, ...], cases: list[Any], what: str) -> None:
    """A test for each case; without any, because the contract is not there, one that is skipped and says so."""
    if not cases:
        reason = f"no {what}: give --contract-dir or CONTRACT_DIR"
        cases = [pytest.param(*(None for _ in names), id="no contract data", marks=pytest.mark.skip(reason=reason))]
    metafunc.parametrize(names if len(names) > 1 else names[0], cases)


@pytest.fixture(scope="session")
def contract_dir(request: pytest.FixtureRequest) -> Path:
    """The contract directory; without it the test is skipped with one line that says so."""
    found = find_contract(request.config)
    if not found.is_dir():
        pytest.skip(f"no contract data at {found}: give --contract-dir or CONTRACT_DIR")
    return found
