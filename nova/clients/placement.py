"""Speaks the Placement API over HTTP for everyone who is not Placement.

One method per intent; the caller never sees a generation. A change that lost a race for a generation
is read again and repeated here; what Placement refuses for good is a domain error.
"""

import random
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

import msgspec
import requests
from keystoneauth1.adapter import Adapter

from nova import errors
from nova.clients.http import Service
from nova.clients.placement_answers import (
    Aggregates,
    Candidate,
    Generation,
    Held,
    Inventories,
    Provider,
    ProviderAllocations,
    Providers,
    Traits,
    read_candidates,
    read_held,
    read_problem,
    read_reasons,
)
from nova.structs.guest import Inventory

T = TypeVar("T")

MICROVERSION = "1.39"

# A claim that loses a generation this often in a row is up against something that is not a race.
ATTEMPTS = 12
# Reasons asked for, per stage of an explanation.
REASONS = 100
# What was written is trusted this long before it is compared with what Placement has.
TRUST_S = 300

_CONCURRENT_UPDATE = "placement.concurrent_update"

Allocations = Mapping[str, Mapping[str, int]]

_encode = msgspec.json.Encoder().encode


class ClaimLost(errors.HostRefused):
    """The room asked for is not there any more: another consumer was faster."""

    text = "Placement refused the claim: {reason}"


class ConsumerHolds(errors.Conflict):
    """The consumer holds something else already; nothing was changed."""

    text = "{consumer} holds other resources already."


class ProviderInUse(errors.Conflict):
    """A provider, or a class of its inventory, cannot go while something is allocated from it."""

    text = "Resource provider {uuid} is in use: {reason}"


class Claim(msgspec.Struct, frozen=True, kw_only=True):
    """What a consumer shall hold from now on; nothing gives everything back."""

    consumer: str
    allocations: Allocations
    project_id: str
    user_id: str
    consumer_type: str = "INSTANCE"


class _Offer(msgspec.Struct, frozen=True):
    """What a provider has in Placement, as of a generation."""

    generation: int
    inventory: dict[str, Inventory]
    traits: frozenset[str]


class _Written(msgspec.Struct, frozen=True):
    """What was last written of a provider, and until when that is believed."""

    inventory: dict[str, Inventory]
    traits: frozenset[str]
    believed_until: float


