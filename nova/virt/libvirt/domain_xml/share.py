"""A shared file system that the host has mounted, as the guest's own: virtiofs.

Source: libvirt's knowledge base, "Sharing files with Virtiofs".
"""

import hashlib
import xml.etree.ElementTree as ET
from pathlib import Path

from nova.structs.share import Share
from nova.virt.libvirt.domain_xml.facts import Host, child


def share(share: Share, host: Host) -> ET.Element:
    """A mounted share as a virtiofs device; the guest mounts it by its tag."""
    element = ET.Element("filesystem", type="mount", accessmode="passthrough")
    child(element, "driver", type="virtiofs")
    child(element, "source", dir=str(mount_point(host.share_base, share)))
    child(element, "target", dir=share.tag)
    return element


def mount_point(base: str, share: Share) -> Path:
    """Where a host mounts a share, once for all its guests."""
    return Path(base) / hashlib.sha256(share.export_location.encode()).hexdigest()
