"""A cloud that an attacker shares with others."""

from tests.functional.conftest import *  # noqa: F403
from tests.functional.console.conftest import make_consoles, screen  # noqa: F401
