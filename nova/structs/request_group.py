"""What one provider of a host is to give by itself. Source: Placement API reference, "Granular Resource Requests"."""

import msgspec


class RequestGroup(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A group of a request. suffix: what it is called in the request. resources: (resource class, amount), sorted.

    required, forbidden: traits of the provider. A group without resources only asks for a provider with these traits in a
    tree that same_subtree of the request names.
    """

    suffix: str
    resources: tuple[tuple[str, int], ...] = ()
    required: tuple[str, ...] = ()
    forbidden: tuple[str, ...] = ()
