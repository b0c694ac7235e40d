"""A request to the scheduler, and its decision with the reasons."""

from collections import Counter

import msgspec

from nova.structs.flavor import Flavor
from nova.structs.image import Image
from nova.structs.request_group import RequestGroup


class GroupView(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A server group as it is when a member is placed: the other members' hosts, one entry each.

    members: the servers on these hosts, in the same order; conductors of the last release do not say.
    """

    uuid: str
    policy: str
    max_server_per_host: int = 1
    hosts: tuple[str, ...] = ()
    members: tuple[str, ...] = ()


class PlacementRequest(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is to be placed. resources: by resource class, from any provider of the host.

    groups: what one provider of the host gives each, beside resources. group_policy: "none" or "isolate".
    same_subtrees: suffixes of groups whose providers are one above the other.
    exclude: hosts that refused already. only_host / only_node: the host that the user names.
    same_hosts / different_hosts: hosts of the servers named in scheduler hints.
    """

    instance_id: str
    project_id: str
    user_id: str
    flavor: Flavor
    resources: dict[str, int]
    image: Image | None = None
    groups: tuple[RequestGroup, ...] = ()
    group_policy: str | None = None
    same_subtrees: tuple[tuple[str, ...], ...] = ()
    required_traits: tuple[str, ...] = ()
    forbidden_traits: tuple[str, ...] = ()
    zone: str | None = None
    exclude: tuple[str, ...] = ()
    # The host a server that moves is to leave: excluded too, though it has refused nothing.
    leaves: str | None = None
    only_host: str | None = None
    only_node: str | None = None
    group: GroupView | None = None
    hints: dict[str, object] = {}
    same_hosts: tuple[str, ...] = ()
    different_hosts: tuple[str, ...] = ()
    # Resources the server holds already on a host (resize, migration): kept while it moves.
    keep: dict[str, dict[str, int]] = {}
    # The server stays where it is: only what looks at the image judges its host.
    only_image: bool = False
    # A dry run decides and claims nothing.
    is_dry_run: bool = False
    # The version of the hosts when this was asked: what was changed before counts. 0: an older conductor's.
    hosts_version: int = 0

    @property
    def amounts(self) -> dict[str, int]:
        """All that the server takes of its host, by resource class."""
        total = Counter(self.resources)
        for group in self.groups:
            total.update(dict(group.resources))
        return dict(total)


class Dropped(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A host that a stage removed, and the reason."""

    host: str
    node: str
    reason: str


class Stage(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One stage of a decision: Placement's candidates, or a filter. dropped holds the first few."""

    name: str
    before: int
    after: int
    dropped: tuple[Dropped, ...] = ()


class Weighed(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A host that stayed: its weight, and each weigher's normalised share of it."""

    host: str
    node: str
    weight: float
    weights: dict[str, float] = {}


class Promise(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A host that a scheduler has chosen for a server, while neither Placement nor the database need show it yet.

    sequence counts the promises of its scheduler. amounts: what the server takes of the host, by resource class.
    group: the server group it is a member of.
    """

    instance_id: str
    scheduler: str
    sequence: int
    host: str
    provider_uuid: str
    amounts: dict[str, int] = {}
    group: str | None = None


class PromiseNews(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a scheduler tells the others: the promises it made, and by sequence number those whose claims succeeded
    (kept) or failed (withdrawn). Without any of these it says that it is there."""

    scheduler: str
    made: tuple[Promise, ...] = ()
    kept: tuple[int, ...] = ()
    withdrawn: tuple[int, ...] = ()
    is_leaving: bool = False


class Counted(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The promises on a host that a decision counted, by sequence number."""

    host: str
    sequences: tuple[int, ...]


class Decision(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How a host was chosen, or why none was. reason is set when there was none.

    promises: the first few hosts with servers on their way there that counted as if they were there.
    """

    stages: tuple[Stage, ...] = ()
    weighed: tuple[Weighed, ...] = ()
    host: str | None = None
    node: str | None = None
    zone: str | None = None
    provider_uuid: str | None = None
    alternates: tuple[str, ...] = ()
    reason: str | None = None
    promises: tuple[Counted, ...] = ()
