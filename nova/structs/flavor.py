"""A flavor, as offered and as embedded in a server at boot."""

import re

import msgspec

from nova.structs.request_group import RequestGroup

# Extra specs of a numbered group: what it asks for, and the group's number, which may be any word.
_GROUP = re.compile(r"(resources|trait)([A-Za-z0-9_-]{1,64}):(.+)")

# Extra spec without a scope.
GROUP_POLICY = "group_policy"


class Flavor(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The size of a server. id is the one users name (upstream's flavorid)."""

    id: str
    name: str
    vcpus: int
    memory_mb: int
    root_gb: int = 0
    ephemeral_gb: int = 0
    swap_mb: int = 0
    rxtx_factor: float = 1.0
    is_public: bool = True
    is_disabled: bool = False
    description: str | None = None
    extra_specs: dict[str, str] = {}

    def resources(self, boots_from_volume: bool = False) -> dict[str, int]:
        """What a server of this size takes, by resource class, in the class's unit.

        Disk is whole GiB, rounded up; swap counts. Extra specs "resources:CLASS" replace or, with
        0, remove a class. Source: flavor documentation, "Custom resource classes".
        """
        disk_gb = (0 if boots_from_volume else self.root_gb) + self.ephemeral_gb + -(-self.swap_mb // 1024)
        amounts = {"VCPU": self.vcpus, "MEMORY_MB": self.memory_mb, "DISK_GB": disk_gb}
        for key, value in self.extra_specs.items():
            prefix, _, resource_class = key.partition(":")
            if prefix == "resources" and value.isdigit():
                amounts[resource_class] = int(value)
        return {name: amount for name, amount in amounts.items() if amount > 0}

    def request_groups(self) -> tuple[RequestGroup, ...]:
        """What extra specs (resources1:CLASS, trait1:NAME) ask of one provider of a host each.

        Source: flavor documentation, "Numbered groupings of resources".
        """
        resources: dict[str, list[tuple[str, int]]] = {}
        traits: dict[str, dict[str, list[str]]] = {}
        for key, value in sorted(self.extra_specs.items()):
            match = _GROUP.fullmatch(key)
            if match is None:
                continue
            kind, suffix, name = match.groups()
            if kind == "trait":
                traits.setdefault(suffix, {}).setdefault(value, []).append(name)
            elif value.isdigit() and int(value) > 0:
                resources.setdefault(suffix, []).append((name, int(value)))
        return tuple(
            RequestGroup(
                suffix=suffix,
                resources=tuple(resources.get(suffix, ())),
                required=tuple(traits.get(suffix, {}).get("required", ())),
                forbidden=tuple(traits.get(suffix, {}).get("forbidden", ())),
            )
            for suffix in sorted(resources.keys() | traits.keys())
        )

    @property
    def group_policy(self) -> str | None:
        """Whether different groups may be given by one provider ("none") or not ("isolate")."""
        return self.extra_specs.get(GROUP_POLICY)

    def required_traits(self) -> frozenset[str]:
        """Traits that extra specs (trait:NAME=required) ask of a host."""
        return self._traits("required")

    def forbidden_traits(self) -> frozenset[str]:
        """Traits that extra specs (trait:NAME=forbidden) exclude."""
        return self._traits("forbidden")

    def _traits(self, value: str) -> frozenset[str]:
        return frozenset(
            k.removeprefix("trait:") for k, v in self.extra_specs.items() if k.startswith("trait:") and v == value
        )
