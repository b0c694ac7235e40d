"""What nova-network asks of the conductor, which keeps its records."""

from nova.structs.networking import AnyRecord
from nova.structs.networking import Quota as NetworkQuota


class NetworkingCalls:
    """What nova-network keeps: one set of calls for every noun of nova.structs.networking."""

    def networking(self, noun: str, where: dict[str, list[str | bool]]) -> list[AnyRecord]:
        """Records, oldest first. where: column to values of which one must match; see nova.db.networks.find."""

    def networking_of(self, questions: list[tuple[str, dict[str, list[str | bool]]]]) -> list[list[AnyRecord]]:
        """The answers of networking() to several questions, each (noun, where), in one call."""

    def add_networking(self, records: list[AnyRecord], limits: dict[str, int]) -> list[AnyRecord]:
        """Add all or none. A record whose id is there already is given back as it is.

        Ports get their MAC and addresses here where they name none. limits: by noun, of a project
        without its own; a noun without limit is not counted. Raises OverQuota, Invalid,
        IpAddressInUse, IpAddressGenerationFailure, MacAddressInUse, NetworkingExists,
        NetworkingNotFound for what a record refers to.
        """

    def change_networking(self, record: AnyRecord) -> AnyRecord:
        """Put record in the place of the one with its id and revision_number.

        Raises GenerationConflict when that has changed since, and what add_networking raises.
        """

    def delete_networking(self, noun: str, record_id: str) -> None:
        """Delete a record and what belongs to it alone. Raises NetworkingNotFound, NetworkingInUse."""

    def used_addresses(self) -> dict[str, int]:
        """How many addresses each subnet has given away."""

    def network_quotas(self, project_id: str | None = None) -> list[NetworkQuota]:
        """Limits of a project, or of all projects, where they differ from the configured ones."""

    def set_network_quota(self, project_id: str, limits: dict[str, int] | None) -> None:
        """Set limits by noun; None removes them all."""