class PlacementClient:
    """The Placement service. Any method raises errors.Unavailable when it cannot be reached."""

    def __init__(self, adapter: Adapter) -> None:
        self._service = Service("Placement", adapter)
        self._written: dict[str, _Written] = {}

    # Candidates and claims

    def candidates(
        self,
        resources: Mapping[str, int],
        required: Iterable[str] = (),
        forbidden: Iterable[str] = (),
        in_tree: str | None = None,
        limit: int | None = None,
    ) -> list[Candidate]:
        """The ways to meet a request. Raises errors.Invalid for a class or trait that does not exist."""
        query = candidates_query(resources, required, forbidden, in_tree, limit)
        response = self._call("GET", "/allocation_candidates", params=query)
        if response.status_code == 400:
            raise errors.Invalid(read_problem(response.content).detail)
        self._expect(response, 200)
        return self._read(response, read_candidates)

    def explain(
        self,
        resources: Mapping[str, int],
        required: Iterable[str] = (),
        forbidden: Iterable[str] = (),
        in_tree: str | None = None,
    ) -> dict[str, str]:
        """Why providers are not among the candidates, in words, for the first few of them.

        Only this project's Placement explains itself; of another one nothing is known.
        """
        query = candidates_query(resources, required, forbidden, in_tree) | {"max_reasons": str(REASONS)}
        response = self._call("GET", "/allocation_candidates/explain", params=query)
        if response.status_code != 200:
            return {}
        return self._read(response, read_reasons)

    def claim(
        self,
        consumer: str,
        allocations: Allocations,
        project_id: str,
        user_id: str,
        consumer_type: str = "INSTANCE",
    ) -> None:
        """Give a consumer that holds nothing its allocations; fine when it holds just these.

        Raises ClaimLost when the room is gone, ConsumerHolds when it holds something else.
        """
        wanted = _plain(allocations)
        body = _claim_body(allocations, project_id, user_id, consumer_type, None)
        for attempt in range(ATTEMPTS):
            response = self._call("PUT", f"/allocations/{consumer}", body)
            if response.status_code == 204:
                return
            self._expect(response, 204, 409)
            held = self.allocations(consumer)
            if held.resources == wanted:
                return
            if held.resources:
                raise ConsumerHolds(consumer=consumer)
            if read_problem(response.content).code != _CONCURRENT_UPDATE:
                raise ClaimLost(reason=read_problem(response.content).detail)
            _step_back(attempt)
        raise ClaimLost(reason="too many others write to the same provider")

    def replace(self, *claims: Claim) -> None:
        """Make consumers hold exactly this, whatever they hold now; all of them or none.

        Raises ClaimLost when there is no room.
        """
        for attempt in range(ATTEMPTS):
            body = {}
            for claim in claims:
                generation = self.allocations(claim.consumer).generation
                if generation is None and not claim.allocations:
                    continue
                body[claim.consumer] = _claim_body(
                    claim.allocations, claim.project_id, claim.user_id, claim.consumer_type, generation
                )
            if not body:
                return
            response = self._call("POST", "/allocations", body)
            if response.status_code == 204:
                return
            self._expect(response, 204, 409)
            if read_problem(response.content).code != _CONCURRENT_UPDATE:
                raise ClaimLost(reason=read_problem(response.content).detail)
            _step_back(attempt)
        raise ClaimLost(reason="too many others write to the same provider")

    def allocations(self, consumer: str) -> Held:
        """What a consumer holds; an unknown one holds nothing."""
        response = self._call("GET", f"/allocations/{consumer}")
        self._expect(response, 200)
        return self._read(response, read_held)

    def release(self, consumer: str) -> None:
        """Give back all a consumer holds; fine when it holds nothing."""
        for attempt in range(ATTEMPTS):
            response = self._call("DELETE", f"/allocations/{consumer}")
            self._expect(response, 204, 404, 409)
            if response.status_code != 409:
                return
            _step_back(attempt)
        raise self._service.failed(response, "too many others write to the same consumer")

    # Providers

    def set_inventory(
        self, uuid: str, name: str, inventory: Mapping[str, Inventory], traits: Iterable[str] = ()
    ) -> None:
        """Make a provider offer exactly this inventory, and have these traits.

        A missing provider is made. Custom traits that others have set on it stay. Writes only what
        differs; raises errors.NameExists when another provider has the name, ProviderInUse when a
        class that shall go is in use.
        """
        wanted_traits = frozenset(traits)
        last = self._written.get(uuid)
        if (
            last is not None
            and time.monotonic() < last.believed_until
            and last.inventory == inventory
            and last.traits == wanted_traits
        ):
            return
        self._written.pop(uuid, None)
        ours = last.traits if last else frozenset()
        for attempt in range(ATTEMPTS):
            if self._write(uuid, name, inventory, wanted_traits, ours):
                self._written[uuid] = _Written(dict(inventory), wanted_traits, time.monotonic() + TRUST_S)
                return
            _step_back(attempt)
        raise errors.GenerationConflict(what=f"resource provider {uuid}")

    def provider(self, uuid: str) -> Provider | None:
        response = self._call("GET", f"/resource_providers/{uuid}")
        self._expect(response, 200, 404)
        return None if response.status_code == 404 else self._decode(response, Provider)

    def providers(
        self, resources: Mapping[str, int] | None = None, required: str | None = None, in_tree: str | None = None
    ) -> list[Provider]:
        """All providers, or those that have room for these resources and this trait ("!" before: not this)."""
        query = {"required": required, "in_tree": in_tree}
        if resources:
            query["resources"] = ",".join(f"{name}:{amount}" for name, amount in sorted(resources.items()))
        query = {key: value for key, value in query.items() if value is not None}
        response = self._call("GET", "/resource_providers", params=query)
        if response.status_code == 400:
            raise errors.Invalid(read_problem(response.content).detail)
        self._expect(response, 200)
        return self._decode(response, Providers).resource_providers

    def delete_provider(self, uuid: str) -> None:
        """Fine when there is none. Raises ProviderInUse while something is allocated from it."""
        self._written.pop(uuid, None)
        response = self._call("DELETE", f"/resource_providers/{uuid}")
        self._expect(response, 204, 404, 409)
        if response.status_code == 409:
            raise ProviderInUse(uuid=uuid, reason=read_problem(response.content).detail)

    def provider_allocations(self, uuid: str) -> dict[str, dict[str, int]]:
        """What is allocated from a provider: consumer -> class -> amount; nothing from an unknown one."""
        response = self._call("GET", f"/resource_providers/{uuid}/allocations")
        self._expect(response, 200, 404)
        if response.status_code == 404:
            return {}
        found = self._decode(response, ProviderAllocations)
        return {consumer: held.resources for consumer, held in found.allocations.items()}

    def inventory(self, uuid: str) -> dict[str, Inventory]:
        """What a provider offers; nothing when there is no such provider."""
        response = self._call("GET", f"/resource_providers/{uuid}/inventories")
        self._expect(response, 200, 404)
        return {} if response.status_code == 404 else self._decode(response, Inventories).inventories

    def set_aggregates(self, uuid: str, aggregates: Iterable[str]) -> None:
        """Make a provider a member of exactly these aggregates. Raises errors.NotFound without the provider."""
        wanted = sorted(set(aggregates))
        path = f"/resource_providers/{uuid}/aggregates"
        for attempt in range(ATTEMPTS):
            response = self._call("GET", path)
            self._expect(response, 200, 404)
            if response.status_code == 404:
                raise errors.NotFound(f"Resource provider {uuid} could not be found.")
            now = self._decode(response, Aggregates)
            if sorted(now.aggregates) == wanted:
                return
            body = {"aggregates": wanted, "resource_provider_generation": now.resource_provider_generation}
            response = self._call("PUT", path, body)
            if response.status_code == 200:
                return
            self._expect(response, 200, 409)
            _step_back(attempt)
        raise errors.GenerationConflict(what=f"resource provider {uuid}")

    def _write(
        self,
        uuid: str,
        name: str,
        inventory: Mapping[str, Inventory],
        traits: frozenset[str],
        ours: frozenset[str],
    ) -> bool:
        """Bring a provider, its inventory and traits about; False when another change came between."""
        now = self._look(uuid, name) or self._make(uuid, name)
        if now is None:
            return False
        generation = now.generation
        if now.inventory != inventory:
            self._know("resource_classes", inventory)
            body: dict[str, Any] = {"inventories": {kind: _inventory_body(had) for kind, had in inventory.items()}}
            changed = self._change(uuid, "inventories", body, generation)
            if changed is None:
                return False
            generation = changed
        foreign = {trait for trait in now.traits if trait.startswith("CUSTOM_")} - ours
        wanted = traits | foreign
        if wanted == now.traits:
            return True
        self._know("traits", traits)
        return self._change(uuid, "traits", {"traits": sorted(wanted)}, generation) is not None

    def _look(self, uuid: str, name: str) -> _Offer | None:
        """What a provider offers now, by this name; None when there is no such provider."""
        found = self.provider(uuid)
        if found is None:
            return None
        if found.name != name:
            body = {"name": name, "parent_provider_uuid": found.parent_provider_uuid}
            response = self._call("PUT", f"/resource_providers/{uuid}", body)
            if response.status_code == 409:
                raise errors.NameExists(name=name)
            self._expect(response, 200)
        inventories = self._call("GET", f"/resource_providers/{uuid}/inventories")
        traits = self._call("GET", f"/resource_providers/{uuid}/traits")
        if 404 in (inventories.status_code, traits.status_code):
            return None
        self._expect(inventories, 200)
        self._expect(traits, 200)
        offered = self._decode(inventories, Inventories)
        had = self._decode(traits, Traits).traits
        # The older generation of the two: a change between the two reads must not go unnoticed.
        return _Offer(offered.resource_provider_generation, offered.inventories, frozenset(had))

    def _make(self, uuid: str, name: str) -> _Offer | None:
        """Make a provider that offers nothing yet; None when another made it meanwhile."""
        response = self._call("POST", "/resource_providers", {"uuid": uuid, "name": name})
        if response.status_code == 409:
            if self.provider(uuid) is None:
                raise errors.NameExists(name=name)
            return None
        self._expect(response, 200)
        return _Offer(self._decode(response, Provider).generation, {}, frozenset())

    def _change(self, uuid: str, what: str, body: dict[str, Any], generation: int) -> int | None:
        """Put a part of a provider; its generation then, None when another change came first."""
        body["resource_provider_generation"] = generation
        response = self._call("PUT", f"/resource_providers/{uuid}/{what}", body)
        if response.status_code == 200:
            return self._decode(response, Generation).resource_provider_generation
        if response.status_code == 400:
            raise errors.Invalid(read_problem(response.content).detail)
        self._expect(response, 200, 404, 409)
        if response.status_code == 409 and read_problem(response.content).code != _CONCURRENT_UPDATE:
            raise ProviderInUse(uuid=uuid, reason=read_problem(response.content).detail)
        return None

    def _know(self, collection: str, names: Iterable[str]) -> None:
        """Custom classes and traits must be made known to Placement before their first use."""
        for name in names:
            if name.startswith("CUSTOM_"):
                self._expect(self._call("PUT", f"/{collection}/{name}"), 200, 201, 204)

    def _call(
        self, method: str, path: str, body: dict[str, Any] | None = None, params: dict[str, Any] | None = None
    ) -> requests.Response:
        headers = {"Accept": "application/json", "OpenStack-API-Version": f"placement {MICROVERSION}"}
        extra: dict[str, Any] = {}
        if body is not None:
            headers["Content-Type"] = "application/json"
            extra["data"] = _encode(body)
        if params:
            extra["params"] = params
        return self._service.ask(method, path, headers=headers, **extra)

    def _expect(self, response: requests.Response, *statuses: int) -> None:
        if response.status_code not in statuses:
            raise self._service.failed(response)

    def _read(self, response: requests.Response, read: Callable[[bytes], T]) -> T:
        try:
            return read(response.content)
        except msgspec.MsgspecError as error:
            raise self._service.not_understood(response) from error

    def _decode(self, response: requests.Response, shape: type[T]) -> T:
        return self._read(response, lambda content: msgspec.json.decode(content, type=shape))


