"""Every long operation, one file each: its steps in order, undo beside do."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from oslo_config import cfg

from nova.conductor.engine.operation import Operation
from nova.conductor.workflows import (
    attach_volume,
    build,
    change_password,
    confirm_resize,
    crash_dump,
    delete,
    evacuate,
    extend_volume,
    fixed_ips,
    image,
    interfaces,
    live_migrate,
    power,
    reboot,
    rebuild,
    rescue,
    resize,
    revert_resize,
    shares,
    shelve,
    soft_delete,
    unshelve,
    volume_snapshots,
)

WORKFLOWS: dict[str, Operation[Any]] = {
    operation.name: operation
    for operation in (
        build.BUILD,
        delete.DELETE,
        delete.FORCE_DELETE,
        soft_delete.SOFT_DELETE,
        soft_delete.RESTORE,
        power.START,
        power.STOP,
        reboot.REBOOT,
        power.PAUSE,
        power.UNPAUSE,
        power.SUSPEND,
        power.RESUME,
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
        interfaces.ATTACH_INTERFACE,
        interfaces.DETACH_INTERFACE,
        attach_volume.ATTACH_VOLUME,
        attach_volume.DETACH_VOLUME,
        attach_volume.SWAP_VOLUME,
        extend_volume.EXTEND_VOLUME,
        volume_snapshots.SNAPSHOT_VOLUME,
        volume_snapshots.MERGE_SNAPSHOT,
        shares.ATTACH_SHARE,
        shares.DETACH_SHARE,
        fixed_ips.ADD_FIXED_IP,
        fixed_ips.REMOVE_FIXED_IP,
    )
}


def configured(conf: cfg.ConfigOpts) -> Mapping[str, Operation[Any]]:
    """The operations by name, with the deadlines that an operator has set."""
    if not conf.instance_build_timeout:
        return WORKFLOWS
    return {**WORKFLOWS, build.BUILD.name: dataclasses.replace(build.BUILD, deadline_s=conf.instance_build_timeout)}
