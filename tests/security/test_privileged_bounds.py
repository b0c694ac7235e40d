"""Somebody has got into nova-network, and asks its privileged process for more than networks need.

He is a process of the daemon's user, with the daemon's own way to the privileged process, on a machine of its own.
"""

import hashlib
import json
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tests.functional.network.machines import Machine
from tests.security.separated import USER

# Does what it is told, a line at a time.
INTRUDER = """
import json, sys
from nova import conf
from nova.network.host import rights
from nova.privileged import bounds, contexts, dhcp, links, separation, sockets
rights.separate(conf.load(sys.argv[1:]), "daemon")
print("ready", flush=True)
for line in sys.stdin:
    name, *arguments = json.loads(line)
    try:
        outcome = ["done", contexts.NETWORK.channel.remote_call(name, arguments, {}, 30)]
    except Exception as error:
        outcome = [type(error).__name__, str(error)]
    print(json.dumps(outcome), flush=True)
"""

NETWORK_ID = "e64263e5-379a-495d-9fcd-01af01a21117"


class Intruder:
    def __init__(self):
        self.directory = Path(tempfile.mkdtemp(prefix="nova-intruder-"))
        self.directory.chmod(0o755)
        self.uid = pwd.getpwnam(USER).pw_uid
        os.chown(self.directory, self.uid, -1)
        self.networks = self.directory / "networks"
        configuration = self.directory / "nova.conf"
        configuration.write_text(f"[DEFAULT]\nnetworks_path = {self.networks}\nflat_interface = lent0\n")
        self.machine = Machine(self.directory)
        command = ["nsenter", f"--net=/run/netns/{self.machine.name}", sys.executable, "-c", INTRUDER]
        self.process = subprocess.Popen(
            [*command, f"--config-file={configuration}"],
            env={**os.environ, "PYTHONWARNINGS": "ignore"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout.readline() == "ready\n"
        self.realm = hashlib.sha256(str(self.networks).encode()).hexdigest()[:6]
        self.space = f"nova-{self.realm}-n-{NETWORK_ID}"

    def ask(self, name, *arguments):
        """What came of it: "done" and the answer, or the error's name and text."""
        print(json.dumps([f"nova.privileged.{name}", *arguments]), file=self.process.stdin, flush=True)
        return json.loads(self.process.stdout.readline())

    def directory_of_server(self, name):
        """One as the daemon makes it."""
        path = self.networks / name
        path.mkdir()
        os.chown(path, self.uid, -1)
        return path

    def close(self):
        self.ask("links.change", [f"netns del {self.space}"], "")
        self.process.stdin.close()
        self.process.wait(30)
        self.machine.close()
        shutil.rmtree(self.directory)


@pytest.fixture(scope="module")
def intruder():
    intruder = Intruder()
    assert intruder.ask("links.change", [f"netns add {intruder.space}"], "") == ["done", None]
    yield intruder
    intruder.close()


def test_what_networks_need_is_done(intruder):
    bridge = "nbre64263e5379"
    table = f"nova-nat-{intruder.realm}"

    for name, *arguments in (
        ("links.change", [f"link add {bridge} type bridge stp_state 0 forward_delay 0", f"link set {bridge} up"], ""),
        ("links.load_rules", f"table inet {table} {{\n  chain a {{\n    ip saddr {{ 10.0.0.1 }} drop\n  }}\n}}\n", ""),
        ("links.set_kernel", {f"net/ipv4/conf/{bridge}/rp_filter": "1"}, ""),
        ("links.change", ["link set lo up"], intruder.space),
    ):
        assert intruder.ask(name, *arguments) == ["done", None], arguments

    assert f"table inet {table}" in intruder.ask("links.tables")[1]
    assert bridge in intruder.machine.run("ip", "link")


@pytest.mark.parametrize(
    "line",
    [
        "link set lo down",
        "link del eth0",
        "link set lent0 down",
        "link del lent0",
        "address replace 203.0.113.9/24 dev lent0",
        "address replace 203.0.113.9/24 dev lo",
        "netns del victim",
        "netns add ../../etc/cron.d/x",
        "netns add nova-000000-n-e64263e5-379a-495d-9fcd-01af01a21117",
        "netns exec victim sh",
        "link set nbr0 up\nlink del lo",
        "link set nbr0 alias \"nova-network 000000\" netns 1",
        "route replace default via 203.0.113.9 dev nbr0",
        "-batch /etc/shadow",
        "",
    ],
)  # fmt: skip
def test_devices_addresses_and_namespaces_of_others_are_not_touched(intruder, line):
    before = addresses(intruder)

    assert intruder.ask("links.change", [line], "")[0] == "Refused"

    assert addresses(intruder) == before


@pytest.mark.parametrize("space", ["victim", "../../proc/1/ns/net", "nova-000000-n-" + NETWORK_ID, "", 7, "-h"])
def test_nobody_elses_namespace_is_entered(intruder, space):
    assert intruder.ask("links.look_of", space)[0] == "Refused"
    assert intruder.ask("links.number_of", space)[0] == "Refused"
    assert intruder.ask("links.show", space, "rules")[0] == "Refused"
    assert intruder.ask("sockets.listen", space, "/dev/log")[0] == "Refused"
    assert intruder.ask("connections.tracked", space, [0])[0] == "Refused"
    assert intruder.ask("announcing.announce", space, "eth0", ["203.0.113.1"])[0] == "Refused"


def test_the_hosts_own_connections_are_neither_shown_nor_ended(intruder):
    assert intruder.ask("connections.tracked", "", [7]) == ["done", []]
    assert intruder.ask("connections.tracked", "", [7, 0])[0] == "Refused"


@pytest.mark.parametrize(
    "text",
    [
        'include "/etc/shadow"',
        "flush ruleset",
        "table inet filter {\n}",
        "delete table inet filter",
        "table inet nova-nat-000000 {\n}",
        "delete table inet NAME {\n}",
        "table inet NAME {\n}\n}\nflush ruleset",
        "table inet NAME {\n  chain a {\n    include \"/etc/shadow\"\n  }\n}",
        "table inet NAME {\n  chain a {\n    accept; } } flush ruleset\n  }\n}",
        "table inet NAME {\n  chain a {\n    accept } } table inet filter { chain b { drop\n  }\n}",
        "table inet NAME {\n  chain a {\n    accept # \\\n  }\n}",
        "table inet NAME {\n  include \"/etc/shadow\"\n}",
        "table inet NAME {\n  chain a {\n    iifname $x accept\n  }\n}",
        "table netdev NAME {\n  chain a {\n    type filter hook ingress device \"lo\" priority 0; policy drop;\n  }\n}",
        "table inet NAME {",
    ],
)  # fmt: skip
def test_a_ruleset_is_about_tables_of_this_cloud_and_reads_no_file(intruder, text):
    before = intruder.machine.run("nft", "list", "ruleset")

    assert intruder.ask("links.load_rules", text.replace("NAME", f"nova-nat-{intruder.realm}"), "")[0] == "Refused"

    assert intruder.machine.run("nft", "list", "ruleset") == before


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("kernel/core_pattern", "1"),
        ("net/ipv4/conf/../../../kernel/sysrq", "1"),
        ("net/ipv4/conf/lo/rp_filter", "0"),
        ("net/ipv4/ip_forward", "|/tmp/x"),
        ("/etc/shadow", "1"),
        ("fs/suid_dumpable", "2"),
    ],
)
def test_kernel_parameters_are_those_of_networks(intruder, name, value):
    for space in ("", intruder.space):
        if space and "/lo/" in name:
            # Inside, all devices are this cloud's.
            continue
        assert intruder.ask("links.set_kernel", {name: value}, space)[0] == "Refused"


