"""Calls of guests, which reach the conductor through the metadata API."""

from sqlalchemy.engine import Connection

from nova import errors
from nova.conductor.core import Core
from nova.db import instances

PASSWORD = "password"
# Upstream keeps four pieces of 255 characters; an RSA key of 4096 bits needs 684.
_LONGEST_PASSWORD = 1020


class GuestCalls:
    def __init__(self, core: Core) -> None:
        self._core = core

    def keep_password(self, server_id: str, encrypted: str) -> None:
        if len(encrypted) > _LONGEST_PASSWORD:
            raise errors.Invalid(f"The password may have {_LONGEST_PASSWORD} characters.")

        def work(connection: Connection) -> None:
            instance = instances.get(connection, server_id, for_update=True)
            if instance.is_deleted:
                raise errors.ServerNotFound(server_id=server_id)
            if instance.system_metadata.get(PASSWORD):
                raise errors.Conflict("The password is set already.")
            instances.change(connection, server_id, system_metadata=instance.system_metadata | {PASSWORD: encrypted})

        self._core.db.write(work)
