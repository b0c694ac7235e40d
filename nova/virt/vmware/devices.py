"""Descriptions of virtual devices: from what a guest is to have to what the vCenter is told. Nothing here asks anybody."""

from collections.abc import Iterable
from typing import Any

from pyVmomi import vim

from nova import errors
from nova.structs.network import Vif

_Spec = vim.vm.device.VirtualDeviceSpec
_device = vim.vm.device
_SCSI: dict[str, Any] = {
    "lsiLogic": _device.VirtualLsiLogicController,
    "busLogic": _device.VirtualBusLogicController,
    "lsiLogicsas": _device.VirtualLsiLogicSASController,
    "paraVirtual": _device.ParaVirtualSCSIController,
}
_NICS: dict[str, Any] = {
    "e1000": _device.VirtualE1000,
    "e1000e": _device.VirtualE1000e,
    "pcnet": _device.VirtualPCNet32,
    "vmxnet": _device.VirtualVmxnet2,
    "vmxnet3": _device.VirtualVmxnet3,
}
# What upstream calls them in an image's property.
_NIC_ALIASES = {
    "VirtualE1000": "e1000",
    "VirtualE1000e": "e1000e",
    "VirtualPCNet32": "pcnet",
    "VirtualVmxnet": "vmxnet",
    "VirtualVmxnet3": "vmxnet3",
}
DEFAULT_NIC = "e1000"
_CONTROLLER_KEY, _CD_CONTROLLER_KEY = -101, -102
# A SCSI controller has this number itself.
TAKEN_UNIT = 7
_UNITS = 16


def add(device: Any, makes_file: bool = False) -> Any:
    operation = _Spec(operation=_Spec.Operation.add, device=device)
    if makes_file:
        operation.fileOperation = _Spec.FileOperation.create
    return operation


def remove(device: Any) -> Any:
    """Take a device away; the file of a disk stays."""
    return _Spec(operation=_Spec.Operation.remove, device=device)


def controller(kind: str) -> Any:
    """The controller of a new guest's disks. Raises errors.GuestFailed for a kind that there is not."""
    if kind not in _SCSI:
        raise errors.GuestFailed(reason=f"There is no disk controller of the kind '{kind}'")
    return _SCSI[kind](key=_CONTROLLER_KEY, busNumber=0, sharedBus=_device.VirtualSCSIController.Sharing.noSharing)


def adapter(kind: str) -> str:
    """The kind of a disk that suits a controller, as its file says it."""
    return {"busLogic": "busLogic"}.get(kind, "lsiLogic")


def disk(path: str, size_kb: int, place: tuple[int, int], key: int, parent: str | None = None) -> Any:
    """A disk in a file, which stands on parent. place: the controller's key and the unit on it."""
    backing = _device.VirtualDisk.FlatVer2BackingInfo(fileName=path, diskMode="persistent", thinProvisioned=True)
    if parent is not None:
        backing.parent = _device.VirtualDisk.FlatVer2BackingInfo(fileName=parent, diskMode="persistent")
    return _device.VirtualDisk(
        key=key, controllerKey=place[0], unitNumber=place[1], capacityInKB=size_kb, backing=backing
    )


def free_place(devices: Iterable[Any], first: int = 1) -> tuple[int, int]:
    """A place for one more disk on a controller for disks, from unit first on: the guest boots from unit 0.

    Raises errors.GuestFailed.
    """
    devices = list(devices)
    for one in devices:
        if isinstance(one, _device.VirtualSCSIController):
            taken = {other.unitNumber for other in devices if other.controllerKey == one.key} | {TAKEN_UNIT}
            for unit in range(first, _UNITS):
                if unit not in taken:
                    return one.key, unit
    raise errors.GuestFailed(reason="The guest has no place for one more disk")


