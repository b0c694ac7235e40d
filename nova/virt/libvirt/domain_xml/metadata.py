"""Who this guest is, for an operator who reads the domain XML, and how the driver knows its own guests."""

import xml.etree.ElementTree as ET

from nova.structs.guest import GuestSpec
from nova.virt.libvirt.domain_xml.facts import METADATA_NAMESPACE, child

ET.register_namespace("nova", METADATA_NAMESPACE)


def metadata(spec: GuestSpec) -> ET.Element:
    """Name, project, user, flavor and image. That a domain has this element makes it one of ours."""
    element = ET.Element("metadata")
    guest = child(element, f"{{{METADATA_NAMESPACE}}}guest")
    facts = {
        "name": spec.display_name,
        "project": spec.project_id,
        "user": spec.user_id,
        "flavor": spec.flavor.name,
        "image": spec.image.id if spec.image else None,
    }
    for tag, text in facts.items():
        if text:
            child(guest, f"{{{METADATA_NAMESPACE}}}{tag}", _printable(text))
    return element


def _printable(text: str) -> str:
    """text without what XML 1.0 cannot hold, such as control characters and lone surrogates."""
    return "".join(
        c for c in text if c in "\t\n" or (c >= " " and not "\ud800" <= c <= "\udfff" and c not in "\ufffe\uffff")
    )
