"""Resource providers: their inventory, traits and aggregates. Writes only what differs from what Placement has."""

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
from keystoneauth1.adapter import Adapter

from nova import errors
from nova.clients.placement import answers
from nova.clients.placement.http import PlacementHttp, attempts, lost_race, refusal
from nova.clients.ttl_cache import TtlCache
from nova.structs.guest import Inventory

# For this long, what was written last is not compared with what Placement has.
_TRUST_S = 300


class ProviderInUse(errors.Conflict):
    """A provider, or a class of its inventory, cannot go while something is allocated from it."""

    text = "Resource provider {uuid} is in use: {reason}"
    text_for_users = "The resource provider is in use."


# On a host that takes no servers by an operator's word.
DISABLED = "COMPUTE_STATUS_DISABLED"


def _is_others(trait: str) -> bool:
    """Whether a trait is not one of those that a host's daemon says of itself."""
    return trait.startswith("CUSTOM_") or trait == DISABLED


class _Offer(msgspec.Struct, frozen=True):
    """What a provider has in Placement, as of a generation."""

    generation: int
    inventory: dict[str, Inventory]
    traits: frozenset[str]


class Providers(PlacementHttp):
    def __init__(self, adapter: Adapter) -> None:
        super().__init__(adapter)
        self._written: TtlCache[tuple[dict[str, Inventory], frozenset[str]]] = TtlCache(_TRUST_S)
        # By provider, the traits written last: the only ones that may be taken away again.
        self._own_traits: dict[str, frozenset[str]] = {}

    def provider(self, uuid: str) -> answers.Provider | None:
        """None when there is none."""
        response = self._ask("GET", f"/resource_providers/{uuid}", expected=(200, 404))
        return None if response.status_code == 404 else self._decode(response, answers.Provider)

    def providers(
        self, resources: Mapping[str, int] | None = None, required: str | None = None, in_tree: str | None = None
    ) -> list[answers.Provider]:
        """All providers, or those with these resources free and this trait ("!" before: without it)."""
        query = {"required": required, "in_tree": in_tree}
        if resources:
            query["resources"] = ",".join(f"{name}:{amount}" for name, amount in sorted(resources.items()))
        query = {key: value for key, value in query.items() if value is not None}
        response = self._ask("GET", "/resource_providers", params=query, expected=(200, 400))
        return self._decode(response, answers.Providers).resource_providers

    def delete_provider(self, uuid: str) -> None:
        """Delete the provider, if it exists. Raises ProviderInUse while something is allocated from it."""
        self._written.forget(lambda key: key == uuid)
        response = self._ask("DELETE", f"/resource_providers/{uuid}", expected=(204, 404, 409))
        if response.status_code == 409:
            raise ProviderInUse(uuid=uuid, reason=refusal(response))

    def provider_allocations(self, uuid: str) -> dict[str, dict[str, int]]:
        """What is allocated from a provider: consumer -> class -> amount; nothing from an unknown one."""
        response = self._ask("GET", f"/resource_providers/{uuid}/allocations", expected=(200, 404))
        if response.status_code == 404:
            return {}
        allocations = self._decode(response, answers.ProviderAllocations).allocations
        return {consumer: amounts.resources for consumer, amounts in allocations.items()}

    def inventory(self, uuid: str) -> dict[str, Inventory]:
        """What a provider offers; nothing when there is no such provider."""
        response = self._ask("GET", f"/resource_providers/{uuid}/inventories", expected=(200, 404))
        return {} if response.status_code == 404 else self._decode(response, answers.Inventories).inventories

    def traits(self, uuid: str) -> frozenset[str]:
        """What a provider is said to be; nothing when there is no such provider."""
        response = self._ask("GET", f"/resource_providers/{uuid}/traits", expected=(200, 404))
        return frozenset(() if response.status_code == 404 else self._decode(response, answers.Traits).traits)

    def set_aggregates(self, uuid: str, aggregates: Iterable[str]) -> None:
        """Make a provider a member of exactly these aggregates. Raises errors.NotFound without the provider."""
        wanted = sorted(set(aggregates))
        path = f"/resource_providers/{uuid}/aggregates"
        for _ in attempts():
            response = self._ask("GET", path, expected=(200, 404))
            if response.status_code == 404:
                raise errors.NotFound(f"Resource provider {uuid} could not be found.")
            now = self._decode(response, answers.Aggregates)
            if sorted(now.aggregates) == wanted:
                return
            body = {"aggregates": wanted, "resource_provider_generation": now.resource_provider_generation}
            if self._ask("PUT", path, body, expected=(200, 409)).status_code == 200:
                return
        raise errors.GenerationConflict(what=f"resource provider {uuid}")

    def set_inventory(
        self, uuid: str, name: str, inventory: Mapping[str, Inventory], traits: Iterable[str] = ()
    ) -> None:
        """Make a provider offer exactly this inventory, and have these traits.

        A missing provider is created. Traits that others have set on it stay. Raises errors.NameExists
        when another provider has the name, ProviderInUse when a class that is to go is in use.
        """
        wanted = (dict(inventory), frozenset(traits))
        if self._written.peek(uuid) == wanted:
            return
        self._written.forget(lambda key: key == uuid)
        for _ in attempts():
            if self._write(uuid, name, *wanted):
                self._written.put(uuid, wanted)
                self._own_traits[uuid] = wanted[1]
                return
        raise errors.GenerationConflict(what=f"resource provider {uuid}")

    def set_trait(self, uuid: str, trait: str, is_set: bool) -> bool:
        """Give a provider one trait more, or one less; False without the provider."""
        path = f"/resource_providers/{uuid}/traits"
        for _ in attempts():
            response = self._ask("GET", path, expected=(200, 404))
            if response.status_code == 404:
                return False
            now = self._decode(response, answers.Traits)
            if (trait in now.traits) == is_set:
                return True
            wanted = {*now.traits, trait} if is_set else set(now.traits) - {trait}
            if self._put(uuid, "traits", {"traits": sorted(wanted)}, now.resource_provider_generation) is not None:
                return True
        raise errors.GenerationConflict(what=f"resource provider {uuid}")

    def _write(self, uuid: str, name: str, inventory: dict[str, Inventory], traits: frozenset[str]) -> bool:
        """Create or change a provider, its inventory and traits; False when another change came between."""
        now = self._offer(uuid, name) or self._create(uuid, name)
        if now is None:
            return False
        generation: int | None = now.generation
        if now.inventory != inventory:
            self._define("resource_classes", inventory)
            bodies = {kind: msgspec.structs.asdict(each) for kind, each in inventory.items()}
            generation = self._put(uuid, "inventories", {"inventories": bodies}, now.generation)
        foreign = {trait for trait in now.traits if _is_others(trait)} - self._own_traits.get(uuid, set())
        wanted = traits | foreign
        if generation is not None and wanted != now.traits:
            self._define("traits", traits)
            generation = self._put(uuid, "traits", {"traits": sorted(wanted)}, generation)
        return generation is not None

    def _offer(self, uuid: str, name: str) -> _Offer | None:
        """What a provider offers now, by this name; None when there is no such provider."""
        provider = self.provider(uuid)
        if provider is None:
            return None
        if provider.name != name:
            body = {"name": name, "parent_provider_uuid": provider.parent_provider_uuid}
            if self._ask("PUT", f"/resource_providers/{uuid}", body, expected=(200, 409)).status_code == 409:
                raise errors.NameExists(name=name)
        inventories = self._ask("GET", f"/resource_providers/{uuid}/inventories", expected=(200, 404))
        traits = self._ask("GET", f"/resource_providers/{uuid}/traits", expected=(200, 404))
        if 404 in (inventories.status_code, traits.status_code):
            return None
        offered = self._decode(inventories, answers.Inventories)
        # The generation of the first read: a change between the two must not go unnoticed.
        return _Offer(
            offered.resource_provider_generation,
            offered.inventories,
            frozenset(self._decode(traits, answers.Traits).traits),
        )

    def _create(self, uuid: str, name: str) -> _Offer | None:
        """Create a provider that offers nothing yet; None when another did meanwhile."""
        response = self._ask("POST", "/resource_providers", {"uuid": uuid, "name": name}, expected=(200, 409))
        if response.status_code == 200:
            return _Offer(self._decode(response, answers.Provider).generation, {}, frozenset())
        if self.provider(uuid) is None:
            raise errors.NameExists(name=name)
        return None

    def _put(self, uuid: str, part: str, body: dict[str, Any], generation: int) -> int | None:
        """Replace a part of a provider; its new generation, None when another change came first."""
        body["resource_provider_generation"] = generation
        response = self._ask("PUT", f"/resource_providers/{uuid}/{part}", body, expected=(200, 400, 404, 409))
        if response.status_code == 200:
            return self._decode(response, answers.Generation).resource_provider_generation
        if response.status_code == 409 and not lost_race(response):
            raise ProviderInUse(uuid=uuid, reason=refusal(response))
        return None

    def _define(self, collection: str, names: Iterable[str]) -> None:
        """Custom classes and traits must be known to Placement before their first use."""
        for name in names:
            if name.startswith("CUSTOM_"):
                self._ask("PUT", f"/{collection}/{name}", expected=(200, 201, 204))
