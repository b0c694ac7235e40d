"""Starts the simulated vCenter, which is built when its sources or the library have changed since it was built last."""

import fcntl
import hashlib
import http.client
import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from pyVmomi import SoapStubAdapter, vim

HERE = Path(__file__).parent
_LIBRARY = Path("/usr/share/gocode/src/github.com/vmware/govmomi")


def build(cache: Path) -> Path:
    """The program, of these sources."""
    if shutil.which("go") is None or not _LIBRARY.exists():
        pytest.fail("these tests build a simulated vCenter: install golang-go and golang-github-vmware-govmomi-dev")
    sources = sorted(path for path in HERE.iterdir() if path.suffix in (".go", ".sh"))
    version = (_LIBRARY / "CHANGELOG.md").read_bytes() if (_LIBRARY / "CHANGELOG.md").exists() else b""
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in sources) + version).hexdigest()[:16]
    program = cache / f"vcenter-{digest}"
    with (cache / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not program.exists():
            environment = os.environ | {"GOCACHE": str(cache / "go"), "GOFLAGS": ""}
            subprocess.run([HERE / "build.sh", f"{program}.new"], check=True, env=environment)
            Path(f"{program}.new").rename(program)
    return program


class VCenter:
    """A running one, with a cluster DC0_C0 of two hosts, a machine that is nobody's, and a look at its inside."""

    def __init__(self, program: Path, directory: Path, **options: int) -> None:
        words = [f"-{name.replace('_', '-')}={value}" for name, value in options.items()]
        self._log = (directory / "vcenter.log").open("wb")
        self._process = subprocess.Popen(
            [program, *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            env=os.environ | {"TMPDIR": str(directory)},
        )
        assert self._process.stdout is not None
        facts = json.loads(self._process.stdout.readline())
        self.port = int(facts["url"].rpartition(":")[2])
        self.datastores = {name: Path(path) for name, path in facts["datastores"].items()}
        # A negative port stands for one without TLS.
        stub = SoapStubAdapter("127.0.0.1", -self.port, version="vim.version.v7_0")
        self.content: Any = vim.ServiceInstance("ServiceInstance", stub).RetrieveContent()
        self.content.sessionManager.Login("user", "pass", None)

    def machines(self) -> list[Any]:
        """Every virtual machine in the inventory."""
        view = self.content.viewManager.CreateContainerView(self.content.rootFolder, [vim.VirtualMachine], True)
        machines = list(view.view)
        view.Destroy()
        return machines

    def datacenter(self) -> Any:
        return next(one for one in self.content.rootFolder.childEntity if isinstance(one, vim.Datacenter))

    def path(self, name: str) -> Path:
        """The file of this host that holds "[datastore] path"."""
        datastore, _, rest = name.partition("] ")
        return self.datastores[datastore.removeprefix("[")] / rest

    def control(self, what: str) -> None:
        """What no client of a vCenter can do: see ServeControls."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port)
        connection.request("GET", f"/test/{what}")
        connection.getresponse().read()

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(30)
        self._log.close()
