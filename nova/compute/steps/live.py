"""Steps of live migration, on the source and on the destination."""

from nova import errors
from nova.compute.guest_spec import guest_spec
from nova.compute.host import Host
from nova.structs.instance import VmState
from nova.structs.steps import DisksAside, MigrateArguments, ReceiveArguments
from nova.virt.driver import LiveMigration, able

_ACTION = "be migrated live"


def prepare_destination(host: Host, arguments: ReceiveArguments) -> DisksAside:
    """Prepare this host for a guest; gives facts that its source needs. Raises HostRefused, DiskFull."""
    driver = able(host.driver, LiveMigration, _ACTION)
    return DisksAside(facts=driver.prepare_destination(guest_spec(host, arguments.instance)))


def abort_destination(host: Host, arguments: ReceiveArguments) -> None:
    """Undo prepare_destination; no error when nothing was prepared. Raises PointPassed for a guest that has arrived."""
    able(host.driver, LiveMigration, _ACTION).abort_destination(
        guest_spec(host, arguments.instance), arguments.stays_away
    )


def check_arrival(host: Host, arguments: ReceiveArguments) -> None:
    """Whether a guest whose source is silent is here. Raises GuestFailed where it is not, and will not be."""
    if not able(host.driver, LiveMigration, _ACTION).has_arrived(arguments.instance.uuid):
        raise errors.GuestFailed(reason="The guest is not on the destination of its migration")


def migrate(host: Host, arguments: MigrateArguments) -> None:
    """Migrate the guest; returns when it runs on the destination. Raises Cancelled when aborted."""
    uuid = arguments.instance.uuid
    driver = able(host.driver, LiveMigration, _ACTION)
    host.jobs.begin(uuid)
    try:
        driver.migrate(
            guest_spec(host, arguments.instance),
            arguments.to,
            arguments.facts,
            lambda percent: host.jobs.advance(uuid, percent),
            is_paused=arguments.instance.vm_state is VmState.PAUSED,
        )
    finally:
        host.jobs.end(uuid)