def candidates_query(
    resources: Mapping[str, int],
    required: Iterable[str] = (),
    forbidden: Iterable[str] = (),
    in_tree: str | None = None,
    limit: int | None = None,
) -> dict[str, str]:
    query = {"resources": ",".join(f"{name}:{amount}" for name, amount in sorted(resources.items()))}
    traits = [*sorted(required), *(f"!{trait}" for trait in sorted(forbidden))]
    if traits:
        query["required"] = ",".join(traits)
    if in_tree is not None:
        query["in_tree"] = in_tree
    if limit is not None:
        query["limit"] = str(limit)
    return query


def _claim_body(
    allocations: Allocations, project_id: str, user_id: str, consumer_type: str, generation: int | None
) -> dict[str, Any]:
    return {
        "allocations": {provider: {"resources": amounts} for provider, amounts in allocations.items()},
        "project_id": project_id,
        "user_id": user_id,
        "consumer_generation": generation,
        "consumer_type": consumer_type,
    }


def _inventory_body(inventory: Inventory) -> dict[str, Any]:
    return {name: getattr(inventory, name) for name in inventory.__struct_fields__}


def _plain(allocations: Allocations) -> dict[str, dict[str, int]]:
    return {provider: dict(amounts) for provider, amounts in allocations.items()}


def _step_back(attempt: int) -> None:
    """Those who collided come back at different times."""
    time.sleep(random.uniform(0, 0.005 * (attempt + 1)))
