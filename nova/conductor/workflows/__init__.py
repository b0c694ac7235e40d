"""Every long operation, one file each: its steps in order, undo beside do."""

from nova.conductor.operation import Operation
from nova.conductor.workflows import (
    build,
    change_password,
    crash_dump,
    delete,
    image,
    pause,
    power,
    reboot,
    rebuild,
    rescue,
    suspend,
)

WORKFLOWS: dict[str, Operation] = {
    operation.name: operation
    for operation in (
        build.BUILD,
        delete.DELETE,
        power.START,
        power.STOP,
        reboot.REBOOT,
        pause.PAUSE,
        pause.UNPAUSE,
        suspend.SUSPEND,
        suspend.RESUME,
        change_password.CHANGE_PASSWORD,
        crash_dump.CRASH_DUMP,
        rebuild.REBUILD,
        rescue.RESCUE,
        rescue.UNRESCUE,
        image.CREATE_IMAGE,
        image.CREATE_BACKUP,
    )
}
