"""The parts of a cloud as processes: which run, how they are, and their end and beginning, without a shell for each.

tools/cloud.sh records each process in run/NAME.pid, with the moment it began: a number alone may be somebody else's.
"""

import contextlib
import http.client
import json
import os
import random
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from configparser import ConfigParser
from pathlib import Path

_VENV = Path(os.environ.get("CLOUD_VENV", Path(__file__).parents[2] / ".venv"))
_DIES_WITHIN_S = 10.0
_LOOK_S = 3.0
_TICK_S = 0.02
# A daemon on a host is started inside it, which a shell does.
_FORKED = re.compile(r"nova-[^@]+")
WELL = "well"


class Parts:
    """tool calls tools/cloud.sh, for what is not a daemon of the control plane."""

    def __init__(self, directory: Path, tool: Callable[..., str]) -> None:
        self._directory = directory
        self._tool = tool
        self._lock = threading.Lock()
        lines = [re.split(r"\s{2,}", line.strip()) for line in tool("status").splitlines()[1:]]
        self._addresses: dict[str, list[tuple[str, int]]] = {}
        for words in lines:
            listed = self._addresses.setdefault(words[0].split()[0], [])
            listed.extend((host, int(port)) for host, port in re.findall(r"(\d[\d.]+):(\d+)", " ".join(words[1:])))
        self._commands = {name: self._command(name) for name in self._addresses if _FORKED.fullmatch(name)}
        self._nursery: subprocess.Popen[str] | None = None

    @property
    def names(self) -> list[str]:
        return sorted(self._addresses)

    def health(self) -> dict[str, str]:
        """Every part, and "well" or what is wrong with it; "down" when it does not run."""
        return {name: self.health_of(name) for name in self._addresses}

    def health_of(self, name: str) -> str:
        if self._process(name) is None:
            return "down"
        if not all(_listens(address) for address in self._addresses[name]):
            return "does not answer"
        return self._readiness(name) if name.startswith("nova-") else WELL

    def kill(self, name: str) -> None:
        """The power cut of a process and of those it started. Returns when it is gone."""
        if (pid := self._process(name)) is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGKILL)
        self._wait_until_gone(name)

    def kill_worker(self, name: str, chance: random.Random) -> bool:
        """One of a daemon's workers alone, which its parent replaces. False when it has none."""
        if (pid := self._process(name)) is None:
            return False
        children = Path(f"/proc/{pid}/task/{pid}/children")
        with contextlib.suppress(OSError):
            # Its helpers are programs of their own.
            workers = [word for word in children.read_text().split() if _arguments(int(word)) == _arguments(pid)]
            if workers:
                os.kill(int(chance.choice(sorted(workers))), signal.SIGKILL)
                return True
        return False

    def start(self, name: str) -> None:
        """No harm where it runs."""
        command = self._commands.get(name)
        if command is None:
            print(self._tool("start", name), end="", flush=True)
        elif self._process(name) is None:
            self._fork(name, command)

    def close(self) -> None:
        """Let the nursery go. What it has begun stays."""
        if self._nursery is not None and self._nursery.stdin is not None:
            self._nursery.stdin.close()
            self._nursery.wait()

    def _fork(self, name: str, command: list[str]) -> None:
        wish = {"command": command, "log": str(self._directory / "log" / f"{name}.log")}
        with self._lock:
            nursery = self._nursery = self._nursery or self._open_nursery()
            assert nursery.stdin is not None and nursery.stdout is not None
            nursery.stdin.write(json.dumps(wish) + "\n")
            nursery.stdin.flush()
            pid = int(nursery.stdout.readline())
        self._record(name).write_text(f"{pid} {_began(pid)}\n")

    @staticmethod
    def _open_nursery() -> subprocess.Popen[str]:
        command = [str(_VENV / "bin" / "python"), "-W", "ignore", str(Path(__file__).with_name("nursery.py"))]
        pipe = subprocess.PIPE
        nursery = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, start_new_session=True)
        assert nursery.stdout is not None
        if nursery.stdout.readline() != "ready\n":
            sys.exit("The daemons' programs cannot be imported.")
        return nursery

    def _command(self, name: str) -> list[str]:
        """As tools/cloud.sh has it."""
        files = (self._directory / "nova.conf", self._directory / "etc" / "nova" / f"{name}.conf")
        return [str(_VENV / "bin" / name), *(f"--config-file={file}" for file in files)]

    def _record(self, name: str) -> Path:
        return self._directory / "run" / f"{name}.pid"

    def _process(self, name: str) -> int | None:
        """The number of a part's process while it is alive and the one that was recorded."""
        try:
            pid, began = self._record(name).read_text().split()
        except (OSError, ValueError):
            return None
        return int(pid) if _began(int(pid)) == began else None

    def _wait_until_gone(self, name: str) -> None:
        give_up = time.monotonic() + _DIES_WITHIN_S
        while self._process(name) is not None and time.monotonic() < give_up:
            time.sleep(_TICK_S)

    def _readiness(self, name: str) -> str:
        conf = ConfigParser(strict=False, interpolation=None, default_section="no section")
        conf.read(self._directory / "etc" / "nova" / f"{name}.conf")
        where = conf["DEFAULT"]
        page = http.client.HTTPConnection(where["health_listen"], int(where["health_port"]), timeout=_LOOK_S)
        try:
            page.request("GET", "/readyz")
            said = json.loads(page.getresponse().read())
        except (OSError, ValueError, http.client.HTTPException):
            return "does not tell how it is"
        finally:
            page.close()
        return WELL if said.get("ready") else f"not ready: {said.get('failing')}"


def _began(pid: int) -> str | None:
    """When a process began, in clock ticks since boot; None for one that is dead."""
    try:
        words = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except OSError:
        return None
    return None if words[0] == "Z" else words[19]


def _arguments(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/cmdline").read_text().split("\0")[:-1]


def _listens(address: tuple[str, int]) -> bool:
    try:
        with socket.create_connection(address, timeout=_LOOK_S):
            return True
    except OSError:
        return False
