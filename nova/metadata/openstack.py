"""Metadata in the OpenStack format: versions by date, each with JSON documents.

Source: Compute user guide, "Metadata". A version has all fields of the versions before it.
"""

import base64
import json
import secrets
from collections.abc import Mapping
from typing import Any

from oslo_config import cfg

from nova.metadata import facts, network_data, vendor
from nova.structs.instance import Instance

# A release's documents changed with it; the comment says how.
FOLSOM = "2012-08-10"
GRIZZLY = "2013-04-04"  # random_seed, password
HAVANA = "2013-10-17"  # vendor_data.json
LIBERTY = "2015-10-15"  # network_data.json, project_id, keys
NEWTON = "2016-06-30"  # devices
NEWTON_VENDOR = "2016-10-06"  # vendor_data2.json
OCATA = "2017-02-22"  # vlan of devices
ROCKY = "2018-08-27"  # vf_trusted of devices
VICTORIA = "2020-10-14"  # dedicated_cpus
VERSIONS = (FOLSOM, GRIZZLY, HAVANA, LIBERTY, NEWTON, NEWTON_VENDOR, OCATA, ROCKY, VICTORIA)
LATEST = "latest"
# Beside the versions: the files that are put into the guest, by number.
CONTENT = "content"

_SEED_BYTES = 512

Tree = dict[str, Any]


def tree(
    instance: Instance, conf: cfg.ConfigOpts, files: Mapping[str, bytes], admin_password: str | None = None
) -> Tree:
    """version -> document -> bytes, and content -> number -> bytes of the files put into the guest."""
    seed = base64.b64encode(secrets.token_bytes(_SEED_BYTES)).decode()
    shared = {
        "user_data": facts.user_data(instance),
        "vendor_data.json": _json(vendor.static(conf)),
        "vendor_data2.json": _json(vendor.by_provider(conf)),
        "network_data.json": _json(network_data.build(instance.vifs)),
    }
    versions: Tree = {}
    for version in VERSIONS:
        meta_data = _meta_data(instance, conf, version, seed, files)
        if admin_password:
            meta_data["admin_pass"] = admin_password
        versions[version] = _documents(instance, version, meta_data, shared)
    versions[LATEST] = versions[VERSIONS[-1]]
    if files:
        versions[CONTENT] = {f"{number:04d}": content for number, content in enumerate(files.values())}
    return versions


def _documents(instance: Instance, version: str, meta_data: dict[str, Any], shared: Mapping[str, bytes | None]) -> Tree:
    documents: Tree = {"meta_data.json": _json(meta_data)}
    if shared["user_data"] is not None:
        documents["user_data"] = shared["user_data"]
    if version >= GRIZZLY:
        documents["password"] = instance.system_metadata.get("password", "").encode()
    for name, since in (
        ("vendor_data.json", HAVANA),
        ("network_data.json", LIBERTY),
        ("vendor_data2.json", NEWTON_VENDOR),
    ):
        if version >= since:
            documents[name] = shared[name]
    return documents


def _meta_data(
    instance: Instance, conf: cfg.ConfigOpts, version: str, seed: str, files: Mapping[str, bytes]
) -> dict[str, Any]:
    data: dict[str, Any] = {
        "uuid": instance.uuid,
        "name": instance.name,
        "hostname": facts.hostname(instance, conf),
        "launch_index": instance.properties.launch_index,
        "availability_zone": facts.zone(instance, conf),
    }
    if instance.metadata:
        data["meta"] = instance.metadata
    if files:
        data["files"] = [{"content_path": f"/content/{number:04d}", "path": path} for number, path in enumerate(files)]
    keypair = instance.properties.keypair
    if keypair:
        data["public_keys"] = {keypair.name: keypair.public_key}
        if version >= LIBERTY:
            data["keys"] = [{"name": keypair.name, "type": keypair.type, "data": keypair.public_key}]
    if version >= GRIZZLY:
        data["random_seed"] = seed
    if version >= LIBERTY:
        data["project_id"] = instance.project_id
    if version >= NEWTON:
        data["devices"] = _devices(instance, version)
    if version >= VICTORIA:
        data["dedicated_cpus"] = _dedicated_cpus(instance)
    return data


def _devices(instance: Instance, version: str) -> list[dict[str, Any]]:
    """The devices that the user gave a tag, and the server's shares.

    A card of a trusted virtual function is listed without a tag, too. Source for shares: admin guide, "Manage shares".
    """
    devices: list[dict[str, Any]] = []
    for vif in instance.vifs:
        is_trusted = vif.details.get("trusted") is True
        if vif.tag is None and not is_trusted:
            continue
        nic: dict[str, Any] = {"type": "nic", "mac": vif.mac, "tags": [vif.tag] if vif.tag else []}
        if version >= OCATA and "vlan" in vif.details:
            nic["vlan"] = vif.details["vlan"]
        if version >= ROCKY:
            nic["vf_trusted"] = is_trusted
        devices.append(nic)
    for device in instance.block_devices:
        if device.tag is not None:
            known = {"bus": device.disk_bus, "serial": device.volume_id, "path": device.device_name}
            disk = {"type": "disk", "tags": [device.tag]}
            devices.append(disk | {name: value for name, value in known.items() if value is not None})
    for share in instance.shares:
        if share.is_for_guest:
            place = {"bus": "none", "address": "none"}
            devices.append({"type": "share", "share_id": share.share_id, "tag": share.tag, **place})
    return devices


def _dedicated_cpus(instance: Instance) -> list[int]:
    """The guest's dedicated processors: those pinned to one of the host."""
    is_dedicated = instance.flavor.extra_specs.get("hw:cpu_policy") == "dedicated"
    return list(range(instance.flavor.vcpus)) if is_dedicated else []


def _json(data: Any) -> bytes:
    return json.dumps(data).encode()
