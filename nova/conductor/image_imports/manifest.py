"""The manifest of a bundled image: an XML document of a tenant's, read without entities or types.

Source: Amazon EC2, manifests of instance store-backed images, version 2007-10-10.
"""

import re
import xml.etree.ElementTree as ET
from typing import NoReturn

import msgspec

from nova import errors

LONGEST = 4 * 1024 * 1024
MOST_PARTS = 10000
_HEX = re.compile(r"(?:[0-9a-fA-F]{2})+")
_DIGITS = re.compile(r"[0-9]{1,15}")
_SHA1_DIGITS = 40
# Beside the manifest: a name and no path.
_NAME = re.compile(r"[^/\\\x00-\x1f\x7f]{1,255}")


class Part(msgspec.Struct, frozen=True):
    """name: the last part of its key. digest: SHA-1, hexadecimal."""

    name: str
    digest: str


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """size: of the image in bytes. digest: SHA-1 of its archive before that was compressed. key, iv: encrypted, hexadecimal.

    kind: machine, aki or ari. kernel_id, ramdisk_id: in EC2's words, of a machine.
    """

    kind: str
    architecture: str | None
    kernel_id: str | None
    ramdisk_id: str | None
    size: int
    digest: str
    key: str
    iv: str
    parts: tuple[Part, ...]


def read(raw: bytes) -> Manifest:
    """Raises ManifestInvalid."""
    root = _parse(raw)
    kernel_id, ramdisk_id = (_optional(root, f"machine_configuration/{name}_id") for name in ("kernel", "ramdisk"))
    kind = "aki" if kernel_id == "true" else "ari" if ramdisk_id == "true" else "machine"
    is_machine = kind == "machine"
    return Manifest(
        kind=kind,
        architecture=_optional(root, "machine_configuration/architecture"),
        kernel_id=kernel_id if is_machine else None,
        ramdisk_id=ramdisk_id if is_machine else None,
        size=int(_text(root, "image/size", _DIGITS)),
        digest=_digest(root.find("image")),
        key=_text(root, "image/ec2_encrypted_key", _HEX, algorithm="AES-128-CBC"),
        iv=_text(root, "image/ec2_encrypted_iv", _HEX),
        parts=_parts(root),
    )


class _Builder(ET.TreeBuilder):
    def doctype(self, name: str, pubid: str | None, system: str | None) -> None:
        _refuse("it declares a document type")


def _parse(raw: bytes) -> ET.Element:
    parser = ET.XMLParser(target=_Builder())
    try:
        parser.feed(raw)
        root: ET.Element = parser.close()
    except (ET.ParseError, ValueError, LookupError):
        _refuse("it is no XML")
    if root.tag != "manifest":
        _refuse("it is no document of this type")
    return root


def _parts(root: ET.Element) -> tuple[Part, ...]:
    """In the order of their indexes, of which none is missing."""
    elements = root.findall("image/parts/part")
    if not 1 <= len(elements) <= MOST_PARTS:
        _refuse(f"it names no part, or more than {MOST_PARTS}")
    by_index = {element.get("index"): element for element in elements}
    names = [str(index) for index in range(len(elements))]
    if set(names) != set(by_index):
        _refuse("its parts are not numbered from 0 on")
    parts = [Part(_text(by_index[name], "filename", _NAME), _digest(by_index[name])) for name in names]
    if any(part.name in (".", "..") for part in parts):
        _refuse("a part's name is a path")
    return tuple(parts)


def _digest(element: ET.Element | None) -> str:
    text = _text(element, "digest", _HEX, algorithm="SHA1").lower()
    if len(text) != _SHA1_DIGITS:
        _refuse("a digest is not one of SHA-1")
    return text


def _text(element: ET.Element | None, path: str, pattern: re.Pattern[str], algorithm: str | None = None) -> str:
    child = element.find(path) if element is not None else None
    text = (child.text or "").strip() if child is not None else ""
    if child is None or not pattern.fullmatch(text):
        _refuse(f"{path.rpartition('/')[2]} is missing, or is none")
    if algorithm is not None and child.get("algorithm", algorithm).upper() != algorithm:
        _refuse(f"{path.rpartition('/')[2]} is of another algorithm than {algorithm}")
    return text


def _optional(root: ET.Element, path: str) -> str | None:
    return (root.findtext(path) or "").strip() or None


def _refuse(reason: str) -> NoReturn:
    raise errors.ManifestInvalid(reason=reason)
