"""Hands over to setup.cfg, where everything about the package stands but its version: that is the newest tag's."""

import subprocess
from email.parser import HeaderParser
from pathlib import Path

import setuptools

TREE = Path(__file__).resolve().parent
# What a tree is that has neither tags nor a history: the release that is being made.
NEXT = "1.0.0"


def version():
    """The tag v1.2.3 is version 1.2.3; five commits later it is 1.2.3.post5+gCOMMIT. An sdist carries its own."""
    said = TREE / "PKG-INFO"
    if said.exists():
        return HeaderParser().parsestr(said.read_text())["Version"]
    # Only this tree's own history: it may lie inside another one.
    if not (TREE / ".git").exists():
        return NEXT
    command = ["git", "describe", "--tags", "--long", "--match", "v[0-9]*"]
    try:
        described = subprocess.run(command, cwd=TREE, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return NEXT
    tag, distance, commit = described.rsplit("-", 2)
    return tag[1:] if distance == "0" else f"{tag[1:]}.post{distance}+{commit}"


if __name__ == "__main__":
    setuptools.setup(version=version())
