"""Every long operation, one file each: its steps in order, undo beside do."""

from nova.conductor.operation import Operation
from nova.conductor.workflows import build, delete, power, reboot

WORKFLOWS: dict[str, Operation] = {
    operation.name: operation for operation in (build.BUILD, delete.DELETE, power.START, power.STOP, reboot.REBOOT)
}
