"""Calls on SR, PBD and VDI. A VDI is a raw file; a LUN that a target offers is one, too."""

import subprocess
import tempfile
import time
import uuid
from pathlib import Path
from typing import BinaryIO

from tests.simulators.xenserver.model import NULL, Failure, construct
from tests.simulators.xenserver.store import Record, Store

_BLOCK = 4096


class SrCalls:
    """luns: files by (target IQN, LUN), as iSCSI targets out there offer them."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def introduce(
        self, sr_uuid: str, name: str, description: str, type_: str, content_type: str, shared: bool, sm: dict[str, str]
    ) -> str:
        if any(record["uuid"] == sr_uuid for record in self._store.all("SR").values()):
            raise Failure("DB_UNIQUENESS_CONSTRAINT_VIOLATION", "SR", "uuid", sr_uuid)
        fields = {"type": type_, "content_type": content_type, "shared": shared, "sm_config": sm}
        storage = self._store.make("SR", name_label=name, name_description=description, **fields)
        self._store.change("SR", storage, uuid=sr_uuid or str(uuid.uuid4()))
        return storage

    def scan(self, storage: str) -> str:
        self._store.get("SR", storage)
        return ""

    def forget(self, storage: str) -> str:
        """Take the SR out of the records; what is on it stays."""
        record = self._store.get("SR", storage)
        for pbd in record["PBDs"]:
            if self._store.get("PBD", pbd)["currently_attached"]:
                raise Failure("SR_HAS_PBD", storage)
        for pbd in list(record["PBDs"]):
            self._store.remove("PBD", pbd)
        for vdi in list(record["VDIs"]):
            self._store.remove("VDI", vdi)
        self._store.remove("SR", storage)
        return ""


class PbdCalls:
    def __init__(self, store: Store, luns: dict[tuple[str, str], Path]) -> None:
        self._store = store
        self._luns = luns

    def create(self, record: object) -> str:
        whole = construct("PBD", record)
        self._store.get("host", whole["host"])
        self._store.get("SR", whole["SR"])
        for pbd in self._store.all("PBD").values():
            if (pbd["host"], pbd["SR"]) == (whole["host"], whole["SR"]):
                raise Failure("OBJECT_ALREADY_EXISTS", "PBD", pbd["uuid"])
        pbd = self._store.add("PBD", whole)
        self._store.link("host", whole["host"], "PBDs", pbd)
        self._store.link("SR", whole["SR"], "PBDs", pbd)
        return pbd

    def plug(self, pbd: str) -> str:
        record = self._store.get("PBD", pbd)
        storage = self._store.get("SR", record["SR"])
        if storage["type"] == "iscsi" and not record["currently_attached"]:
            config = record["device_config"]
            path = self._luns.get((config.get("targetIQN", ""), config.get("LUNid", "")))
            if path is None:
                raise Failure("SR_BACKEND_FAILURE_107", "", "The SCSIid parameter is missing or incorrect", "")
            if not storage["VDIs"]:
                self._show_lun(record["SR"], path)
        self._store.change("PBD", pbd, currently_attached=True)
        return ""

    def unplug(self, pbd: str) -> str:
        record = self._store.get("PBD", pbd)
        for vdi in self._store.get("SR", record["SR"])["VDIs"]:
            for vbd in self._store.get("VDI", vdi)["VBDs"]:
                if self._store.get("VBD", vbd)["currently_attached"]:
                    raise Failure("SR_DEVICE_IN_USE", record["SR"])
        self._store.change("PBD", pbd, currently_attached=False)
        return ""

    def destroy(self, pbd: str) -> str:
        record = self._store.get("PBD", pbd)
        if record["currently_attached"]:
            raise Failure("PBD_CURRENTLY_ATTACHED", pbd)
        self._store.unlink("SR", record["SR"], "PBDs", pbd)
        self._store.unlink("host", record["host"], "PBDs", pbd)
        self._store.remove("PBD", pbd)
        return ""

    def _show_lun(self, storage: str, path: Path) -> None:
        size = str(path.stat().st_size)
        fields = {"virtual_size": size, "physical_utilisation": size, "location": str(path)}
        vdi = self._store.make("VDI", SR=storage, type="user", **fields)
        self._store.change("SR", storage, VDIs=[vdi], physical_size=size)


class VdiCalls:
    """copy_delay_s: how long the copy of a disk takes at least."""

    def __init__(self, store: Store, directory: Path) -> None:
        self._store = store
        self._directory = directory
        self.copy_delay_s = 0.0

    def create(self, record: object) -> str:
        whole = construct("VDI", record)
        size = int(whole["virtual_size"])
        if size <= 0:
            raise Failure("VDI_TOO_SMALL" if size == 0 else "VALUE_NOT_SUPPORTED", "virtual_size", size)
        whole["virtual_size"] = str(-(-size // _BLOCK) * _BLOCK)
        vdi = self._new(whole)
        with self.path(vdi).open("wb") as file:
            file.truncate(int(whole["virtual_size"]))
        return vdi

    def destroy(self, vdi: str) -> str:
        record = self._idle(vdi, "destroy")
        for vbd in list(record["VBDs"]):
            self._store.unlink("VM", self._store.get("VBD", vbd)["VM"], "VBDs", vbd)
            self._store.remove("VBD", vbd)
        self._store.unlink("SR", record["SR"], "VDIs", vdi)
        self._store.remove("VDI", vdi)
        if self._store.get("SR", record["SR"])["type"] != "iscsi":
            (self._directory / record["location"]).unlink()
        self._account(record["SR"])
        return ""

    def resize(self, vdi: str, size: str) -> str:
        if not size.lstrip("-").isdigit():
            raise Failure("FIELD_TYPE_ERROR", "size")
        record = self._idle(vdi, "resize")
        rounded = -(-int(size) // _BLOCK) * _BLOCK
        if rounded < int(record["virtual_size"]):
            raise Failure("SR_BACKEND_FAILURE_79", "", "VDI Invalid size [opterr=shrinking not allowed]", "")
        self._check_room(record["SR"], rounded - int(record["virtual_size"]))
        with self.path(vdi).open("r+b") as file:
            file.truncate(rounded)
        self._store.change("VDI", vdi, virtual_size=str(rounded))
        self._account(record["SR"])
        return ""

    def clone(self, vdi: str, driver_params: dict[str, str]) -> str:
        """A writable copy, with all that the record says of the original."""
        return self._duplicate(vdi, is_a_snapshot=False)

    def snapshot(self, vdi: str, driver_params: dict[str, str]) -> str:
        copy = self._duplicate(vdi, is_a_snapshot=True)
        self._store.change("VDI", copy, snapshot_of=vdi)
        self._store.link("VDI", vdi, "snapshots", copy)
        return copy

    def copy(self, vdi: str, storage: str = NULL, base: str = NULL, into: str = NULL) -> str:
        """A full copy, in another SR or into a VDI that is there."""
        source = self._store.get("VDI", vdi)
        time.sleep(self.copy_delay_s)
        if into == NULL:
            return self._duplicate(vdi, is_a_snapshot=False, storage=storage)
        target = self._idle(into, "copy")
        if int(target["virtual_size"]) < int(source["virtual_size"]):
            raise Failure("VDI_TOO_SMALL", into, source["virtual_size"])
        size = int(target["virtual_size"])
        _copy(self.path(vdi), self.path(into))
        with self.path(into).open("r+b") as file:
            file.truncate(size)
        return into

    def forget(self, vdi: str) -> str:
        record = self._idle(vdi, "forget")
        self._store.unlink("SR", record["SR"], "VDIs", vdi)
        self._store.remove("VDI", vdi)
        return ""

    def path(self, vdi: str) -> Path:
        return self._directory / self._store.get("VDI", vdi)["location"]

    def import_(self, vdi: str, body: Path, format_: str) -> None:
        """The content of a VDI, as a client has sent it: raw or vhd."""
        self._idle(vdi, "import")
        target, size = self.path(vdi), int(self._store.get("VDI", vdi)["virtual_size"])
        raw = body
        if format_ == "vhd":
            raw = body.with_suffix(".raw")
            convert = ["qemu-img", "convert", "-f", "vpc", "-O", "raw", str(body), str(raw)]
            if subprocess.run(convert, capture_output=True).returncode:
                raise Failure("IMPORT_ERROR", "the data are no VHD")
        if raw.stat().st_size > size:
            raise Failure("VDI_IO_ERROR", "the data are longer than the VDI")
        _copy(raw, target)
        with target.open("r+b") as file:
            file.truncate(size)
        raw.unlink()

    def export(self, vdi: str, format_: str) -> BinaryIO:
        """The content of a VDI, raw or vhd, to be read."""
        path = self.path(vdi)
        if format_ == "raw":
            return path.open("rb")
        with tempfile.NamedTemporaryFile(dir=self._directory, suffix=".vhd") as file:
            convert = ["qemu-img", "convert", "-f", "raw", "-O", "vpc", "-o", "force_size=on", str(path), file.name]
            subprocess.run(convert, check=True, capture_output=True)
            return open(file.name, "rb")

    def _duplicate(self, vdi: str, is_a_snapshot: bool, storage: str = NULL) -> str:
        with self._store.changed:
            record = dict(self._store.get("VDI", vdi))
            if self._store.get("SR", record["SR"])["type"] == "iscsi" and storage == NULL:
                raise Failure("SR_OPERATION_NOT_SUPPORTED", record["SR"])
            record |= {"is_a_snapshot": is_a_snapshot, "snapshots": [], "snapshot_of": NULL}
            record |= {"VBDs": [], "SR": record["SR"] if storage == NULL else storage}
            copy = self._new(record)
            _copy(self.path(vdi), self.path(copy))
        return copy

    def _new(self, record: Record) -> str:
        self._check_room(record["SR"], int(record["virtual_size"]))
        vdi = self._store.add("VDI", record)
        self._store.change("VDI", vdi, location=f"{uuid.uuid4()}.img", physical_utilisation=record["virtual_size"])
        self._store.link("SR", record["SR"], "VDIs", vdi)
        self._account(record["SR"])
        return vdi

    def _idle(self, vdi: str, operation: str) -> Record:
        record = self._store.get("VDI", vdi)
        if any(self._store.get("VBD", vbd)["currently_attached"] for vbd in record["VBDs"]):
            raise Failure("VDI_IN_USE", vdi, operation)
        return record

    def _check_room(self, storage: str, more: int) -> None:
        record = self._store.get("SR", storage)
        if not any(self._store.get("PBD", pbd)["currently_attached"] for pbd in record["PBDs"]):
            raise Failure("SR_NO_PBDS", storage)
        if int(record["physical_utilisation"]) + more > int(record["physical_size"]):
            raise Failure("SR_BACKEND_FAILURE_44", "", "There is insufficient space", "")

    def _account(self, storage: str) -> None:
        vdis = self._store.get("SR", storage)["VDIs"]
        used = str(sum(int(self._store.get("VDI", vdi)["virtual_size"]) for vdi in vdis))
        self._store.change("SR", storage, physical_utilisation=used, virtual_allocation=used)


def _copy(source: Path, target: Path) -> None:
    subprocess.run(["cp", "--sparse=always", "--reflink=auto", str(source), str(target)], check=True)
