"""Starts MariaDB and PostgreSQL servers for one run, from Debian's packages, under users of their own.

Each lives in a directory of its own, listens on loopback at a free port, and is gone with all its
data when stopped. Missing programs are an error that says which package brings them.
"""

import contextlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import sqlalchemy as sa

_PATIENCE_S = 60


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


class MariaDB:
    """One MariaDB server; new_database() gives the URL of an empty database."""

    def __init__(self) -> None:
        program = _find("mariadbd", "/usr/sbin", package="mariadb-server")
        install = _find("mariadb-install-db", "/usr/bin", package="mariadb-server")
        self._home = Path(tempfile.mkdtemp(prefix="throwaway-mariadb-"))
        self._home.chmod(0o755)
        user = "mysql" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name
        data, scratch = self._home / "data", self._home / "tmp"
        for directory in (data, scratch):
            directory.mkdir()
            shutil.chown(directory, user)
        # A server that starts removes the temporary tables of every other one with the same tmpdir.
        places = [f"--datadir={data}", f"--tmpdir={scratch}", f"--user={user}"]
        _prepare([install, "--no-defaults", *places, "--auth-root-authentication-method=normal"])
        self._port = free_port()
        options = [
            *places,
            f"--port={self._port}",
            f"--socket={data}/mysqld.sock",
            f"--pid-file={data}/mysqld.pid",
            "--bind-address=127.0.0.1",
            "--skip-name-resolve",
            "--max-connections=300",
            "--innodb-buffer-pool-size=256M",
        ]
        self._command = [program, "--no-defaults", *options]
        self._root = f"mysql+pymysql://root@127.0.0.1:{self._port}"
        self.resume()

    def resume(self) -> None:
        """Start, for the first time or again after pause()."""
        with (self._home / "log").open("ab") as log:
            self._process = subprocess.Popen(self._command, stdout=log, stderr=log)
        _await(f"{self._root}/mysql", self._process, self._home / "log")

    def pause(self) -> None:
        """End the server; its data stays."""
        _end(self._process)

    def new_database(self) -> str:
        name = f"test_{uuid.uuid4().hex[:12]}"
        _run(f"{self._root}/mysql", f"CREATE DATABASE {name} CHARACTER SET utf8mb4")
        return f"{self._root}/{name}?charset=utf8mb4"

    def stop(self) -> None:
        self.pause()
        shutil.rmtree(self._home, ignore_errors=True)


class PostgreSQL:
    """One PostgreSQL server; new_database() gives the URL of an empty database."""

    def __init__(self) -> None:
        found = sorted(str(path) for path in Path("/usr/lib/postgresql").glob("*/bin"))
        places = found[-1] if found else "/usr/bin"
        program = _find("postgres", places, package="postgresql")
        install = _find("initdb", places, package="postgresql")
        self._home = Path(tempfile.mkdtemp(prefix="throwaway-postgresql-"))
        self._home.chmod(0o755)
        data = self._home / "data"
        data.mkdir(mode=0o700)
        account = pwd.getpwnam("postgres") if os.geteuid() == 0 else pwd.getpwuid(os.geteuid())
        os.chown(data, account.pw_uid, account.pw_gid)
        switch = {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []} if os.geteuid() == 0 else {}
        _prepare([install, "-D", str(data), "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C"], switch)
        self._port = free_port()
        options = ["-p", str(self._port), "-h", "127.0.0.1", "-k", str(data), "-c", "max_connections=300"]
        self._command = [program, "-D", str(data), *options]
        self._switch = switch
        self._root = f"postgresql+psycopg://postgres@127.0.0.1:{self._port}"
        self.resume()

    def resume(self) -> None:
        """Start, for the first time or again after pause()."""
        with (self._home / "log").open("ab") as log:
            self._process = subprocess.Popen(self._command, stdout=log, stderr=log, cwd="/", **self._switch)
        _await(f"{self._root}/postgres", self._process, self._home / "log")

    def pause(self) -> None:
        """End the server; its data stays."""
        # SIGINT asks for a fast shutdown; SIGTERM would wait for clients.
        _end(self._process, signal.SIGINT)

    def new_database(self) -> str:
        name = f"test_{uuid.uuid4().hex[:12]}"
        _run(f"{self._root}/postgres", f"CREATE DATABASE {name}")
        return f"{self._root}/{name}"

    def stop(self) -> None:
        self.pause()
        shutil.rmtree(self._home, ignore_errors=True)


SERVERS = {"mariadb": MariaDB, "postgresql": PostgreSQL}


@contextlib.contextmanager
def database(kind: str) -> Iterator[str]:
    """The URL of an empty database of this kind (sqlite, mariadb, postgresql), gone afterwards."""
    if kind == "sqlite":
        with tempfile.TemporaryDirectory(prefix="throwaway-sqlite-") as home:
            yield f"sqlite:///{home}/database.sqlite"
        return
    server = SERVERS[kind]()
    try:
        yield server.new_database()
    finally:
        server.stop()


def _find(program: str, place: str, package: str) -> str:
    found = shutil.which(program, path=f"{place}:{os.environ.get('PATH', '')}")
    if found is None:
        raise FileNotFoundError(f"{program} is missing: install Debian's package {package}")
    return found


def _prepare(command: list[str], switch: dict[str, Any] | None = None) -> None:
    """Make the files of a new database server. Raises RuntimeError with what its program says."""
    made = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd="/", **(switch or {})
    )
    if made.returncode != 0:
        raise RuntimeError(f"{' '.join(command)} ended with {made.returncode}:\n{made.stdout[-4000:]}")


def _await(url: str, process: subprocess.Popen, log: Path) -> None:
    deadline = time.monotonic() + _PATIENCE_S
    while True:
        try:
            _run(url, "SELECT 1")
            return
        except sa.exc.OperationalError:
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"the database server did not start:\n{log.read_text()[-4000:]}") from None
            time.sleep(0.1)


def _run(url: str, statement: str) -> None:
    engine = sa.create_engine(url, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
    with engine.connect() as connection:
        connection.exec_driver_sql(statement)


def _end(process: subprocess.Popen, number: int = signal.SIGTERM) -> None:
    if process.poll() is not None:
        return
    process.send_signal(number)
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
