"""nova-manage image_property: what a server keeps of the properties of the image it was made from."""

import argparse
import sys
from typing import Any

import msgspec
from oslo_config import cfg
from sqlalchemy.engine import Connection

from nova import errors
from nova.cmd.manage.commands import Group, open_database
from nova.conductor.acceptance import image_properties
from nova.db import instances
from nova.structs.instance import Instance, VmState

# As upstream's commands end.
_NO_SERVER, _NO_PROPERTY, _BAD_STATE, _BAD_NAME, _BAD_VALUE = 2, 3, 3, 4, 5
# There is no guest that would go on as it was made.
_CHANGED_IN = (VmState.STOPPED, VmState.SHELVED, VmState.SHELVED_OFFLOADED)


def add(groups: Any) -> None:
    group = Group(groups, "image_property", "what servers keep of their images' properties")
    shown = group.add("show", show)
    shown.add_argument("instance")
    shown.add_argument("property")
    changed = group.add("set", change)
    changed.add_argument("instance")
    changed.add_argument("--property", action="append", required=True, metavar="NAME=VALUE", dest="properties")


def show(conf: cfg.ConfigOpts, arguments: argparse.Namespace) -> int:
    """Print a property of a server's image, as the server was made with it."""
    try:
        server = open_database(conf).read(lambda c: instances.get(c, arguments.instance))
    except errors.NotFound as error:
        return _refused(error.message, _NO_SERVER)
    value = server.image.properties.get(arguments.property) if server.image else None
    if value is None:
        return _refused(f"Server {server.uuid} keeps no image property {arguments.property}.", _NO_PROPERTY)
    print(value)
    return 0


def change(conf: cfg.ConfigOpts, arguments: argparse.Namespace) -> int:
    """Change properties of a server that is stopped or shelved; its guest has them from its next start."""
    pairs = [text.partition("=")[::2] for text in arguments.properties]
    if wrong := [name for name, value in pairs if not name.startswith(("hw_", "os_", "img_")) or not value]:
        return _refused(
            f"{wrong[0]} is no image property that can be set: hw_*, os_* or img_*, as NAME=VALUE.", _BAD_NAME
        )

    def work(connection: Connection) -> int:
        server = instances.get(connection, arguments.instance, for_update=True)
        if server.vm_state not in _CHANGED_IN or server.task_state is not None or server.image is None:
            return _refused(f"Server {server.uuid} is {_shown(server)}; it must be stopped or shelved.", _BAD_STATE)
        properties = {**server.image.properties, **dict(pairs)}
        image_properties.check(properties)
        instances.change(connection, server.uuid, image=msgspec.structs.replace(server.image, properties=properties))
        return 0

    try:
        return open_database(conf).write(work)
    except errors.NotFound as error:
        return _refused(error.message, _NO_SERVER)
    except errors.Invalid as error:
        return _refused(error.message, _BAD_VALUE)


def _shown(server: Instance) -> str:
    return server.task_state or str(server.vm_state.value)


def _refused(why: str, status: int) -> int:
    print(f"nova-manage: {why}", file=sys.stderr)
    return status
