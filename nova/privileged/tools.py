"""Programs of this host, run for a bounded time."""

import os
import subprocess
from collections.abc import Mapping

_ENDS_WITHIN_S = 120.0


class CommandFailed(Exception):
    """A tool of this host failed; the message is what it printed."""


def run(
    *command: str, given: str | None = None, namespace: str = "", environment: Mapping[str, str] | None = None
) -> str:
    """Run a command, in a network namespace where one is named; what it printed. Raises CommandFailed.

    environment: beside this process's own.
    """
    if namespace:
        command = ("nsenter", f"--net=/run/netns/{namespace}", *command)
    try:
        done = subprocess.run(
            list(command),
            input=given,
            capture_output=True,
            text=True,
            timeout=_ENDS_WITHIN_S,
            check=False,
            env={**os.environ, **(environment or {})},
        )
    except subprocess.TimeoutExpired as error:
        raise CommandFailed(f"{' '.join(command)}: not done within {_ENDS_WITHIN_S:.0f} s") from error
    if done.returncode:
        raise CommandFailed(f"{' '.join(command)}: {done.stderr.strip()}")
    return done.stdout
