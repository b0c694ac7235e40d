"""Which events of the log give which notifications.

What is done in one transaction has one entry in the log: its .start and .end are sent together, after it has
happened. An operation's notifications are sent as its steps end; their names stand here.
"""

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from nova.notifications import aggregates, faults, flavors, keypairs, scheduling, server_groups, servers, services
from nova.notifications.event import (
    Notification,
    NotificationEvent,
    Settings,
    by_api,
    by_conductor,
    by_destination,
    by_host,
    by_host_if_any,
    by_scheduler,
    by_service,
    by_source,
)
from nova.structs.event_details import EventDetails


@dataclass(frozen=True)
class Template:
    """One kind of notification: its type, its payload, its publisher, and the condition for sending it."""

    event_type: str
    payload: Callable[[NotificationEvent], dict[str, Any] | None] = servers.action
    publisher: Callable[[NotificationEvent], str] = by_host
    when: Callable[[NotificationEvent], bool] = lambda event: True
    is_error: bool = False


def _pair(
    name: str, payload: Callable[[NotificationEvent], dict[str, Any]] = servers.action
) -> dict[str, tuple[Template, ...]]:
    """Notifications at the beginning and at the successful end of an operation."""
    return {
        "start": (Template(f"instance.{name}.start", payload),),
        "end": (Template(f"instance.{name}.end", payload),),
    }


def _error(event_type: str, payload: Callable[[NotificationEvent], dict[str, Any]] = servers.action) -> Template:
    return Template(event_type, payload, is_error=True)


def _with_error(
    name: str, payload: Callable[[NotificationEvent], dict[str, Any]] = servers.action
) -> dict[str, tuple[Template, ...]]:
    return {**_pair(name, payload), "error": (_error(f"instance.{name}.error", payload),)}


def _share(name: str) -> dict[str, tuple[Template, ...]]:
    return {
        moment: tuple(replace(template, publisher=by_api) for template in templates)
        for moment, templates in _with_error(name, servers.share).items()
    }


def _task_error(name: str) -> Template:
    """The scheduler found no host for what a task was to do."""
    return Template(
        f"compute_task.{name}.error", scheduling.compute_task, by_conductor, faults.found_no_host, is_error=True
    )


def _has_host(event: NotificationEvent) -> bool:
    return event.server.host is not None


def _had_host(event: NotificationEvent) -> bool:
    return event.was is not None and event.was.host is not None


def _goes_somewhere(event: NotificationEvent) -> bool:
    return not event.about.get("lies_here")


def _offloads(event: NotificationEvent) -> bool:
    return bool(event.about["offloads"])


def _stays_on_its_host(event: NotificationEvent) -> bool:
    return not event.about["offloads"]


_SELECTED = (
    Template("scheduler.select_destinations.start", scheduling.request_spec, by_scheduler, _goes_somewhere),
    Template("scheduler.select_destinations.end", scheduling.request_spec, by_scheduler, _goes_somewhere),
)
_EXISTS = Template("instance.exists", servers.exists)

_RESIZE = {
    "done claim_destination": (
        *_SELECTED,
        _EXISTS,
        Template("instance.resize_prep.start", servers.resize_prep, by_destination),
        Template("instance.resize_prep.end", servers.resize_prep, by_destination),
    ),
    "begins stop_guest": (Template("instance.resize.start", publisher=by_source),),
    "done set_aside": (Template("instance.resize.end", publisher=by_source),),
    "begins take_over": (Template("instance.resize_finish.start", servers.arriving, by_destination),),
    "end": (Template("instance.resize_finish.end", publisher=by_destination),),
    "error": (_error("instance.resize.error"), _task_error("migrate_server")),
}
_DELETE = {
    "start": (
        Template("instance.delete.start", publisher=by_host_if_any),
        Template("instance.exists", servers.exists, when=_has_host),
        Template("instance.shutdown.start", when=_has_host),
    ),
    "done destroy_guest": (Template("instance.shutdown.end", when=_had_host),),
    "end": (Template("instance.delete.end", publisher=by_host_if_any),),
}

