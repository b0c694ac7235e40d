"""What is asked of the hosts of the cloud: the query of allocation candidates."""

import msgspec

from nova.structs.request_group import RequestGroup
from nova.structs.schedule import PlacementRequest


class CandidatesQuery(msgspec.Struct, frozen=True):
    """As PlacementRequest has it; hashable, so that requests that ask the same can share an answer."""

    resources: tuple[tuple[str, int], ...]
    required: tuple[str, ...] = ()
    forbidden: tuple[str, ...] = ()
    groups: tuple[RequestGroup, ...] = ()
    group_policy: str | None = None
    same_subtrees: tuple[tuple[str, ...], ...] = ()

    @classmethod
    def of(cls, request: PlacementRequest) -> "CandidatesQuery":
        return cls(
            tuple(sorted(request.resources.items())),
            tuple(sorted(request.required_traits)),
            tuple(sorted(request.forbidden_traits)),
            request.groups,
            request.group_policy,
            request.same_subtrees,
        )

    def parameters(self) -> dict[str, str | list[str]]:
        """The query of a URL."""
        whole = RequestGroup(suffix="", resources=self.resources, required=self.required, forbidden=self.forbidden)
        parameters: dict[str, str | list[str]] = {}
        for group in (whole, *self.groups):
            if group.resources:
                parameters[f"resources{group.suffix}"] = ",".join(
                    f"{name}:{amount}" for name, amount in group.resources
                )
            if traits := [*group.required, *(f"!{trait}" for trait in group.forbidden)]:
                parameters[f"required{group.suffix}"] = ",".join(traits)
        if self.group_policy is not None:
            parameters["group_policy"] = self.group_policy
        if self.same_subtrees:
            parameters["same_subtree"] = [",".join(suffixes) for suffixes in self.same_subtrees]
        return parameters
