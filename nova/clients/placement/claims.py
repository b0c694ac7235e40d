"""Allocation candidates, and what consumers hold of them."""

from collections.abc import Mapping
from typing import Any

import msgspec

from nova import errors
from nova.clients.placement.answers import Allocations, Candidate, read_allocations, read_candidates, read_reasons
from nova.clients.placement.http import PlacementHttp, attempts, lost_race, refusal
from nova.clients.placement.query import CandidatesQuery

# Reasons asked for, per stage of an explanation.
_REASONS = 100

# Provider -> resource class -> amount.
Amounts = Mapping[str, Mapping[str, int]]


class ClaimLost(errors.HostRefused):
    """The resources asked for are not free any more: another consumer was faster."""

    text = "Placement refused the claim: {reason}"
    text_for_users = "Placement refused the claim."


class ConsumerHolds(errors.Conflict):
    """The consumer holds something else already; nothing was changed."""

    text = "{consumer} holds other resources already."


class Claim(msgspec.Struct, frozen=True, kw_only=True):
    """What a consumer is to hold from now on; without allocations it gives everything back."""

    consumer: str
    allocations: Amounts
    project_id: str
    user_id: str
    consumer_type: str = "INSTANCE"


class Claims(PlacementHttp):
    def candidates(
        self, query: CandidatesQuery, in_tree: str | None = None, limit: int | None = None
    ) -> list[Candidate]:
        """The ways to meet a request. Raises errors.Invalid for a class or trait that does not exist."""
        parameters = query.parameters()
        if in_tree is not None:
            parameters["in_tree"] = in_tree
        if limit is not None:
            parameters["limit"] = str(limit)
        response = self._ask("GET", "/allocation_candidates", params=parameters, expected=(200, 400))
        return self._read(response, read_candidates)

    def explain(self, query: CandidatesQuery) -> dict[str, str]:
        """By provider, why it is not among the candidates; only the first few of them.

        Only nova-placement-api explains itself; nothing is known of another Placement service.
        """
        parameters = query.parameters() | {"max_reasons": str(_REASONS)}
        response = self._service.request("GET", "/allocation_candidates/explain", params=parameters)
        return self._read(response, read_reasons) if response.status_code == 200 else {}

    def claim(
        self, consumer: str, allocations: Amounts, project_id: str, user_id: str, consumer_type: str = "INSTANCE"
    ) -> None:
        """Give a consumer that holds nothing its allocations; one that holds exactly these keeps them.

        Raises ClaimLost when the resources are not free any more, ConsumerHolds when it holds something else.
        """
        body = _claim_body(allocations, project_id, user_id, consumer_type, None)
        for _ in attempts():
            response = self._ask("PUT", f"/allocations/{consumer}", body, expected=(204, 409))
            if response.status_code == 204:
                return
            now = self.allocations(consumer).resources
            if now == {provider: dict(amounts) for provider, amounts in allocations.items()}:
                return
            if now:
                raise ConsumerHolds(consumer=consumer)
            if not lost_race(response):
                raise ClaimLost(reason=refusal(response))
        raise ClaimLost(reason="too many others write to the same provider")

    def replace(self, *claims: Claim) -> None:
        """Make consumers hold exactly this, whatever they hold now; all of them or none.

        Raises ClaimLost when the resources are not free.
        """
        for _ in attempts():
            body = {}
            for claim in claims:
                generation = self.allocations(claim.consumer).generation
                if generation is not None or claim.allocations:
                    body[claim.consumer] = _claim_body(
                        claim.allocations, claim.project_id, claim.user_id, claim.consumer_type, generation
                    )
            if not body:
                return
            response = self._ask("POST", "/allocations", body, expected=(204, 409))
            if response.status_code == 204:
                return
            if not lost_race(response):
                raise ClaimLost(reason=refusal(response))
        raise ClaimLost(reason="too many others write to the same provider")

    def allocations(self, consumer: str) -> Allocations:
        """What a consumer holds; an unknown one holds nothing."""
        return self._read(self._ask("GET", f"/allocations/{consumer}"), read_allocations)

    def release(self, consumer: str) -> None:
        """Give back all that a consumer holds, if it holds anything."""
        for _ in attempts():
            response = self._ask("DELETE", f"/allocations/{consumer}", expected=(204, 404, 409))
            if response.status_code != 409:
                return
        raise self._service.failed(response, "too many others write to the same consumer")


def _claim_body(
    allocations: Amounts, project_id: str, user_id: str, consumer_type: str, generation: int | None
) -> dict[str, Any]:
    return {
        "allocations": {provider: {"resources": amounts} for provider, amounts in allocations.items()},
        "project_id": project_id,
        "user_id": user_id,
        "consumer_generation": generation,
        "consumer_type": consumer_type,
    }
