"""S3's XML: documents written field by field, and tenants' documents read without entities or types."""

import datetime
import re
import xml.etree.ElementTree as ET
from typing import Any

from nova.objectstore.errors import S3Error

_NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"
_DECLARATION = b'<?xml version="1.0" encoding="UTF-8"?>\n'
# What no XML 1.0 document can hold.
_UNSPEAKABLE = re.compile("[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")

# An element's content: text, a number, a truth, or elements; a list repeats its element.
Content = str | int | bool | dict[str, Any] | list[Any] | None


def document(name: str, content: dict[str, Any], namespace: str | None = _NAMESPACE) -> bytes:
    """A whole document. Fields that are None are left out."""
    root = ET.Element(name, {"xmlns": namespace} if namespace else {})
    _fill(root, content)
    body: bytes = ET.tostring(root, encoding="utf-8")
    return _DECLARATION + body


def _fill(parent: ET.Element, content: dict[str, Any]) -> None:
    for name, value in content.items():
        for one in value if isinstance(value, list) else [value]:
            if one is None:
                continue
            element = ET.SubElement(parent, name)
            if isinstance(one, dict):
                _fill(element, one)
            else:
                element.text = _UNSPEAKABLE.sub("\ufffd", str(one).lower() if isinstance(one, bool) else str(one))


def is_speakable(text: str) -> bool:
    """Whether XML can hold a text."""
    return _UNSPEAKABLE.search(text) is None


def timestamp(seconds: float) -> str:
    """A time as documents hold it: milliseconds, UTC."""
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")


class _Builder(ET.TreeBuilder):
    def doctype(self, name: str, pubid: str | None, system: str | None) -> None:
        raise S3Error("MalformedXML", "A document may not declare a type.")


def parse(raw: bytes, name: str) -> ET.Element:
    """A tenant's document, its elements without their namespace. Raises S3Error."""
    parser = ET.XMLParser(target=_Builder())
    try:
        parser.feed(raw)
        root: ET.Element = parser.close()
    except (ET.ParseError, ValueError, LookupError):
        raise S3Error("MalformedXML") from None
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]
    if root.tag != name:
        raise S3Error("MalformedXML", f"The document is no {name}.")
    return root
