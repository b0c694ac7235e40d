"""Calls on VM: life, power states, and moves between the hosts of the pool."""

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path

from tests.simulators.xenserver.guests import Drive, Guest
from tests.simulators.xenserver.model import NULL, Failure, construct
from tests.simulators.xenserver.store import Record, Store

_STOP_WITHIN_S = 20
_STATES = {
    "start": ("Halted",),
    "clean_shutdown": ("Running",),
    "hard_shutdown": ("Paused", "Running", "Suspended"),
    "clean_reboot": ("Running",),
    "hard_reboot": ("Paused", "Running"),
    "pause": ("Running",),
    "unpause": ("Paused",),
    "suspend": ("Running",),
    "resume": ("Suspended",),
    "destroy": ("Halted",),
    "pool_migrate": ("Running", "Suspended"),
    "changing_VCPUs": ("Halted",),
    "changing_memory_limits": ("Halted",),
}
"""The power states in which each operation is allowed. Source: management API reference, VM.allowed_operations."""


class VmCalls:
    """What the front does for VM.x, with the session already checked and arguments counted."""

    def __init__(self, store: Store, directory: Path, address: str) -> None:
        self._store = store
        self._directory = directory
        self._address = address
        self.guests: dict[str, Guest] = {}

    def create(self, record: object) -> str:
        whole = construct("VM", record)
        if int(whole["memory_static_min"]) > int(whole["memory_static_max"]) or int(whole["VCPUs_max"]) < 1:
            raise Failure("VALUE_NOT_SUPPORTED", "memory_static_min", whole["memory_static_min"], "above the maximum")
        vm = self._store.add("VM", whole)
        location = f"http://{self._address}/console?ref={{}}"
        console = self._store.make("console", VM=vm)
        self._store.change("console", console, location=location.format(console))
        self._store.change("VM", vm, consoles=[console], metrics=self._store.make("VM_metrics"))
        self._update(vm)
        return vm

    def destroy(self, vm: str) -> str:
        with self._operation(vm, "destroy"):
            record = self._record(vm)
            for class_name in ("VBD", "VIF", "console"):
                for device in list(record[f"{class_name}s" if class_name != "console" else "consoles"]):
                    self._drop_device(class_name, device)
            for metrics in ("metrics", "guest_metrics"):
                if record[metrics] != NULL:
                    self._store.remove(f"VM_{metrics}", record[metrics])
        self._store.remove("VM", vm)
        return ""

    def start(self, vm: str, is_paused: bool, is_forced: bool) -> str:
        return self.start_on(vm, self._store_host(vm), is_paused, is_forced)

    def start_on(self, vm: str, host: str, is_paused: bool, is_forced: bool) -> str:
        with self._operation(vm, "start"):
            self._boot(vm, host, is_paused)
            self._reach(vm, "Paused" if is_paused else "Running", host)
        return ""

    def clean_shutdown(self, vm: str) -> str:
        with self._operation(vm, "clean_shutdown"):
            deadline = time.monotonic() + _STOP_WITHIN_S
            while self._record(vm)["power_state"] != "Halted":
                if time.monotonic() > deadline:
                    raise Failure("VM_SHUTDOWN_TIMEOUT", vm, _STOP_WITHIN_S)
                # A guest that is still booting does not hear the button.
                with contextlib.suppress(Failure, KeyError):
                    self.guests[vm].order("system_powerdown")
                time.sleep(0.2)
        return ""

    def hard_shutdown(self, vm: str) -> str:
        with self._operation(vm, "hard_shutdown"):
            self._halt(vm)
        return ""

    def clean_reboot(self, vm: str) -> str:
        host = self._record(vm)["resident_on"]
        self.clean_shutdown(vm)
        return self.start_on(vm, host, False, False)

    def hard_reboot(self, vm: str) -> str:
        with self._operation(vm, "hard_reboot"):
            host = self._record(vm)["resident_on"]
            self._halt(vm)
            self._boot(vm, host, False)
            self._reach(vm, "Running", host)
        return ""

    def pause(self, vm: str) -> str:
        with self._operation(vm, "pause"):
            self.guests[vm].order("stop")
            self._reach(vm, "Paused", self._record(vm)["resident_on"])
        return ""

    def unpause(self, vm: str) -> str:
        with self._operation(vm, "unpause"):
            self.guests[vm].order("cont")
            self._reach(vm, "Running", self._record(vm)["resident_on"])
        return ""

    def suspend(self, vm: str) -> str:
        with self._operation(vm, "suspend"):
            self.guests.pop(vm).save(self._memory(vm))
            self._reach(vm, "Suspended", NULL)
        return ""

    def resume(self, vm: str, is_paused: bool, is_forced: bool) -> str:
        with self._operation(vm, "resume"):
            host = self._store_host(vm)
            self._boot(vm, host, is_paused, self._memory(vm))
            self._reach(vm, "Paused" if is_paused else "Running", host)
        return ""

    def pool_migrate(self, vm: str, host: str, options: dict[str, str]) -> str:
        """The guest's process stays; which host it is on is a matter of the record, as are the storage checks."""
        with self._operation(vm, "pool_migrate"):
            if not self._store.get("host", host)["enabled"]:
                raise Failure("HOST_DISABLED", host)
            self._check_storage(vm, host)
            if options.get("pause_s"):
                time.sleep(float(options["pause_s"]))
            if self._record(vm)["power_state"] == "Running":
                self._reach(vm, "Running", host)
        return ""

    def set_VCPUs_max(self, vm: str, count: str) -> str:  # noqa: N802
        return self._resize(vm, "changing_VCPUs", VCPUs_max=count)

    def set_VCPUs_at_startup(self, vm: str, count: str) -> str:  # noqa: N802
        return self._resize(vm, "changing_VCPUs", VCPUs_at_startup=count)

    def set_memory_limits(self, vm: str, static_min: str, static_max: str, dynamic_min: str, dynamic_max: str) -> str:
        fields = {"memory_static_min": static_min, "memory_static_max": static_max}
        fields |= {"memory_dynamic_min": dynamic_min, "memory_dynamic_max": dynamic_max}
        return self._resize(vm, "changing_memory_limits", **fields)

    def get_allowed_VBD_devices(self, vm: str) -> list[str]:  # noqa: N802
        used = {self._store.get("VBD", vbd)["userdevice"] for vbd in self._record(vm)["VBDs"]}
        return [str(number) for number in range(16) if str(number) not in used]

    def get_boot_record(self, vm: str) -> Record:
        return dict(self._record(vm))

    def drives(self, vm: str) -> list[Drive]:
        """The disks that the guest has, in the order of their places."""
        attached = [(vbd, self._store.get("VBD", vbd)) for vbd in self._record(vm)["VBDs"]]
        drives = [self.drive(vbd, record) for vbd, record in attached if record["VDI"] != NULL]
        return sorted(drives, key=lambda drive: drive.place)

    def drive(self, vbd: str, record: Record) -> Drive:
        is_cd = record["type"] == "CD"
        path = self._directory / self._store.get("VDI", record["VDI"])["location"]
        name = "vbd-" + vbd[-12:]
        return Drive(name, path, int(record["userdevice"]), is_cd, is_cd or record["mode"] == "RO")

    def serial_log(self, vm: str) -> Path:
        return self._guest_directory(vm) / "serial"

    def close(self) -> None:
        for guest in self.guests.values():
            guest.end()

    def power_cut(self, host: str) -> None:
        """The host loses power: its guests are off."""
        for vm, record in self._store.all("VM").items():
            if record["resident_on"] == host and not record["is_control_domain"]:
                self._halt(vm)

    def _boot(self, vm: str, host: str, is_paused: bool, memory_file: Path | None = None) -> None:
        record = self._record(vm)
        if not self._store.get("host", host)["enabled"]:
            raise Failure("HOST_DISABLED", host)
        if not (record["HVM_boot_policy"] or record["PV_bootloader"] or record["PV_kernel"]):
            raise Failure("BOOTLOADER_FAILED", vm, "neither HVM_boot_policy nor PV_bootloader nor PV_kernel is set")
        metrics = self._store.get("host_metrics", self._store.get("host", host)["metrics"])
        if int(record["memory_static_max"]) > int(metrics["memory_free"]):
            raise Failure("HOST_NOT_ENOUGH_FREE_MEMORY", record["memory_static_max"], metrics["memory_free"])
        self._check_storage(vm, host)
        for vbd in record["VBDs"]:
            self._check_vdi_free(vbd)
        memory_mb, macs = int(record["memory_static_max"]) >> 20, [self._mac(vif) for vif in record["VIFs"]]
        directory = self._guest_directory(vm)
        directory.mkdir(exist_ok=True)
        self.guests[vm] = Guest(
            directory, memory_mb, int(record["VCPUs_at_startup"]), self.drives(vm), macs,
            lambda guest: self._gone(vm, guest), is_paused, memory_file,
        )  # fmt: skip

    def _gone(self, vm: str, guest: Guest) -> None:
        with self._store.changed:
            if self.guests.get(vm) is guest:
                self._halt(vm)

    def _halt(self, vm: str) -> None:
        guest = self.guests.pop(vm, None)
        if guest is not None:
            guest.end()
        self._memory(vm).unlink(missing_ok=True)
        self._reach(vm, "Halted", NULL)

    def _reach(self, vm: str, power_state: str, host: str) -> None:
        """Change the record, and all that follows from where the guest is."""
        with self._store.changed:
            before = self._record(vm)["resident_on"]
            if before != host:
                self._account(vm, before, +1)
                self._account(vm, host, -1)
            domid = str(1 + len(self.guests)) if host != NULL else "-1"
            self._store.change("VM", vm, power_state=power_state, resident_on=host, domid=domid)
            is_attached = power_state != "Halted"
            for class_name in ("VBD", "VIF"):
                for device in self._record(vm)[f"{class_name}s"]:
                    self._store.change(class_name, device, currently_attached=is_attached)
            self._update(vm)

    def _account(self, vm: str, host: str, sign: int) -> None:
        if host == NULL:
            return
        metrics = self._store.get("host", host)["metrics"]
        free = int(self._store.get("host_metrics", metrics)["memory_free"])
        free += sign * int(self._record(vm)["memory_static_max"])
        self._store.change("host_metrics", metrics, memory_free=str(free))
        (self._store.link if sign < 0 else self._store.unlink)("host", host, "resident_VMs", vm)

    @contextlib.contextmanager
    def _operation(self, vm: str, name: str) -> Iterator[None]:
        """One operation of a VM at a time, and only in a state that allows it."""
        with self._store.changed:
            record = self._record(vm)
            if record["is_a_template"]:
                raise Failure("VM_IS_TEMPLATE", vm)
            if name in record["blocked_operations"]:
                raise Failure("OPERATION_BLOCKED", vm, record["blocked_operations"][name])
            if record["current_operations"]:
                running = next(iter(record["current_operations"].values()))
                raise Failure("OTHER_OPERATION_IN_PROGRESS", "VM", vm, running)
            if record["power_state"] not in _STATES[name]:
                raise Failure("VM_BAD_POWER_STATE", vm, _STATES[name][0].lower(), record["power_state"].lower())
            self._store.change("VM", vm, current_operations={f"OpaqueRef:{name}": name})
        try:
            yield
        finally:
            with self._store.changed, contextlib.suppress(Failure):
                self._store.change("VM", vm, current_operations={})

    def _update(self, vm: str) -> None:
        state = self._record(vm)["power_state"]
        self._store.change("VM", vm, allowed_operations=[name for name, states in _STATES.items() if state in states])

    def _resize(self, vm: str, operation: str, **fields: str) -> str:
        if any(not value.isdigit() for value in fields.values()):
            raise Failure("FIELD_TYPE_ERROR", next(iter(fields)))
        with self._operation(vm, operation):
            after = self._record(vm) | fields
            if int(after["VCPUs_at_startup"]) > int(after["VCPUs_max"]) or not (
                int(after["memory_static_min"]) <= int(after["memory_dynamic_min"])
                <= int(after["memory_dynamic_max"]) <= int(after["memory_static_max"])
            ):  # fmt: skip
                raise Failure("VALUE_NOT_SUPPORTED", next(iter(fields)), next(iter(fields.values())), "out of order")
            self._store.change("VM", vm, **fields)
        return ""

    def _check_vdi_free(self, vbd: str) -> None:
        """A disk that is written to has one guest."""
        record = self._store.get("VBD", vbd)
        if record["VDI"] == NULL:
            return
        vdi = self._store.get("VDI", record["VDI"])
        others = [self._store.get("VBD", other) for other in vdi["VBDs"] if other != vbd]
        if not vdi["sharable"] and any(o["currently_attached"] and "RW" in (o["mode"], record["mode"]) for o in others):
            raise Failure("VDI_IN_USE", record["VDI"], "attach")

    def _check_storage(self, vm: str, host: str) -> None:
        for vbd in self._record(vm)["VBDs"]:
            vdi = self._store.get("VBD", vbd)["VDI"]
            if vdi != NULL:
                storage = self._store.get("VDI", vdi)["SR"]
                pbds = [self._store.get("PBD", pbd) for pbd in self._store.get("SR", storage)["PBDs"]]
                if not any(pbd["host"] == host and pbd["currently_attached"] for pbd in pbds):
                    raise Failure("VM_REQUIRES_SR", vm, storage)

    def _drop_device(self, class_name: str, device: str) -> None:
        record = self._store.get(class_name, device)
        if class_name == "VBD" and record["VDI"] != NULL:
            self._store.unlink("VDI", record["VDI"], "VBDs", device)
        if class_name == "VIF":
            self._store.unlink("network", record["network"], "VIFs", device)
        self._store.remove(class_name, device)

    def _store_host(self, vm: str) -> str:
        affinity: str = self._record(vm)["affinity"]
        return affinity if affinity != NULL else next(iter(self._store.all("host")))

    def _mac(self, vif: str) -> str:
        mac: str = self._store.get("VIF", vif)["MAC"]
        return mac

    def _record(self, vm: str) -> Record:
        return self._store.get("VM", vm)

    def _guest_directory(self, vm: str) -> Path:
        return self._directory / f"vm-{vm[-12:]}"

    def _memory(self, vm: str) -> Path:
        return self._guest_directory(vm) / "memory"