# By operation, and by moment in its course.
OPERATIONS: dict[str, dict[str, tuple[Template, ...]]] = {
    "create": {
        # Upstream's create begins on the host, once it is chosen.
        "done claim_host": (*_SELECTED, Template("instance.create.start", servers.create)),
        "end": (Template("instance.create.end", servers.create),),
        # Every host that could not, and then perhaps that there is no other.
        "unwinds": (Template("instance.create.error", servers.create, when=_has_host, is_error=True),),
        "error": (_task_error("build_instances"),),
    },
    "delete": _DELETE,
    "forceDelete": _DELETE,
    "softDelete": _pair("soft_delete"),
    "restore": _pair("restore"),
    "start": _pair("power_on"),
    "stop": _pair("power_off"),
    "reboot": _with_error("reboot"),
    "pause": _pair("pause"),
    "unpause": _pair("unpause"),
    "suspend": _pair("suspend"),
    "resume": _pair("resume"),
    "changePassword": {},
    "trigger_crash_dump": _pair("trigger_crash_dump"),
    "rebuild": {
        "done check_host": (
            Template("instance.rebuild_scheduled", servers.rebuild, by_conductor),
            _EXISTS,
            Template("instance.rebuild.start", servers.rebuild),
        ),
        "end": (Template("instance.rebuild.end", servers.rebuild),),
        "error": (_error("instance.rebuild.error", servers.rebuild), _task_error("rebuild_server")),
    },
    "rescue": _pair("rescue", servers.rescue),
    "unrescue": _pair("unrescue"),
    "createImage": _pair("snapshot", servers.snapshot),
    "createBackup": _pair("snapshot", servers.snapshot),
    "resize": _RESIZE,
    "migrate": _RESIZE,
    "confirmResize": _pair("resize_confirm"),
    "revertResize": {
        "start": (_EXISTS, Template("instance.resize_revert.start")),
        "end": (Template("instance.resize_revert.end"),),
    },
    "live-migration": {
        "done claim_destination": _SELECTED,
        "begins prepare_destination": (Template("instance.live_migration_pre.start", publisher=by_destination),),
        "done prepare_destination": (Template("instance.live_migration_pre.end", publisher=by_destination),),
        "done migrate_guest": (
            Template("instance.live_migration_post.start", publisher=by_source),
            Template("instance.live_migration_post_dest.start", publisher=by_destination),
        ),
        "done bind_ports": (Template("instance.live_migration_post_dest.end", publisher=by_destination),),
        "end": (Template("instance.live_migration_post.end", publisher=by_source),),
        "unwinds": (Template("instance.live_migration_rollback.start", publisher=by_source),),
        "undone abort_destination": (
            Template("instance.live_migration_rollback_dest.start", publisher=by_destination),
            Template("instance.live_migration_rollback_dest.end", publisher=by_destination),
        ),
        "error": (
            Template("instance.live_migration_rollback.end", publisher=by_source),
            _task_error("migrate_server"),
        ),
    },
    "evacuate": {
        "start": (Template("instance.evacuate", publisher=by_api),),
        "done claim_destination": (
            *_SELECTED,
            Template("instance.rebuild_scheduled", servers.rebuild, by_conductor),
            Template("instance.rebuild.start", servers.rebuild, by_destination),
        ),
        "end": (Template("instance.rebuild.end", servers.rebuild, by_destination),),
        "error": (_error("instance.rebuild.error", servers.rebuild), _task_error("rebuild_server")),
    },
    "shelve": {
        "start": (Template("instance.shelve.start"),),
        "begins destroy_guest": (
            Template("instance.shelve.end", when=_offloads),
            Template("instance.shelve_offload.start", when=_offloads),
        ),
        "end": (
            Template("instance.shelve.end", when=_stays_on_its_host),
            Template("instance.shelve_offload.end", when=_offloads),
        ),
    },
    "shelveOffload": _pair("shelve_offload"),
    "unshelve": {
        "done claim_host": (*_SELECTED, Template("instance.unshelve.start")),
        "end": (Template("instance.unshelve.end"),),
    },
    "attach_interface": _with_error("interface_attach"),
    "detach_interface": _pair("interface_detach"),
    "attach_volume": _with_error("volume_attach", servers.volume),
    "detach_volume": _pair("volume_detach", servers.volume),
    "swap_volume": _with_error("volume_swap", servers.volume_swap),
    "attach_share": _share("share_attach"),
    "detach_share": _share("share_detach"),
    "volume_snapshot_create": {},
    "volume_snapshot_delete": {},
    "extend_volume": {},
    "addFixedIp": {},
    "removeFixedIp": {},
}

# Of every operation that turns back, or ends behind its point of no return, because a step failed.
_EXCEPTION = Template("compute.exception", faults.exception, by_api, faults.failed, is_error=True)

