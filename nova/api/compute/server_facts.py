"""Single facts of a server: addresses, password, diagnostics, topology.

Source: Compute API reference, "Servers IPs", "Servers password", "Servers diagnostics", "Servers topology".
"""

from typing import Any

from nova import errors
from nova.api.compute.request import Request
from nova.api.compute.server_view import addresses
from nova.api.compute.versions import DIAGNOSTICS_DEFINED
from nova.http.declaration import SERVER, delete, get
from nova.http.schema import (
    BOOLEAN,
    INTEGER,
    IP,
    STRING,
    Obj,
    Plain,
    arr,
    enum,
    nullable,
    obj,
    optional,
    required,
    versioned,
)
from nova.http.view import made
from nova.structs.instance import PowerState, VmState

_ADDRESS = obj(required("addr", IP), required("version", Plain({"enum": [4, 6]})))
_BY_NETWORK = {"^.+$": arr(_ADDRESS)}


@get(
    "/servers/{server_id}/ips",
    policy="os_compute_api:ips:index",
    target=SERVER,
    answer=made(obj(required("addresses", obj(patterns=_BY_NETWORK)))),
    errors=(404,),
)
def index_addresses(request: Request) -> dict[str, Any]:
    """The server's addresses by network label."""
    return {"addresses": {label: _short(listed) for label, listed in addresses(request.server).items()}}


@get(
    "/servers/{server_id}/ips/{label}",
    policy="os_compute_api:ips:show",
    target=SERVER,
    answer=made(Obj(patterns=_BY_NETWORK)),
    errors=(404,),
)
def show_addresses(request: Request, label: str) -> dict[str, Any]:
    """The addresses on one network. 404 for a label the server has no port on."""
    networks = addresses(request.server)
    if label not in networks:
        raise errors.NotFound("Instance is not a member of specified network")
    return {label: _short(networks[label])}


def _short(listed: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{"version": entry["version"], "addr": entry["addr"]} for entry in listed]


@get(
    "/servers/{server_id}/os-server-password",
    policy="os_compute_api:os-server-password:show",
    target=SERVER,
    answer=made(obj(required("password", STRING))),
    errors=(404,),
)
def show_password(request: Request) -> dict[str, str]:
    """The password the guest chose, encrypted for its key pair; empty when there is none."""
    return {"password": request.server.system_metadata.get("password", "")}


@delete(
    "/servers/{server_id}/os-server-password",
    policy="os_compute_api:os-server-password:clear",
    target=SERVER,
    errors=(404,),
)
def clear_password(request: Request) -> None:
    """Forget the encrypted password. The one inside the guest stays as it is."""
    request.conductor.clear_password(request.context, request.server.uuid)


_COUNT = nullable(INTEGER)
_NIC = ("rx_drop", "rx_errors", "rx_octets", "rx_packets", "rx_rate", "tx_drop", "tx_errors", "tx_octets", "tx_packets", "tx_rate")  # fmt: skip
_DISK = ("errors_count", "read_bytes", "read_requests", "write_bytes", "write_requests")
_CPU = ("id", "time", "utilisation")
_STATES = ("pending", "running", "paused", "shutdown", "crashed", "suspended")
_DIAGNOSTICS = versioned(
    obj(is_open=True),
    v2_48=obj(
        required("config_drive", BOOLEAN),
        required("cpu_details", arr(obj(*(required(name, _COUNT) for name in _CPU)))),
        required("disk_details", arr(obj(*(required(name, _COUNT) for name in _DISK)))),
        required("driver", enum("ironic", "libvirt", "vmwareapi", "xenapi")),
        required("hypervisor", nullable(STRING)),
        required("hypervisor_os", nullable(STRING)),
        required("memory_details", obj(required("maximum", _COUNT), required("used", _COUNT))),
        required(
            "nic_details",
            arr(obj(required("mac_address", nullable(STRING)), *(required(name, _COUNT) for name in _NIC))),
        ),
        *(required(name, _COUNT) for name in ("num_cpus", "num_disks", "num_nics")),
        required("state", enum(*_STATES)),
        required("uptime", _COUNT),
    ),
)


@get(
    "/servers/{server_id}/diagnostics",
    policy="os_compute_api:os-server-diagnostics",
    target=SERVER,
    answer=made(_DIAGNOSTICS),
    errors=(400, 404, 409, 501),
)
def diagnostics(request: Request) -> dict[str, Any]:
    """Counters of the guest; until 2.47 with the field names of libvirt's tools."""
    server = request.server
    if server.host is None:
        raise errors.ServerNotReady(server_id=server.uuid)
    if server.power_state != PowerState.RUNNING and server.vm_state != VmState.ACTIVE:
        raise errors.WrongServerState(
            action="get_diagnostics", server_id=server.uuid, attribute="power_state", state=server.power_state.name
        )
    counters = request.conductor.diagnostics(request.context, server.uuid)
    return counters if request.since(DIAGNOSTICS_DEFINED) else _old_diagnostics(counters)


def _old_diagnostics(diagnostics: dict[str, Any]) -> dict[str, Any]:
    old: dict[str, Any] = {}
    for cpu in diagnostics["cpu_details"]:
        old[f"cpu{cpu['id']}_time"] = cpu["time"]
    for number, disk in enumerate(diagnostics["disk_details"]):
        name = f"vd{chr(ord('a') + number)}"
        for key, value in (("errors", "errors_count"), ("read", "read_bytes"), ("read_req", "read_requests"),
                           ("write", "write_bytes"), ("write_req", "write_requests")):  # fmt: skip
            old[f"{name}_{key}"] = disk[value]
    for number, nic in enumerate(diagnostics["nic_details"]):
        for key, value in (("rx", "rx_octets"), ("rx_drop", "rx_drop"), ("rx_errors", "rx_errors"),
                           ("rx_packets", "rx_packets"), ("tx", "tx_octets"), ("tx_drop", "tx_drop"),
                           ("tx_errors", "tx_errors"), ("tx_packets", "tx_packets")):  # fmt: skip
            old[f"tap{number}_{key}"] = nic[value]
    maximum = diagnostics["memory_details"]["maximum"]
    old["memory"] = None if maximum is None else maximum * 1024
    return old


_TOPOLOGY_NODE = obj(
    required("memory_mb", INTEGER),
    required("siblings", arr(arr(INTEGER))),
    required("vcpu_set", arr(INTEGER)),
    optional("host_node", INTEGER),
    optional("cpu_pinning", obj(patterns={"^[0-9]+$": INTEGER})),
)


@get(
    "/servers/{server_id}/topology",
    policy="compute:server:topology:index",
    target=SERVER,
    since="2.78",
    answer=made(obj(required("nodes", arr(_TOPOLOGY_NODE)), required("pagesize_kb", nullable(INTEGER)))),
    errors=(404,),
)
def topology(request: Request) -> dict[str, Any]:
    """The guest's NUMA nodes: none, as long as no driver gives a guest NUMA nodes of its own."""
    return {"nodes": [], "pagesize_kb": None}
