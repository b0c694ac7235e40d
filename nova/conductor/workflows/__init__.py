"""Every long operation, one file each: its steps in order, undo beside do."""

from nova.conductor.operation import Operation
from nova.conductor.workflows import (
    build,
    change_password,
    confirm_resize,
    crash_dump,
    delete,
    evacuate,
    image,
    live_migrate,
    pause,
    power,
    reboot,
    rebuild,
    rescue,
    resize,
    revert_resize,
    shelve,
    suspend,
    unshelve,
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
        resize.RESIZE_SERVER,
        resize.MIGRATE,
        confirm_resize.CONFIRM_RESIZE,
        revert_resize.REVERT_RESIZE,
        live_migrate.LIVE_MIGRATE,
        evacuate.EVACUATE,
        shelve.SHELVE,
        shelve.SHELVE_OFFLOAD,
        unshelve.UNSHELVE,
    )
}