@pytest.mark.parametrize(
    "option",
    [
        "--dhcp-script=/tmp/x",
        "--conf-file=/etc/shadow",
        "--conf-file=/tmp/x",
        "--interface=x\n--dhcp-script=/tmp/x",
        "--user=root",
        "--dhcp-luascript=/tmp/x",
        "--log-facility=/etc/cron.d/x",
        "--server=8.8.8.8 --dhcp-script=/tmp/x",
        "--pid-file=/etc/x",
    ],
)
def test_a_dhcp_server_starts_no_program_and_reads_no_file_of_others(intruder, option):
    (intruder.networks / "nbr1").exists() or intruder.directory_of_server("nbr1")

    asked = ("dhcp.start_dhcp", str(intruder.networks), "nbr1", intruder.space, [option], "")

    assert intruder.ask(*asked)[0] == "Refused"


@pytest.mark.parametrize(
    ("root", "name"), [("/etc", "x"), (None, "../x"), (None, "."), (None, "/etc"), ("/", "root"), (None, "a/b")]
)
def test_a_dhcp_server_has_a_directory_of_the_daemons(intruder, root, name):
    where = (root or str(intruder.networks), name)

    assert intruder.ask("dhcp.start_dhcp", *where, intruder.space, [], "")[0] == "Refused"
    assert intruder.ask("dhcp.signal_dhcp", *where, "die")[0] == "Refused"
    assert intruder.ask("dhcp.forget_dhcp", *where)[0] == "Refused"


