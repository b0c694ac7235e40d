"""What a cloud that was taken down may have forgotten on the machine."""

import contextlib
import json
import subprocess
from pathlib import Path


def processes(cloud) -> list[str]:
    """Command lines that speak of the cloud's directory or of its bridges."""
    suffix = str(cloud.port_offset)
    marks = (str(cloud.directory), f"br{suffix}private", f"cloud{suffix}")
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            words = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
            if any(mark in words for mark in marks):
                found.append(words)
    return found


def links(cloud) -> list[str]:
    """Interfaces with the cloud's marks; those of guests go with their bridges."""
    shown = json.loads(subprocess.run(["ip", "-json", "link"], capture_output=True, check=True).stdout)
    suffix = str(cloud.port_offset)
    return [link["ifname"] for link in shown if link["ifname"].startswith((f"br{suffix}", f"cloud{suffix}"))]


def namespaces(cloud) -> list[str]:
    directory = Path("/run/netns")
    return [path.name for path in directory.glob(f"cloud{cloud.port_offset}-*")] if directory.exists() else []


def firewall_tables(cloud) -> list[str]:
    """nftables tables that mention one of the cloud's bridges."""
    shown = subprocess.run(["nft", "list", "ruleset"], capture_output=True, check=True, text=True).stdout
    return [line for line in shown.splitlines() if f"br{cloud.port_offset}private" in line]
