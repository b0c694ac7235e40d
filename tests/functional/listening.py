"""Somebody who listens to a cloud's notifications, as telemetry does."""

import threading

import oslo_messaging

from tests.functional.cloud import wait

TELLS = """
[notifications]
notification_format = versioned
[oslo_messaging_notifications]
driver = messagingv2
"""


class Listener:
    """Hears what is sent to a topic, and keeps it in its order."""

    def __init__(self, cloud, topic="versioned_notifications"):
        self._heard = []
        self._lock = threading.Lock()
        self._server = oslo_messaging.get_notification_listener(
            oslo_messaging.get_notification_transport(cloud.conf),
            [oslo_messaging.Target(topic=topic)],
            [self],
            executor="threading",
        )
        self._server.start(override_pool_size=1)

    def stop(self):
        self._server.stop()

    def info(self, context, publisher_id, event_type, payload, metadata):
        self._keep("INFO", publisher_id, event_type, payload)

    def error(self, context, publisher_id, event_type, payload, metadata):
        self._keep("ERROR", publisher_id, event_type, payload)

    def _keep(self, priority, publisher_id, event_type, payload):
        message = {"priority": priority, "publisher_id": publisher_id, "event_type": event_type, "payload": payload}
        with self._lock:
            self._heard.append(message)

    def heard(self, prefix=""):
        with self._lock:
            return [one for one in self._heard if one["event_type"].startswith(prefix)]

    def types(self, prefix=""):
        return [one["event_type"] for one in self.heard(prefix)]

    def wait_for(self, event_type, count=1):
        """The notification of this type that came last, once there are so many."""
        wait(lambda: self.types().count(event_type) >= count, f"{event_type} is told: {self.types()}")
        return next(one for one in reversed(self.heard()) if one["event_type"] == event_type)


def data(told):
    """The fields of a notification's payload, or of an object in one."""
    return told.get("payload", told)["nova_object.data"]