def test_links_in_the_daemons_directories_lead_nowhere(intruder, tmp_path):
    """Neither one in a directory's place, nor in that of what the server writes, nor above."""
    victim = tmp_path / "victim"
    victim.mkdir()
    (victim / "leases").write_text("precious")
    own = intruder.directory_of_server("nbr2")
    (own / "run").symlink_to(victim)
    (intruder.networks / "nbr3").symlink_to(victim)
    start = ("dhcp.start_dhcp", str(intruder.networks))

    assert intruder.ask(*start, "nbr2", intruder.space, [], "x")[0] != "done"
    assert intruder.ask(*start, "nbr3", intruder.space, [], "x")[0] != "done"
    assert intruder.ask("dhcp.forget_dhcp", str(intruder.networks), "nbr2")[0] != "done"
    intruder.networks.rename(intruder.directory / "aside")
    intruder.networks.symlink_to(tmp_path)
    assert intruder.ask(*start, "victim", intruder.space, [], "x")[0] == "Refused"
    intruder.networks.unlink()
    (intruder.directory / "aside").rename(intruder.networks)

    assert (victim / "leases").read_text() == "precious"
    assert [path.name for path in victim.iterdir()] == ["leases"]
    assert victim.stat().st_uid == 0


def test_no_file_of_another_is_written_or_given_away_as_leases(intruder, tmp_path):
    victim = tmp_path / "shadow"
    victim.write_text("precious")
    own = intruder.directory_of_server("nbr4")
    (own / "run").mkdir()
    os.chown(own / "run", 65534, 65534)
    for name in ("leases", "leases.new"):
        (own / "run" / name).symlink_to(victim)

    # It does not start, for its files lack; its leases have been made by then.
    intruder.ask("dhcp.start_dhcp", str(intruder.networks), "nbr4", intruder.space, ["--port=0"], "mine\n")

    assert (own / "run/leases").read_text() == "mine\n"
    assert not (own / "run/leases").is_symlink()
    assert (victim.read_text(), victim.stat().st_uid) == ("precious", 0)
    intruder.ask("dhcp.signal_dhcp", str(intruder.networks), "nbr4", "end")


def test_no_process_but_a_dhcp_server_is_signalled(intruder):
    own = intruder.directory_of_server("nbr5")
    (own / "run").mkdir()
    with subprocess.Popen(["sleep", "60"]) as victim:
        (own / "run/pid").write_text(str(victim.pid))
        for what in ("read again", "end", "die"):
            assert intruder.ask("dhcp.signal_dhcp", str(intruder.networks), "nbr5", what) == ["done", None]

        assert victim.poll() is None
        victim.send_signal(signal.SIGTERM)


def test_bounds_are_told_once_and_only_operations_are_operations(intruder):
    wider = {
        "networks_path": "/",
        "realm": "000000",
        "bridges": ["lo"],
        "lent": [],
        "dnsmasq_config_file": "",
        "uid": 0,
    }

    assert intruder.ask("bounds.confine", wider)[0] == "Refused"
    for name in ("tools.run", "tools.subprocess.run", "links._write_kernel", "bounds.os.system", "links.inside"):
        assert intruder.ask(name, "id")[0] != "done"


def addresses(intruder):
    """What ip tells; the kernel makes sure of an address of its own accord, after a second or two."""
    return intruder.machine.run("ip", "address").replace(" tentative", "")
