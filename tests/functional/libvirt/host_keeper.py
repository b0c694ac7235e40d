"""Process 1 of a hypervisor host made of namespaces: runs its virtlogd and libvirtd, reaps, and takes all with it.

Started inside new mount, PID, UTS and network namespaces with the host's directory and name. Reads
one command per line (up, kill, down, stop, continue) and answers each with a line. The end of its input ends the host.
"""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

OWN_DIRECTORIES = {
    "etc": "/etc/libvirt",
    "run": "/run/libvirt",
    "lib": "/var/lib/libvirt",
    "log": "/var/log/libvirt",
    "cache": "/var/cache/libvirt",
}
PATIENCE_S = 30
# A libvirtd that is stopped accepts connections and answers nothing.
PAUSES = {"stop": signal.SIGSTOP, "continue": signal.SIGCONT}


def main() -> None:
    directory, name = Path(sys.argv[1]), sys.argv[2]
    for own, place in OWN_DIRECTORIES.items():
        Path(place).mkdir(parents=True, exist_ok=True)
        subprocess.run(["mount", "--bind", directory / own, place], check=True)
    socket.sethostname(name)
    # SPICE listens nowhere on a host that has no address but the loopback's.
    for words in (
        "link set lo up",
        "link add brhost type bridge",
        "addr add 192.0.2.1/24 dev brhost",
        "link set brhost up",
    ):
        subprocess.run(["ip", *words.split()], check=True)
    # Their default pid files are outside the directories that are this host's own.
    subprocess.Popen(["virtlogd", "--pid-file", "/run/libvirt/virtlogd.pid"])
    threading.Thread(target=reap, daemon=True).start()
    daemon = None
    for line in sys.stdin:
        command = line.strip()
        if command == "up":
            daemon = subprocess.Popen(["libvirtd", "--pid-file", "/run/libvirt/libvirtd.pid"])
            wait_for_socket(directory / "run" / "libvirt-sock")
        elif command in PAUSES:
            os.kill(daemon.pid, PAUSES[command])
        elif daemon is not None:
            os.kill(daemon.pid, signal.SIGKILL if command == "kill" else signal.SIGTERM)
            (directory / "run" / "libvirt-sock").unlink(missing_ok=True)
            wait_for_end(daemon.pid)
            daemon = None
        print("done", flush=True)


def reap() -> None:
    # libvirt waits until a dead QEMU has no process entry any more: this is what an init is for.
    while True:
        try:
            os.waitpid(-1, 0)
        except ChildProcessError:
            time.sleep(0.02)


def wait_for_socket(path: Path) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        with socket.socket(socket.AF_UNIX) as probe:
            if probe.connect_ex(str(path)) == 0:
                return
        time.sleep(0.02)


def wait_for_end(pid: int) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while Path(f"/proc/{pid}").exists():
        if time.monotonic() > deadline:
            os.kill(pid, signal.SIGKILL)
        time.sleep(0.02)


if __name__ == "__main__":
    main()
