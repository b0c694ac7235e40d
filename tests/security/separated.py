"""nova-network as its unit starts it: as root with the unit's capabilities, to become somebody without any."""

import contextlib
import os
import pwd
import shutil
import subprocess
import sys
import tempfile
import uuid
from pathlib import Path

import requests

from nova.concurrency import wait_for
from nova.network.host import firewall
from tests.functional.network.machines import Machine, connect
from tests.security.units import capabilities_of, command_of

# Anybody who owns nothing here.
USER = "daemon"

CONF = """
[DEFAULT]
concurrency_backend = {backend}
transport_url = local://
networks_path = {directory}/networks
network_api_listen = 127.0.0.1
state_path = {directory}
host = network-1
metadata_host = 127.0.0.1
metadata_port = 18775
[neutron]
service_metadata_proxy = true
metadata_proxy_shared_secret = between-proxy-and-api
[api]
auth_strategy = noauth2
[database]
connection = sqlite:///{directory}/networks.db
"""

# A conductor's part that nova-network needs is in its own process. What is imported late is imported early here: the
# interpreter that runs the tests may lie where root alone can read.
DAEMON = """
import sys
from nova.cmd import network
import encodings.idna, sqlite3, sqlalchemy.dialects.sqlite
from nova.conductor.calls.networks import NetworkingCalls
from nova.conductor.service import open_database
build = network.build
network.build = lambda conf: build(conf, NetworkingCalls(open_database(conf)))
sys.exit(network.main())
"""


class Separated:
    """One nova-network on a machine of its own."""

    def __init__(self, database, backend):
        self.uid = pwd.getpwnam(USER).pw_uid
        # Not below a directory that root alone may enter, as pytest's are.
        self.directory = Path(tempfile.mkdtemp(prefix="nova-separated-"))
        self.directory.chmod(0o755)
        shutil.copy(database, self.directory / "networks.db")
        for path in (self.directory, self.directory / "networks.db"):
            os.chown(path, self.uid, -1)
        self.configuration = self.directory / "nova.conf"
        self.configuration.write_text(CONF.format(directory=self.directory, backend=backend))
        self.machine = Machine(self.directory)
        self.machines = [self.machine]
        self.process = None

    def start(self):
        """As systemd does: the unit's command, capabilities, and no new privileges."""
        [_, *arguments] = command_of("nova-network")
        given = {"/etc/nova/nova.conf": str(self.configuration), "nova": USER}
        kept = ",".join(f"+{name.removeprefix('CAP_').lower()}" for name in capabilities_of("nova-network"))
        limits = ["setpriv", "--no-new-privs", f"--bounding-set=-all,{kept}", "--inh-caps=-all"]
        # In the machine's network and nothing else of it: namespaces must be there for all.
        command = ["nsenter", f"--net=/run/netns/{self.machine.name}", *limits, sys.executable, "-c", DAEMON]
        with open(self.directory / "log", "ab") as log:
            self.process = subprocess.Popen(
                [*command, *(given.get(word, word) for word in arguments)],
                env={**os.environ, "PYTHONWARNINGS": "ignore"},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        assert wait_for(lambda: self.ask("GET", "networks") or self.has_ended(), timeout_s=120, interval_s=0.2)
        assert not self.has_ended(), self.log()

    def has_ended(self):
        return self.process.poll() is not None

    def log(self):
        return (self.directory / "log").read_text()

    def ask(self, method, path, body=None):
        """The API's answer; None when there is none."""
        with self.machine.inside(), contextlib.suppress(requests.RequestException):
            url = f"http://127.0.0.1:9696/v2.0/{path}"
            answer = requests.request(method, url, json=body, headers={"X-Auth-Token": "admin:admin"}, timeout=20)
            return answer.json() if answer.content else {}
        return None

    def create(self, noun, **values):
        return self.ask("POST", f"{noun}s", {noun: values})[noun]

    def network(self, cidr):
        network = self.create("network", name="private")
        self.create("subnet", network_id=network["id"], ip_version=4, cidr=cidr)
        return network

    def guest(self, network):
        """A guest on a network, with a device and without an address."""
        binding = {"binding:host_id": "network-1", "device_owner": "compute:nova", "device_id": str(uuid.uuid4())}
        port = self.create("port", network_id=network["id"], **binding)
        bridge, device = f"nbr{network['id'].replace('-', '')[:11]}", firewall.device_of(port["id"])
        assert wait_for(lambda: bridge in self.machine.run("ip", "link"), timeout_s=60, interval_s=0.2)
        guest = Machine(self.directory)
        self.machines.append(guest)
        connect(self.machine, device, guest, "eth0", mac=port["mac_address"])
        self.machine.run("ip", "link", "set", device, "master", bridge)
        guest.address, guest.server_id = port["fixed_ips"][0]["ip_address"], binding["device_id"]
        return guest

    def servers(self):
        """Pids of the DHCP servers that have come up."""
        texts = [path.read_text() for path in self.directory.glob("networks/*/run/pid")]
        return [int(text) for text in texts if text.strip()]

    def helper(self):
        """The pid of the privileged process."""
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            with contextlib.suppress(OSError):
                words = path.read_bytes().split(b"\0")
                if str(self.configuration).encode() in words and b"--privsep_context" in words:
                    return int(path.parent.name)
        return None

    def close(self):
        if self.process and not self.has_ended():
            self.process.terminate()
            self.process.wait(30)
        teardown = [
            "-c",
            "from nova.cmd.network import main; main()",
            f"--config-file={self.configuration}",
            "--teardown",
        ]
        command = ["nsenter", f"--net=/run/netns/{self.machine.name}", sys.executable, *teardown]
        subprocess.run(command, env={**os.environ, "PYTHONWARNINGS": "ignore"}, check=True, capture_output=True)
        for machine in self.machines:
            machine.close()
        shutil.rmtree(self.directory)


def rights_of(pid):
    """Of every thread of a process: its user, and its capabilities by kind as /proc names them."""
    threads = []
    for path in Path(f"/proc/{pid}/task").iterdir():
        # One may end meanwhile.
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            lines = dict(line.split(":", 1) for line in (path / "status").read_text().splitlines())
            kinds = ("CapInh", "CapPrm", "CapEff", "CapAmb", "CapBnd")
            threads.append({"uids": set(lines["Uid"].split()), **{kind: int(lines[kind], 16) for kind in kinds}})
    assert threads
    return threads
