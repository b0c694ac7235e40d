"""The pool's objects, and the events that tell of their changes."""

import copy
import threading
import time
import uuid
from typing import Any

from tests.simulators.xenserver.model import CLASSES, NULL, Failure, blank

Record = dict[str, Any]


class Store:
    """One lock for all of it: calls change several objects at once."""

    def __init__(self) -> None:
        self.changed = threading.Condition(threading.RLock())
        self._objects: dict[str, dict[str, Record]] = {name: {} for name in CLASSES}
        self._events: list[Record] = []

    def add(self, class_name: str, record: Record) -> str:
        reference = f"OpaqueRef:{uuid.uuid4()}"
        with self.changed:
            self._objects[class_name][reference] = copy.deepcopy(record) | {"uuid": str(uuid.uuid4())}
            self._tell("add", class_name, reference)
        return reference

    def make(self, class_name: str, **fields: Any) -> str:
        """An object that the hypervisor makes by itself."""
        return self.add(class_name, blank(class_name, **fields))

    def get(self, class_name: str, reference: object) -> Record:
        """The object itself: who changes it does so by change()."""
        with self.changed:
            record = self._objects[class_name].get(str(reference))
        if record is None:
            raise Failure("HANDLE_INVALID", class_name, reference)
        return record

    def all(self, class_name: str) -> dict[str, Record]:
        with self.changed:
            return copy.deepcopy(self._objects[class_name])

    def change(self, class_name: str, reference: str, **fields: Any) -> None:
        with self.changed:
            self.get(class_name, reference).update(copy.deepcopy(fields))
            self._tell("mod", class_name, reference)

    def remove(self, class_name: str, reference: str) -> None:
        with self.changed:
            self.get(class_name, reference)
            self._tell("del", class_name, reference)
            del self._objects[class_name][reference]

    def link(self, class_name: str, reference: str, field: str, other: str) -> None:
        """Add other to a set of references, unless reference is null."""
        if reference != NULL:
            self.change(class_name, reference, **{field: [*self.get(class_name, reference)[field], other]})

    def unlink(self, class_name: str, reference: str, field: str, other: str) -> None:
        with self.changed:
            if reference in self._objects[class_name]:
                kept = [entry for entry in self.get(class_name, reference)[field] if entry != other]
                self.change(class_name, reference, **{field: kept})

    def events_after(self, token: str, classes: list[str], timeout_s: float) -> tuple[list[Record], str]:
        """The last event of each object since token. Source: event.from, which folds events that way."""
        if token and not token.isdigit():
            raise Failure("EVENT_FROM_TOKEN_PARSE_FAILURE", token)
        wanted = {name.lower() for name in classes}
        deadline = time.monotonic() + timeout_s
        with self.changed:
            while True:
                recent = [event for event in self._events[int(token or 0) :] if wanted & {"*", event["class"]}]
                left_s = deadline - time.monotonic()
                if recent or left_s <= 0:
                    last = {event["ref"]: event for event in recent}
                    return list(last.values()), str(len(self._events))
                self.changed.wait(left_s)

    def _tell(self, operation: str, class_name: str, reference: str) -> None:
        record = self._objects[class_name][reference]
        event = {
            "id": str(len(self._events) + 1),
            "timestamp": str(time.time()),
            "class": class_name.lower(),
            "operation": operation,
            "ref": reference,
            "obj_uuid": record["uuid"],
        }
        if operation != "del":
            event["snapshot"] = copy.deepcopy(record)
        self._events.append(event)
        self.changed.notify_all()
