"""What guests write to their serial ports. Each port is connected to a collector, a virtual serial port concentrator, that
keeps what it is sent in a file for each machine, named after the machine's identity or the server, without dashes.
"""

import os
from pathlib import Path
from typing import Any

from oslo_config import cfg

from nova import errors
from nova.virt.vmware import devices
from nova.virt.vmware.machine import Machine


def ports(conf: cfg.ConfigOpts, machine: Machine | None = None) -> list[Any]:
    """What gives a machine the port that it lacks; nothing where no collector is configured."""
    service = conf.vmware.serial_port_service_uri
    has_port = machine is not None and devices.has_serial_port(machine.devices)
    if not service or has_port:
        return []
    return [devices.add(devices.serial_port(service, conf.vmware.serial_port_proxy_uri))]


def read_tail(conf: cfg.ConfigOpts, uuid: str, identity: str, limit_bytes: int) -> bytes:
    """The last bytes of the server's file; nothing before there is one.

    Raises errors.NotImplementedHere where no collector is configured, errors.GuestFailed for a file that cannot be read.
    """
    if not conf.vmware.serial_port_service_uri:
        raise errors.NotImplementedHere(action="give the output of a serial port")
    for name in (identity, uuid):
        try:
            with (Path(conf.vmware.serial_log_dir) / name.replace("-", "")).open("rb") as file:
                file.seek(max(0, os.fstat(file.fileno()).st_size - limit_bytes))
                return file.read(limit_bytes)
        except FileNotFoundError:
            continue
        except OSError as error:
            raise errors.GuestFailed(reason="What the guest wrote cannot be read", detail=str(error)) from error
    return b""
