"""Whose disks a host holds: the placement of a server that made them."""

import msgspec


class DisksId(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One placement of a server. generation: the number of the move that brought it there, counted per server."""

    generation: int
    host: str


class Mark(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a directory of disks says of itself.

    found_as: what it was when made_by found it, on storage that both hosts see. is_unproved: it had no mark then.
    """

    server: str
    made_by: DisksId
    found_as: DisksId | None = None
    is_unproved: bool = False


class HeldDisks(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A directory of disks on a host. place: own, aside (until a resize is confirmed) or left (taken for nobody's)."""

    server: str
    name: str
    place: str
    mark: Mark | None = None


class DisksVerdict(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """By name of directory: the disks no server needs, and those of servers there is no record of."""

    left_over: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()