_STATE = Template("instance.update", servers.update, when=servers.has_changed_state)


def _started_and_ended(
    name: str,
    end: Callable[[NotificationEvent], dict[str, Any]],
    start: Callable[[NotificationEvent], dict[str, Any]] | None = None,
    publisher: Callable[[NotificationEvent], str] = by_api,
) -> tuple[Template, ...]:
    return (Template(f"{name}.start", start or end, publisher), Template(f"{name}.end", end, publisher))


# What belongs to no operation, by the kind of its entry in the log.
OTHERS: dict[str, tuple[Template, ...]] = {
    "instance.update": (Template("instance.update", servers.update, by_api),),
    "instance.lock": (Template("instance.lock", publisher=by_api),),
    "instance.unlock": (Template("instance.unlock", publisher=by_api),),
    "instance.live_migration_abort": _started_and_ended(
        "instance.live_migration_abort", servers.action, publisher=by_host
    ),
    "instance.live_migration_force_complete": _started_and_ended(
        "instance.live_migration_force_complete", servers.action, publisher=by_host
    ),
    "flavor.create": (Template("flavor.create", flavors.flavor, by_api),),
    "flavor.update": (Template("flavor.update", flavors.flavor, by_api),),
    "flavor.delete": (Template("flavor.delete", flavors.flavor, by_api),),
    "keypair.create": _started_and_ended("keypair.create", keypairs.keypair, keypairs.to_be_made),
    "keypair.import": _started_and_ended("keypair.import", keypairs.keypair, keypairs.to_be_imported),
    "keypair.delete": _started_and_ended("keypair.delete", keypairs.keypair),
    "server_group.create": (Template("server_group.create", server_groups.server_group, by_api),),
    "server_group.delete": (Template("server_group.delete", server_groups.server_group, by_api),),
    "server_group.add_member": (Template("server_group.add_member", server_groups.server_group, by_api),),
    "service.create": (Template("service.create", services.service, by_service),),
    "service.update": (Template("service.update", services.service, by_service),),
    "service.delete": (Template("service.delete", services.service, by_service),),
    "aggregate.create": _started_and_ended("aggregate.create", aggregates.aggregate, aggregates.to_be_made),
    "aggregate.delete": _started_and_ended("aggregate.delete", aggregates.aggregate),
    "aggregate.add_host": _started_and_ended("aggregate.add_host", aggregates.aggregate, aggregates.before),
    "aggregate.remove_host": _started_and_ended("aggregate.remove_host", aggregates.aggregate, aggregates.before),
    "aggregate.update_prop": _started_and_ended("aggregate.update_prop", aggregates.aggregate, aggregates.before),
    "aggregate.update_metadata": _started_and_ended(
        "aggregate.update_metadata", aggregates.aggregate, aggregates.before
    ),
    "aggregate.cache_images": _started_and_ended("aggregate.cache_images", aggregates.aggregate),
}


def event_types() -> set[str]:
    """Every type of notification this release may send."""
    templates = [_EXCEPTION, _STATE, *itertools.chain.from_iterable(OTHERS.values())]
    for moments in OPERATIONS.values():
        templates += itertools.chain.from_iterable(moments.values())
    return {template.event_type for template in templates}


def may_tell(kind: str, details: EventDetails, settings: Settings) -> bool:
    """Whether an event may give a notification: asked before the server is looked up."""
    return any(True for _ in _candidates(kind, details, settings))


def notifications(event: NotificationEvent) -> list[Notification]:
    """The notifications of an event, in order."""
    sent = []
    for template in _candidates(event.kind, event.details, event.settings):
        if not template.when(event):
            continue
        payload = template.payload(event)
        assert payload is not None
        priority = "ERROR" if template.is_error else event.settings.level
        sent.append(Notification(template.event_type, template.publisher(event), priority, payload))
    return sent


def _candidates(kind: str, details: EventDetails, settings: Settings) -> Iterator[Template]:
    if settings.notify_on_state_change and details.changes.keys() & {"vm_state", "task_state"}:
        yield _STATE
    if details.operation is None:
        yield from OTHERS.get(kind, ())
        return
    if not {"unwinds", "abandoned"}.isdisjoint(details.moments):
        yield _EXCEPTION
    moments = OPERATIONS.get(details.operation, {})
    for moment in details.moments:
        yield from moments.get(moment, ())
