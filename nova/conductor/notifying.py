"""Tells of the event log's entries as versioned notifications: every one, in the order they appeared.

One conductor tells for all, by a lease; another goes on where it was when it dies. So a notification
may be sent twice after a death, and none is lost: the log keeps what a broker that is down has not taken.
"""

import logging
import time
import uuid as uuids
from collections.abc import Callable
from importlib.metadata import entry_points

import oslo_messaging
from oslo_config import cfg

from nova import concurrency
from nova.conf import BadConfiguration
from nova.conf.notifications import are_wanted
from nova.db import events, log_readers
from nova.db.engine import Database
from nova.db.events import Entry
from nova.notifications import table
from nova.notifications.event import NotificationEvent, Settings
from nova.structs.operation import LogCursor

LOG = logging.getLogger(__name__)

_READER = "notifications"
_POLL_S = 0.2
# While another conductor tells there is no hurry to find out that it has died.
_STANDBY_S = 1.0
_BATCH = 100
# oslo.messaging's methods for upstream's levels.
_METHODS = {"DEBUG": "debug", "INFO": "info", "WARN": "warn", "ERROR": "error", "CRITICAL": "critical"}


class Notifying:
    """The reader of one conductor. Does nothing at all unless notifications are wanted."""

    def __init__(self, conf: cfg.ConfigOpts, db: Database, boundary: Callable[[str, str, str], None]) -> None:
        self._conf = conf
        self._db = db
        self._boundary = boundary
        self._lease_s = conf.conductor.lease_s
        self._owner = str(uuids.uuid4())
        self._cursor: LogCursor | None = None
        self._renewed = 0.0
        self._stands_by_until = 0.0
        self._transport: oslo_messaging.Transport | None = None
        self._periodic: concurrency.Periodic | None = None
        self._settings = Settings(
            host=conf.host,
            level=conf.notifications.default_level,
            with_block_devices=conf.notifications.bdms_in_notifications,
            with_shares=conf.notifications.include_share_mapping,
            notify_on_state_change=conf.notifications.notify_on_state_change,
            instance_name_template=conf.instance_name_template,
        )

    def start(self) -> None:
        """Raises BadConfiguration for a driver that is not there."""
        if not are_wanted(self._conf):
            return
        _check_drivers(self._conf)
        self._transport = oslo_messaging.get_notification_transport(self._conf)
        topics = self._conf.notifications.versioned_notifications_topics
        self._notifier = oslo_messaging.Notifier(self._transport, topics=topics)
        self._db.write(lambda c: log_readers.begin(c, _READER))
        self._periodic = concurrency.Periodic(_POLL_S, self._read, "notifications", at_once=True)

    def stop(self) -> None:
        if self._periodic is None or self._transport is None:
            return
        self._periodic.stop()
        self._db.write(lambda c: log_readers.release(c, _READER, self._owner))
        self._transport.cleanup()

    def _read(self) -> None:
        """Tell of what is new, if this conductor is the one to tell."""
        while (cursor := self._held()) is not None:
            entries = self._unread(cursor)
            for entry in entries:
                self._tell(entry)
            if entries:
                self._boundary(_READER, "read", "told")
            behind = log_readers.behind(cursor, [entry.event for entry in entries])
            if behind != cursor and not self._advance(behind):
                return
            if len(entries) < _BATCH:
                return

    def _unread(self, cursor: LogCursor) -> list[Entry]:
        return self._db.read(lambda c: events.unread(c, cursor.position, cursor.missing, _BATCH))

    def _held(self) -> LogCursor | None:
        """Where to go on; None while another conductor tells. The lease is renewed before it is half over."""
        now = time.monotonic()
        if self._cursor is None:
            if now < self._stands_by_until:
                return None
            standing = self._db.read(lambda c: log_readers.standing(c, _READER))
            # Not worth a transaction that writes while somebody else is at it.
            if standing.is_held():
                self._stands_by_until = now + min(_STANDBY_S, self._lease_s / 3)
                return None
        elif now - self._renewed < self._lease_s / 2:
            return self._cursor
        self._cursor = self._db.write(lambda c: log_readers.take(c, _READER, self._owner, self._lease_s))
        self._renewed = now
        return self._cursor

    def _advance(self, behind: LogCursor) -> bool:
        now = time.monotonic()
        is_ours = self._db.write(
            lambda c: log_readers.advance(c, _READER, self._owner, behind, self._lease_s), is_repeatable=True
        )
        self._cursor = behind if is_ours else None
        self._renewed = now
        return is_ours

    def _tell(self, entry: Entry) -> None:
        event = self._notification_event(entry)
        if event is None:
            return
        try:
            told = table.notifications(event)
        except Exception:
            # A defect: one that cannot be told must not keep back the others.
            LOG.exception("event %s (%s) is not told", entry.event.id, entry.event.kind)
            return
        for notification in told:
            sender = self._notifier.prepare(publisher_id=notification.publisher_id)
            getattr(sender, _METHODS[notification.priority])({}, notification.event_type, notification.payload)

    def _notification_event(self, entry: Entry) -> NotificationEvent | None:
        """What there may be to tell; None where there is nothing."""
        event, details = entry
        if details is None or not table.may_tell(event.kind, details, self._settings):
            return None
        was = now = None
        if event.instance_uuid is not None:
            server = self._db.read(lambda c: events.server_then(c, entry))
            if server is None:
                # Its operation began before anybody told of events.
                return None
            was, now = server
        return NotificationEvent(
            kind=event.kind,
            at=event.created_at,
            details=details,
            settings=self._settings,
            request_id=event.request_id,
            was=was,
            now=now,
        )


def _check_drivers(conf: cfg.ConfigOpts) -> None:
    known = entry_points(group="oslo.messaging.notify.drivers").names
    for name in conf.oslo_messaging_notifications.driver:
        if name and name not in known:
            raise BadConfiguration(
                f"[oslo_messaging_notifications] driver: {name} is none of {', '.join(sorted(known))}"
            )
