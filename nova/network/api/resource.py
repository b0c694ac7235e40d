"""What every noun of the Networking API has in common: its place, its attributes, its reading and writing.

A noun is a subclass of Resource: it says which records a creation adds, how an update changes one,
and how records look from outside. The rest (filters, pages, bulk, tags, errors) is the same for all.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar, Protocol, TypeVar

import msgspec
from oslo_config import cfg
from webob import Request

from nova.errors import GenerationConflict, NetworkingNotFound
from nova.http import body
from nova.http.policy import Policy
from nova.network.api.fields import Field
from nova.rpc.network import NetworkingCalls
from nova.structs.context import Context
from nova.structs.networking import AnyRecord, Carriers, Network, Record

R = TypeVar("R", bound=Record)


class Dataplane(Protocol):
    """What makes this host's networks look like the records."""

    def changed(self) -> None:
        """Records have changed: look at them soon. Returns at once."""


class Call(msgspec.Struct, frozen=True):
    """One request: who asks, and what is at hand to answer it."""

    context: Context
    conf: cfg.ConfigOpts
    store: NetworkingCalls
    dataplane: Dataplane
    policy: Policy
    # What this request has read already, by id.
    networks: dict[str, Network] = msgspec.field(default_factory=dict)

    def allows(self, rule: str, target: Mapping[str, Any]) -> bool:
        return self.policy.allows(self.context, rule, target)

    def permits(self, rule: str) -> bool:
        """In the caller's own project."""
        return self.allows(rule, {"project_id": self.context.project_id})

    def require(self, rule: str, record: Record) -> None:
        """Raises PolicyDenied, asked with the record's project."""
        self.policy.check(self.context, rule, {"project_id": record.project_id})

    def body(self, request: Request) -> dict[str, Any]:
        """A request's body, a JSON object. Raises TooLarge, Invalid."""
        return body.read_object(request.environ, self.conf.api.max_body_size)

    @property
    def sees_everything(self) -> bool:
        """Whether records of all projects are this caller's to see."""
        return self.permits("network:see_everything")

    def find(self, noun: str, **where: Sequence[Any]) -> list[Any]:
        """Records whoever asks may see."""
        return self.store.networking(noun, self.visible(where))

    def records(self, kind: type[R], **where: Sequence[Any]) -> list[R]:
        """Records of one kind, whoever may see them."""
        found: list[Any] = self.store.networking(kind.noun, {key: list(values) for key, values in where.items()})
        return found

    def visible(self, where: Mapping[str, Sequence[Any]]) -> dict[str, list[Any]]:
        """A question narrowed to what whoever asks may see."""
        narrowed = {key: list(values) for key, values in where.items()}
        return narrowed if self.sees_everything else {**narrowed, "visible_to": [self.context.project_id]}

    def networks_of(self, ids: Iterable[str]) -> dict[str, Network]:
        """Networks by id, whoever may see them; what is missing here is read."""
        missing = sorted(set(ids) - self.networks.keys())
        if missing:
            self.networks.update((one.id, one) for one in self.records(Network, id=missing))
        return self.networks

    def get(self, noun: str, record_id: str) -> Any:
        """One of them. Raises NetworkingNotFound."""
        found = self.find(noun, id=[record_id])
        if not found:
            raise NetworkingNotFound(noun=noun, id=record_id)
        return found[0]

    def limits(self, *records: Record) -> dict[str, int]:
        """The configured quota for these nouns."""
        return {record.noun: self.conf[f"quota_{record.noun}"] for record in records}


class Resource:
    """One noun of the API."""

    noun: ClassVar[str]
    plural: ClassVar[str]
    path: ClassVar[str]
    fields: ClassVar[tuple[Field, ...]]
    # Attributes that are shown and never set.
    shown: ClassVar[tuple[str, ...]] = ()
    # Filters the store answers by itself: the API's name to the store's.
    columns: ClassVar[dict[str, str]] = {}
    # Attributes that not everybody is shown, and the rule for it.
    hidden: ClassVar[dict[str, str]] = {}

    def shows(self, call: Call, name: str) -> bool:
        """Whether who asks is shown this attribute."""
        return name not in self.hidden or call.permits(self.hidden[name])

    def build(self, call: Call, values: dict[str, Any]) -> list[AnyRecord]:
        """The records a creation adds, one of them the noun's own."""
        raise NotImplementedError

    def change(self, call: Call, record: Any, values: dict[str, Any]) -> AnyRecord:
        """The record as an update leaves it."""
        changed: AnyRecord = msgspec.structs.replace(record, **values)
        return changed

    def check_delete(self, call: Call, record: Any) -> None:
        """Raises when something outside the store says no."""

    def views(self, call: Call, records: Sequence[Any]) -> list[dict[str, Any]]:
        """The records as the API shows them to this caller, in their order."""
        raise NotImplementedError

    def before_list(self, call: Call, where: dict[str, list[Any]]) -> None:
        """Make what a list must never lack."""

    def filter_names(self) -> frozenset[str]:
        """The names by which a list may be filtered; any other is refused."""
        return frozenset(
            {field.name for field in self.fields}
            | set(self.shown)
            | set(self.columns)
            | {"id", "tenant_id", "created_at", "updated_at", "revision_number", "tags", "tags-any", "not-tags"}
            | {"not-tags-any", "changed_since"}
        )

    def carriers(self, call: Call) -> Carriers | None:
        """What may carry new records of this noun between hosts."""
        return None

    def store_new(self, call: Call, built: list[list[AnyRecord]]) -> list[AnyRecord]:
        """Add what one request creates, all or nothing; the noun's own records."""
        records = [record for group in built for record in group]
        for record in records:
            if record.noun == self.noun:
                call.require(f"network:create_{self.noun}", record)
        # Ports that come with another noun do not count: nobody asked for them.
        counted = [record for record in records if record.noun == self.noun]
        added = call.store.add_networking(records, call.limits(*counted), self.carriers(call))
        own = {record.id: record for record in added}
        return [own[record.id] for record in counted]

    def update(self, call: Call, record_id: str, values: dict[str, Any], revision: int | None) -> AnyRecord:
        """Change a record; another change that came between is no reason to fail, unless revision says so."""
        for attempt in range(5):
            record = call.get(self.noun, record_id)
            call.require(f"network:update_{self.noun}", record)
            if revision is not None and record.revision_number != revision:
                raise RevisionMismatch(noun=self.noun, id=record_id)
            try:
                return call.store.change_networking(self.change(call, record, dict(values)))
            except GenerationConflict:
                if attempt == 4 or revision is not None:
                    raise
        raise AssertionError("unreachable")


class RevisionMismatch(GenerationConflict):
    """If-Match named another revision."""

    status = 412
    text = "The {noun} {id} is at another revision."


def common_view(record: Record) -> dict[str, Any]:
    """What the API shows of every noun."""
    return {
        "id": record.id,
        "name": record.name,
        "project_id": record.project_id,
        "tenant_id": record.project_id,
        "description": record.description,
        "tags": list(record.tags),
        "revision_number": record.revision_number,
        "created_at": timestamp(record.created_at),
        "updated_at": timestamp(record.updated_at or record.created_at),
    }


def timestamp(moment: Any) -> str | None:
    """Whole seconds of UTC; None stays None."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ") if moment else None
