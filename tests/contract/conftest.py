"""Where the contract lies: --contract-dir, else CONTRACT_DIR, else the directory beside the checkout.

Nothing here or in the runners names a file of it: another directory of the same shape runs as it is.
"""

import os
from pathlib import Path

import pytest

# Samples that were not replayed as they are: (what, why).
NOT_REPLAYED: pytest.StashKey[list[tuple[str, str]]] = pytest.StashKey()

_BESIDE = Path(__file__).resolve().parents[3] / "shared" / "contract"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--contract-dir", help="directory with the contract data; also CONTRACT_DIR")


def pytest_configure(config: pytest.Config) -> None:
    config.stash[NOT_REPLAYED] = []


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Say what was not replayed, and why."""
    listed = config.stash[NOT_REPLAYED]
    if listed:
        terminalreporter.section("not replayed")
        for what, why in listed:
            terminalreporter.line(f"{what}: {why}")


def find_contract(config: pytest.Config) -> Path:
    """The contract directory this run was asked to use; it need not exist."""
    return Path(config.getoption("--contract-dir", None) or os.environ.get("CONTRACT_DIR") or _BESIDE)


@pytest.fixture(scope="session")
def contract_dir(request: pytest.FixtureRequest) -> Path:
    """The contract directory; without it the test is skipped with one line that says so."""
    found = find_contract(request.config)
    if not found.is_dir():
        pytest.skip(f"no contract data at {found}: give --contract-dir or CONTRACT_DIR")
    return found
