"""A Galera cluster of two MariaDB servers on loopback, for one module of tests; gone with its data when stopped."""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[3] / "tools"))

from throwaway_databases import _await, _end, _find, _prepare, _run, free_port

_PROVIDER = "/usr/lib/galera/libgalera_smm.so"


class Galera:
    """urls() names one database by both nodes; what one commits the other has soon."""

    def __init__(self):
        self._home = Path(tempfile.mkdtemp(prefix="throwaway-galera-"))
        self._home.chmod(0o755)
        self._nodes = [_Node(self._home / name) for name in ("one", "two")]
        one, two = self._nodes
        one.install()
        # Both begin with the same data at the same place of the log, so nothing has to be brought over.
        one.start("gcomm://")
        one.stop()
        shutil.copytree(one.data, two.data)
        two.own()
        one.start("gcomm://")
        two.start(f"gcomm://127.0.0.1:{one.group_port}")

    def urls(self, name):
        _run(self._nodes[0].url("mysql"), f"CREATE DATABASE {name} CHARACTER SET utf8mb4")
        return [node.url(name) for node in self._nodes]

    def stop(self):
        for node in reversed(self._nodes):
            node.stop()
        shutil.rmtree(self._home, ignore_errors=True)


class _Node:
    def __init__(self, home):
        self._home = home
        self.data = home / "data"
        self._port, self.group_port, self._transfer_port = free_port(), free_port(), free_port()
        self._process = None
        for directory in (home, home / "tmp"):
            directory.mkdir()
            shutil.chown(directory, "mysql")

    def url(self, database):
        return f"mysql+pymysql://root@127.0.0.1:{self._port}/{database}?charset=utf8mb4"

    def install(self):
        self.data.mkdir()
        self.own()
        program = _find("mariadb-install-db", "/usr/bin", package="mariadb-server")
        places = [f"--datadir={self.data}", f"--tmpdir={self._home}/tmp", "--user=mysql"]
        _prepare([program, "--no-defaults", *places, "--auth-root-authentication-method=normal"])

    def own(self):
        for path in (self.data, *self.data.rglob("*")):
            shutil.chown(path, "mysql")

    def start(self, cluster):
        ports = f"gmcast.listen_addr=tcp://127.0.0.1:{self.group_port};ist.recv_addr=127.0.0.1:{self._transfer_port}"
        options = [
            f"--datadir={self.data}",
            f"--tmpdir={self._home}/tmp",
            "--user=mysql",
            f"--port={self._port}",
            f"--socket={self._home}/socket",
            f"--pid-file={self._home}/pid",
            "--bind-address=127.0.0.1",
            "--skip-name-resolve",
            "--innodb-buffer-pool-size=64M",
            "--binlog-format=ROW",
            "--innodb-autoinc-lock-mode=2",
            "--wsrep-on=ON",
            f"--wsrep-provider={_PROVIDER}",
            f"--wsrep-cluster-address={cluster}",
            f"--wsrep-node-address=127.0.0.1:{self.group_port}",
            f"--wsrep-provider-options={ports};gcache.size=16M",
        ]
        program = _find("mariadbd", "/usr/sbin", package="mariadb-server")
        log = self._home / "log"
        with log.open("ab") as output:
            command = [program, "--no-defaults", *options]
            self._process = subprocess.Popen(command, stdout=output, stderr=output)
        _await(self.url("mysql"), self._process, log)

    def stop(self):
        if self._process is not None:
            _end(self._process)
