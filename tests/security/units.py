"""What the systemd units say."""

import configparser
from pathlib import Path

ROOT = Path(__file__).parents[2]
UNITS = sorted((ROOT / "etc/nova/systemd").glob("*.service"))


def service_of(unit):
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    parser.optionxform = str
    parser.read(unit)
    return parser["Service"]


def _service(name):
    return service_of(ROOT / f"etc/nova/systemd/{name}.service")


def command_of(name):
    """The words of a daemon's command."""
    return _service(name)["ExecStart"].split()


def capabilities_of(name):
    """The capabilities that a daemon's processes can have at most."""
    return _service(name)["CapabilityBoundingSet"].split()
