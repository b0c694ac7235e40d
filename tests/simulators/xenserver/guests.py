"""The guests' QEMU processes: what a domain of the simulated host is made of."""

import contextlib
import json
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.simulators.xenserver.model import Failure

_BOOT_WITHIN_S = 60
_ORDER_WITHIN_S = 60
_UNPLUG_WITHIN_S = 20


@dataclass(frozen=True)
class Drive:
    """id: the VBD's; place: its userdevice."""

    id: str
    path: Path
    place: int
    is_cd: bool = False
    is_read_only: bool = False

    @property
    def options(self) -> dict[str, Any]:
        return {"driver": "raw", "read-only": self.is_read_only, "file": {"driver": "file", "filename": str(self.path)}}


class Guest:
    """One QEMU. on_exit is called once, from a thread of its own, when the guest has switched itself off or died."""

    def __init__(
        self,
        directory: Path,
        memory_mb: int,
        vcpus: int,
        drives: Sequence[Drive],
        macs: Sequence[str],
        on_exit: Callable[["Guest"], None],
        is_paused: bool = False,
        memory_file: Path | None = None,
    ) -> None:
        self._directory = directory
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None
        self.is_ours_to_end = False
        command = [
            "qemu-system-x86_64",
            "-machine",
            "pc,accel=tcg",
            "-nodefaults",
            "-display",
            "none",
            "-no-user-config",
        ]
        command += ["-m", str(memory_mb), "-smp", str(vcpus), "-vga", "std", "-vnc", f"unix:{directory}/screen"]
        command += ["-serial", f"file:{directory}/serial", "-qmp", f"unix:{directory}/qmp,server=on,wait=off"]
        for drive in drives:
            command += ["-blockdev", json.dumps({"node-name": drive.id, **drive.options})]
            # QEMU has no IDE disk that cannot be written to.
            model = "ide-cd" if drive.is_read_only else "ide-hd"
            where = f"bus=ide.{drive.place // 2},unit={drive.place % 2}"
            device = f"{model},{where}" if drive.place < 4 else "virtio-blk-pci"
            command += ["-device", f"{device},drive={drive.id},id=dev-{drive.id},bootindex={drive.place + 1}"]
        for number, mac in enumerate(macs):
            command += [
                "-netdev",
                f"user,id=net{number},restrict=on",
                "-device",
                f"e1000,netdev=net{number},mac={mac},romfile=",
            ]
        if memory_file is not None:
            command += ["-incoming", f"exec:cat {memory_file}"]
        command += ["-S"] if is_paused else []
        with (directory / "qemu.log").open("ab") as log:
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            self._connect()
        except OSError as error:
            self.end()
            raise Failure("INTERNAL_ERROR", f"the domain does not start: {self._last_words()}") from error
        while memory_file is not None and self.order("query-status")["status"] == "inmigrate":
            time.sleep(0.05)
        threading.Thread(target=self._watch, args=(on_exit,), daemon=True).start()

    def order(self, command: str, **arguments: Any) -> Any:
        """One QMP command's answer. Raises Failure."""
        with self._lock:
            try:
                self._send({"execute": command, "arguments": arguments})
                while "return" not in (answer := self._receive()):
                    if "error" in answer:
                        raise Failure("INTERNAL_ERROR", answer["error"]["desc"])
            except (OSError, ValueError) as error:
                raise Failure("INTERNAL_ERROR", "the domain is gone") from error
            return answer["return"]

    def plug(self, drive: Drive) -> None:
        self.order("blockdev-add", **{"node-name": drive.id, **drive.options})
        self.order("device_add", driver="virtio-blk-pci", id=f"dev-{drive.id}", drive=drive.id)

    def unplug(self, drive_id: str) -> None:
        """Take the disk away; a guest that still boots is asked again."""
        deadline = time.monotonic() + _UNPLUG_WITHIN_S
        while time.monotonic() < deadline:
            with contextlib.suppress(Failure):
                self.order("device_del", id=f"dev-{drive_id}")
            time.sleep(0.1)
            with contextlib.suppress(Failure):
                self.order("blockdev-del", **{"node-name": drive_id})
                return
        raise Failure("DEVICE_DETACH_REJECTED", "VBD", drive_id, "the guest holds it")

    def save(self, memory_file: Path) -> None:
        """Write the memory to a file, and end."""
        self.is_ours_to_end = True
        self.order("migrate", uri=f"exec:cat > {memory_file}")
        while (status := self.order("query-migrate").get("status")) not in ("completed", "failed"):
            time.sleep(0.05)
        if status == "failed":
            self.is_ours_to_end = False
            raise Failure("INTERNAL_ERROR", "the memory is not saved")
        self.end()

    def end(self) -> None:
        """At once; no error when it has ended."""
        self.is_ours_to_end = True
        self._process.kill()
        self._process.wait(30)
        if self._socket is not None:
            self._socket.close()

    def screen(self) -> socket.socket:
        """A connection that speaks RFB."""
        connection = socket.socket(socket.AF_UNIX)
        connection.connect(f"{self._directory}/screen")
        return connection

    def _watch(self, on_exit: Callable[["Guest"], None]) -> None:
        self._process.wait()
        if not self.is_ours_to_end:
            on_exit(self)

    def _connect(self) -> None:
        deadline = time.monotonic() + _BOOT_WITHIN_S
        while True:
            self._socket = socket.socket(socket.AF_UNIX)
            try:
                self._socket.connect(f"{self._directory}/qmp")
                break
            except OSError:
                self._socket.close()
                if self._process.poll() is not None or time.monotonic() > deadline:
                    raise
                time.sleep(0.02)
        self._socket.settimeout(_ORDER_WITHIN_S)
        self._answers = self._socket.makefile("rb")
        self._receive()
        self.order("qmp_capabilities")

    def _send(self, message: dict[str, Any]) -> None:
        assert self._socket is not None
        self._socket.sendall(json.dumps(message).encode() + b"\n")

    def _receive(self) -> dict[str, Any]:
        line = self._answers.readline()
        if not line:
            raise OSError("QEMU has closed the connection")
        message: dict[str, Any] = json.loads(line)
        return message

    def _last_words(self) -> str:
        return (self._directory / "qemu.log").read_text(errors="replace")[-500:]
