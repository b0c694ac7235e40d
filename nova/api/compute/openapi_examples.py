"""Examples of the OpenAPI document, made of its schemas: valid values that look like what users send and get."""

import re
from typing import Any

from nova.api.compute.openapi_schemas import singular
from nova.http.schema import Plain, checker

_ID = "9f2a4c1e-6b7d-4d3a-8c55-0e1f2a3b4c5d"
_TIME = "2026-01-15T10:30:00Z"
# What a field of a name holds; a value that its schema refuses is not taken.
_BY_NAME: dict[str, Any] = {
    "address": "198.51.100.10", "adminPass": "kVq7RzXw2Lm9", "alias": "os-keypairs", "availability_zone": "zone-1",
    "before": "2026-01-15", "binary": "nova-compute", "cidr": "192.0.2.0/24", "device": "/dev/vdb",
    "disabled_reason": "new memory", "disk": 20, "fixed_ip": "192.0.2.10", "flavorRef": "m1.small", "from_port": 22,
    "gateway": "192.0.2.1", "host": "compute-1", "hostname": "web-1",
    "href": "http://compute.example.com/v2.1/servers/9f2a4c1e-6b7d-4d3a-8c55-0e1f2a3b4c5d",
    "hypervisor_hostname": "compute-1", "id": _ID, "imageRef": "3b1f6d2a-8c4e-4f70-9a15-2d6e7c8b9a01",
    "ip_protocol": "tcp", "key": "purpose", "label": "private", "mac_addr": "fa:16:3e:5a:01:c7", "memory_mb": 2048,
    "message": "No valid host was found.", "name": "web-1", "networks": "auto", "OS-DCF:diskConfig": "AUTO",
    "output": "login: ", "path": "/etc/motd", "project_id": "0c7b3e1f9a5d4c2b8e6f7a1d2c3b4e5f", "protocol": "vnc",
    "public_key": "ssh-ed25519 AAAAC3NzaC1lZDI1", "purpose": "web", "ram": 2048, "rel": "self",
    "reservation_id": "r-4k2x9m1p", "size": 10, "status": "ACTIVE", "tag": "web",
    "tenant_id": "0c7b3e1f9a5d4c2b8e6f7a1d2c3b4e5f", "to_port": 22, "user_id": "b7d02c94e1f84a3c9d5e6f7081a2b3c4",
    "vcpus": 2, "vif_type": "ovs", "volume_size": 10,
}  # fmt: skip
_BY_FORMAT = {
    "uuid": _ID, "date-time": _TIME, "ipv4": "192.0.2.10", "ipv6": "2001:db8::10", "base64": "aGVsbG8K",
    "uri": "http://compute.example.com/v2.1", "cidr": "192.0.2.0/24",
}  # fmt: skip
_TEXTS = ("value", "1", "192.0.2.10", _ID, _TIME, "/24", "a=b", "")
# Optional fields that most requests have.
_USUAL = frozenset({"imageRef", "public_key", "metadata", "reason", "uuid"})
_KEYS = ("purpose", "private", "1", "zone-1", "hw:cpu_policy")


def request_example(schema: dict[str, Any]) -> Any:
    """What a request has to have, and the optional fields that most have."""
    return _example(schema, "", _is_asked)


def answer_examples(schema: dict[str, Any]) -> dict[str, Any]:
    """Everything an answer can have; where there are several forms, each of them, by its first key."""
    forms = schema.get("anyOf", ())
    if "type" in schema or not all(form.get("properties") for form in forms) or not forms:
        return {"answer": _example(schema, "", _is_told)}
    return {next(iter(form["properties"])): _example(form, "", _is_told) for form in forms}


def value_example(schema: dict[str, Any], name: str) -> Any:
    """A value of a field or parameter of this name."""
    return _example(schema, name, _is_told)


def _is_told(field: str, parent: dict[str, Any]) -> bool:
    return True


def _is_asked(field: str, parent: dict[str, Any]) -> bool:
    needed = parent.get("required", ())
    if field in needed or field in _USUAL:
        return True
    # An object that may be empty is no example of what it is for.
    return not needed and not _USUAL & set(parent["properties"]) and field == next(iter(parent["properties"]))


def _example(schema: dict[str, Any], name: str, is_shown: Any) -> Any:
    preferred = _BY_NAME.get(name)
    if "anyOf" in schema and "type" not in schema:
        fitting = [one for one in schema["anyOf"] if preferred in one.get("enum", ())]
        return _example((fitting or schema["anyOf"])[0], name, is_shown)
    if "enum" in schema:
        return preferred if preferred in schema["enum"] else schema["enum"][0]
    kinds = schema.get("type", "null")
    kind = kinds if isinstance(kinds, str) else kinds[0]
    if kind == "object":
        return _object(schema, name, is_shown)
    if kind == "array":
        times = 0 if schema.get("maxItems") == 0 else schema.get("minItems", 1)
        return [_example(schema["items"], singular(name) if name else "", is_shown)] * times
    return _scalar(schema, kind, name)


def _object(schema: dict[str, Any], name: str, is_shown: Any) -> dict[str, Any]:
    properties = schema.get("properties", {})
    shown = {field: _example(one, field, is_shown) for field, one in properties.items() if is_shown(field, schema)}
    further = schema.get("additionalProperties")
    if not properties and isinstance(further, dict):
        pattern = schema.get("propertyNames", {}).get("pattern", "")
        key = next(key for key in _KEYS if re.search(pattern, key))
        return {key: _example(further, key, is_shown)}
    return shown


def _scalar(schema: dict[str, Any], kind: str, name: str) -> Any:
    if kind == "boolean":
        return False
    if kind == "null":
        return None
    is_valid = checker(Plain(schema), 0).validator.is_valid
    lowest = schema.get("minimum", 0)
    others: tuple[Any, ...] = _TEXTS if kind == "string" else (max(lowest, 1), lowest)
    for value in (_BY_NAME.get(name), _BY_FORMAT.get(schema.get("format", "")), *others):
        if value is not None and is_valid(value):
            return value
    raise AssertionError(f"no example of {name or 'a value'} is valid: {schema}")