def cd(path: str, devices: Iterable[Any]) -> list[Any]:
    """What adds a CD with a file's content to a guest."""
    devices = list(devices)
    operations = []
    for one in devices:
        taken = {other.unitNumber for other in devices if other.controllerKey == one.key}
        if isinstance(one, _device.VirtualIDEController) and len(taken) < 2:
            place = one.key, min({0, 1} - taken)
            break
    else:
        operations.append(add(_device.VirtualIDEController(key=_CD_CONTROLLER_KEY, busNumber=1)))
        place = _CD_CONTROLLER_KEY, 0
    drive = _device.VirtualCdrom(
        key=-301,
        controllerKey=place[0],
        unitNumber=place[1],
        backing=_device.VirtualCdrom.IsoBackingInfo(fileName=path),
        connectable=_connected(),
    )
    return [*operations, add(drive)]


def serial_port(service: str, proxy: str | None) -> Any:
    """A serial port that connects to a collector at a URI, or to a proxy that is told the URI.

    Source: vSphere Web Services API, "VirtualDeviceURIBackingInfo".
    """
    # To a proxy, a port offers its output as a server, whoever calls whom.
    direction = "server" if proxy else "client"
    backing = _device.VirtualSerialPort.URIBackingInfo(serviceURI=service, direction=direction, proxyURI=proxy)
    return _device.VirtualSerialPort(key=-401, yieldOnPoll=True, backing=backing, connectable=_connected())


def has_serial_port(devices: Iterable[Any]) -> bool:
    return any(isinstance(one, _device.VirtualSerialPort) for one in devices)


def insert(drive: Any, path: str) -> Any:
    """What puts another file into a CD drive."""
    other = _device.VirtualCdrom(
        key=drive.key,
        deviceInfo=drive.deviceInfo,
        controllerKey=drive.controllerKey,
        unitNumber=drive.unitNumber,
        backing=_device.VirtualCdrom.IsoBackingInfo(fileName=path),
        connectable=_connected(),
    )
    return _Spec(operation=_Spec.Operation.edit, device=other)


def nic(vif: Vif, model: str, network: Any, facts: dict[str, Any], number: int) -> Any:
    """A network device on a port group, a distributed one or an opaque network. facts: of the network, by property.

    Raises errors.GuestFailed for a model that there is not.
    """
    kind = _NICS.get(_NIC_ALIASES.get(model, model))
    if kind is None:
        raise errors.GuestFailed(reason=f"There is no network device of the model '{model}'")
    return kind(
        key=-201 - number,
        addressType="manual",
        macAddress=vif.mac,
        externalId=vif.port_id,
        wakeOnLanEnabled=True,
        backing=_nic_backing(vif, network, facts),
        connectable=_connected(),
    )


def nic_model(devices: Iterable[Any]) -> str:
    """The model of the network devices that a guest has already."""
    kinds = [type(one) for one in devices if isinstance(one, _device.VirtualEthernetCard)]
    return next((model for model, kind in _NICS.items() if kind in kinds), DEFAULT_NIC)


def find_nic(devices: Iterable[Any], mac: str) -> Any:
    """The network device of an address; None."""
    nics = (one for one in devices if isinstance(one, _device.VirtualEthernetCard))
    return next((one for one in nics if str(one.macAddress).lower() == mac.lower()), None)


def find_disk(devices: Iterable[Any], path: str) -> Any:
    """The disk in a file; None."""
    disks = (one for one in devices if isinstance(one, _device.VirtualDisk))
    return next((one for one in disks if getattr(one.backing, "fileName", None) == path), None)


def _nic_backing(vif: Vif, network: Any, facts: dict[str, Any]) -> Any:
    if isinstance(network, vim.dvs.DistributedVirtualPortgroup):
        port = vim.dvs.PortConnection(switchUuid=facts["switch"], portgroupKey=network._moId)
        if port_key := vif.details.get("dvs_port_key"):
            port.portKey = str(port_key)
        return _device.VirtualEthernetCard.DistributedVirtualPortBackingInfo(port=port)
    if isinstance(network, vim.OpaqueNetwork):
        return _device.VirtualEthernetCard.OpaqueNetworkBackingInfo(
            opaqueNetworkId=facts["id"], opaqueNetworkType=facts["type"]
        )
    return _device.VirtualEthernetCard.NetworkBackingInfo(deviceName=facts["name"], network=network)


def _connected() -> Any:
    return _device.VirtualDevice.ConnectInfo(startConnected=True, allowGuestControl=True, connected=True)
