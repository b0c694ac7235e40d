"""Calls on session, host, event and task, and the plug-in of the control domain that shows guests' serial ports."""

import base64
import uuid
import zlib
from typing import Any

from tests.simulators.xenserver.model import NULL, Failure
from tests.simulators.xenserver.store import Record, Store
from tests.simulators.xenserver.vm_calls import VmCalls

_LONGEST_WAIT_S = 30.0


class SessionCalls:
    """sessions: those that are valid. slave_of: the master's address, where this host is not the master."""

    def __init__(self, store: Store, user: str, password: str, host: str) -> None:
        self._store = store
        self._credentials = (user, password)
        self._host = host
        self.sessions: set[str] = set()
        self.slave_of: str | None = None

    def login_with_password(self, user: str, password: str, version: str = "1.0", originator: str = "") -> str:
        if self.slave_of is not None:
            raise Failure("HOST_IS_SLAVE", self.slave_of)
        if (user, password) != self._credentials:
            raise Failure("SESSION_AUTHENTICATION_FAILED", user, "Authentication failure")
        session = f"OpaqueRef:{uuid.uuid4()}"
        self.sessions.add(session)
        return session

    def check(self, session: object) -> None:
        if self.slave_of is not None:
            raise Failure("HOST_IS_SLAVE", self.slave_of)
        if session not in self.sessions:
            raise Failure("SESSION_INVALID", session)

    def logout(self, session: str) -> str:
        self.sessions.discard(session)
        return ""

    def get_this_host(self, session: str, _self: str) -> str:
        self.check(session)
        return self._host


class HostCalls:
    def __init__(self, store: Store, vms: VmCalls) -> None:
        self._store = store
        self._vms = vms
        self.plugins = {("console.py", "get_console_log"): self._console_log}

    def disable(self, host: str) -> str:
        self._store.get("host", host)
        self._store.change("host", host, enabled=False)
        return ""

    def enable(self, host: str) -> str:
        self._store.get("host", host)
        self._store.change("host", host, enabled=True)
        return ""

    def evacuate(self, host: str) -> str:
        """Move every guest to another host that is enabled."""
        others = [ref for ref, record in self._store.all("host").items() if ref != host and record["enabled"]]
        for vm in list(self._store.get("host", host)["resident_VMs"]):
            if not self._store.get("VM", vm)["is_control_domain"]:
                if not others:
                    raise Failure("HOST_NOT_ENOUGH_FREE_MEMORY", "0", "0")
                self._vms.pool_migrate(vm, others[0], {"live": "true"})
        return ""

    def compute_free_memory(self, host: str) -> str:
        free: str = self._store.get("host_metrics", self._store.get("host", host)["metrics"])["memory_free"]
        return free

    def call_plugin(self, host: str, plugin: str, function: str, arguments: dict[str, str]) -> str:
        self._store.get("host", host)
        known = self.plugins.get((plugin, function))
        if known is None:
            raise Failure("XENAPI_MISSING_PLUGIN", plugin)
        return known(host, arguments)

    def _console_log(self, host: str, arguments: dict[str, str]) -> str:
        for vm in self._store.get("host", host)["resident_VMs"]:
            if self._store.get("VM", vm)["domid"] == arguments.get("dom_id"):
                path = self._vms.serial_log(vm)
                return base64.b64encode(zlib.compress(path.read_bytes() if path.exists() else b"")).decode()
        raise Failure("XENAPI_PLUGIN_FAILURE", "get_console_log", "NotFound", "there is no such domain")


class EventCalls:
    def __init__(self, store: Store) -> None:
        self._store = store

    def from_(self, classes: list[str], token: str, timeout: float) -> Record:
        events, next_token = self._store.events_after(token, classes, min(float(timeout), _LONGEST_WAIT_S))
        counts = {name.lower(): len(self._store.all(name)) for name in ("VM", "VDI", "host", "task")}
        return {"events": events, "token": next_token, "valid_ref_counts": counts}


class TaskCalls:
    """Tasks end when their call does: none can be cancelled."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def create(self, label: str, description: str) -> str:
        """One that ends with the transfer that is given it."""
        return self.begin(label)

    def destroy(self, task: str) -> str:
        self._store.remove("task", task)
        return ""

    def cancel(self, task: str) -> str:
        if self._store.get("task", task)["status"] != "pending":
            raise Failure("OPERATION_NOT_ALLOWED", "task has ended")
        raise Failure("TASK_CANCELLED", task)

    def begin(self, name: str) -> str:
        return self._store.make("task", name_label=name)

    def end(self, task: str, outcome: Any) -> None:
        """outcome: the call's value, or its Failure."""
        if isinstance(outcome, Failure):
            self._store.change("task", task, status="failure", progress=1.0, error_info=list(outcome.args))
            return
        result = f"<value>{outcome}</value>" if outcome not in ("", None, NULL) else ""
        self._store.change("task", task, status="success", progress=1.0, result=result)
