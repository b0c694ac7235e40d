"""Calls on VBD, VIF, network and VLAN: what guests have beside their processors and memory."""

import re

from tests.simulators.xenserver.model import NULL, Failure, construct
from tests.simulators.xenserver.store import Record, Store
from tests.simulators.xenserver.vm_calls import VmCalls

_MAC = re.compile(r"([0-9a-f]{2}:){5}[0-9a-f]{2}")
_MOST_VIFS = 7


class VbdCalls:
    def __init__(self, store: Store, vms: VmCalls) -> None:
        self._store = store
        self._vms = vms

    def create(self, record: object) -> str:
        whole = construct("VBD", record)
        vm = self._store.get("VM", whole["VM"])
        if whole["userdevice"] not in self._vms.get_allowed_VBD_devices(whole["VM"]):
            raise Failure("DEVICE_ALREADY_EXISTS", whole["userdevice"])
        if whole["empty"] is (whole["VDI"] != NULL) or (whole["empty"] and whole["type"] != "CD"):
            raise Failure("VBD_IS_EMPTY", whole["VDI"])
        if whole["type"] == "CD" and whole["mode"] == "RW":
            raise Failure("VBD_CDS_MUST_BE_READONLY")
        if whole["VDI"] != NULL and self._store.get("VDI", whole["VDI"])["read_only"] and whole["mode"] == "RW":
            raise Failure("VDI_READONLY", whole["VDI"])
        vbd = self._store.add("VBD", whole | {"device": "xvd" + "abcdefghijklmnop"[int(whole["userdevice"])]})
        self._store.change("VM", whole["VM"], VBDs=[*vm["VBDs"], vbd])
        self._store.link("VDI", whole["VDI"], "VBDs", vbd)
        return vbd

    def destroy(self, vbd: str) -> str:
        record = self._store.get("VBD", vbd)
        if record["currently_attached"]:
            raise Failure("OPERATION_NOT_ALLOWED", f"VBD '{record['uuid']}' still attached to '{record['VM']}'")
        self._store.unlink("VM", record["VM"], "VBDs", vbd)
        self._store.unlink("VDI", record["VDI"], "VBDs", vbd)
        self._store.remove("VBD", vbd)
        return ""

    def plug(self, vbd: str) -> str:
        record = self._running(vbd)
        if record["currently_attached"]:
            raise Failure("DEVICE_ALREADY_ATTACHED", vbd)
        self._vms._check_vdi_free(vbd)
        self._vms.guests[record["VM"]].plug(self._vms.drive(vbd, record))
        self._store.change("VBD", vbd, currently_attached=True)
        return ""

    def unplug(self, vbd: str) -> str:
        record = self._running(vbd)
        if not record["currently_attached"]:
            raise Failure("DEVICE_ALREADY_DETACHED", vbd)
        self._vms.guests[record["VM"]].unplug(self._vms.drive(vbd, record).id)
        self._store.change("VBD", vbd, currently_attached=False)
        return ""

    unplug_force = unplug

    def _running(self, vbd: str) -> Record:
        record = self._store.get("VBD", vbd)
        state = self._store.get("VM", record["VM"])["power_state"]
        if state != "Running":
            raise Failure("VM_BAD_POWER_STATE", record["VM"], "running", state.lower())
        return record


class VifCalls:
    """A VIF that is plugged into a running guest is there for the guest after its next start."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def create(self, record: object) -> str:
        whole = construct("VIF", record)
        self._store.get("network", whole["network"])
        vm = self._store.get("VM", whole["VM"])
        used = {self._store.get("VIF", vif)["device"] for vif in vm["VIFs"]}
        if whole["device"] in used:
            raise Failure("DEVICE_ALREADY_EXISTS", whole["device"])
        if not whole["device"].isdigit() or int(whole["device"]) >= _MOST_VIFS:
            raise Failure("INVALID_DEVICE", whole["device"])
        if not _MAC.fullmatch(whole["MAC"]):
            raise Failure("MAC_INVALID", whole["MAC"])
        vif = self._store.add("VIF", whole)
        self._store.link("VM", whole["VM"], "VIFs", vif)
        self._store.link("network", whole["network"], "VIFs", vif)
        return vif

    def destroy(self, vif: str) -> str:
        record = self._store.get("VIF", vif)
        if record["currently_attached"]:
            raise Failure("OPERATION_NOT_ALLOWED", f"VIF '{record['uuid']}' still attached")
        self._store.unlink("VM", record["VM"], "VIFs", vif)
        self._store.unlink("network", record["network"], "VIFs", vif)
        self._store.remove("VIF", vif)
        return ""

    def plug(self, vif: str) -> str:
        return self._attach(vif, True)

    def unplug(self, vif: str) -> str:
        return self._attach(vif, False)

    def _attach(self, vif: str, wanted: bool) -> str:
        record = self._store.get("VIF", vif)
        state = self._store.get("VM", record["VM"])["power_state"]
        if state != "Running":
            raise Failure("VM_BAD_POWER_STATE", record["VM"], "running", state.lower())
        if record["currently_attached"] is wanted:
            raise Failure("DEVICE_ALREADY_ATTACHED" if wanted else "DEVICE_ALREADY_DETACHED", vif)
        self._store.change("VIF", vif, currently_attached=wanted)
        return ""


class NetworkCalls:
    def __init__(self, store: Store) -> None:
        self._store = store

    def create(self, record: object) -> str:
        whole = construct("network", record)
        bridges = {network["bridge"] for network in self._store.all("network").values()}
        if whole["bridge"] in bridges:
            raise Failure("BRIDGE_NAME_EXISTS", whole["bridge"])
        if not whole["bridge"]:
            numbers = (f"xapi{number}" for number in range(1000))
            whole["bridge"] = next(name for name in numbers if name not in bridges)
        return self._store.add("network", whole)

    def destroy(self, network: str) -> str:
        record = self._store.get("network", network)
        if record["PIFs"]:
            raise Failure("NETWORK_CONTAINS_PIF", *record["PIFs"])
        if record["VIFs"]:
            raise Failure("NETWORK_CONTAINS_VIF", *record["VIFs"])
        self._store.remove("network", network)
        return ""


class VlanCalls:
    def __init__(self, store: Store) -> None:
        self._store = store

    def create(self, pif: str, tag: str, network: str) -> str:
        trunk = self._store.get("PIF", pif)
        if not tag.isdigit() or not 0 <= int(tag) <= 4094:
            raise Failure("VLAN_TAG_INVALID", tag)
        for other in self._store.all("PIF").values():
            if (other["device"], other["host"], other["VLAN"]) == (trunk["device"], trunk["host"], tag):
                raise Failure("PIF_VLAN_EXISTS", pif)
        fields = {"device": trunk["device"], "host": trunk["host"], "VLAN": tag, "physical": False}
        untagged = self._store.make("PIF", network=network, **fields)
        self._store.link("network", network, "PIFs", untagged)
        self._store.link("host", trunk["host"], "PIFs", untagged)
        return self._store.make("VLAN", tagged_PIF=pif, untagged_PIF=untagged, tag=tag)
