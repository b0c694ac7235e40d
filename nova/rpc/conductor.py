"""The door to the data: every call another daemon may make of the conductor, and how it is reached.

One class per noun; ConductorCalls is all of them. The client's stubs and the server's dispatch
come from these declarations; nova.conductor.calls implements them under the same names. Raised
errors are those of nova.errors.
"""

import datetime
import typing
from typing import Any

import oslo_messaging

from nova.rpc.client import make_client
from nova.rpc.declaration import cast, fanout
from nova.rpc.network import NetworkingCalls
from nova.rpc.watching import OverviewCalls, WatchingCalls
from nova.structs.console import ConsoleAccess, RemoteConsole
from nova.structs.context import Context
from nova.structs.disks import DisksVerdict, HeldDisks
from nova.structs.ec2 import Tag
from nova.structs.flavor import Flavor
from nova.structs.guest import GuestsCompared
from nova.structs.host import Aggregate, HostLoad, HostReport, HostView, Node, NodeUse, ServiceRecord, SignOfLife
from nova.structs.image import Image
from nova.structs.image_import import ImageImport, ImportRequest
from nova.structs.instance import Instance
from nova.structs.keypair import Keypair
from nova.structs.migration import Migration, MigrationProgress, MigrationQuery
from nova.structs.operation import OperationRecord, Outcome, StepAnswer, StepOrder
from nova.structs.quota import Quota
from nova.structs.requests import BuildRequest, ExternalEvent, ServerQuery, ServerUpdate
from nova.structs.schedule import Decision
from nova.structs.server_group import ServerGroup
from nova.structs.usage import ServerUsage

TOPIC = "conductor"
# What daemons ask that a conductor waits for while it answers a call. Threads of their own answer it: were they the
# same, a crowd of calls would take them all, and each would wait for a daemon that waits for one of them.
CALLBACK_TOPIC = "conductor-callbacks"


class ServerCalls:
    """Servers: their records, and the operations on them."""

    def create_servers(self, context: Context, request: BuildRequest) -> list[Instance]:
        """Accept a request for servers: records, quota and operations are committed when this returns.

        The same request with the same client_token gives the servers that were accepted first, in whatever state.
        Raises FlavorNotFound, KeypairNotFound, QuotaExceeded, Invalid, MultipleNetworks, IdempotencyMismatch.
        """

    def server(
        self,
        context: Context,
        server_id: str,
        with_user_data: bool = False,
        with_host_status: bool = False,
        project_id: str | None = None,
    ) -> Instance:
        """One server, of this project if one is given. Raises ServerNotFound."""

    def servers(self, context: Context, query: ServerQuery) -> list[Instance]:
        """Raises Invalid for an unknown marker."""

    def update_server(self, context: Context, server_id: str, update: ServerUpdate) -> Instance:
        """Raises ServerNotFound, NameExists, Conflict for a pin to a zone that the server is not in."""

    def operate(self, context: Context, server_id: str, operation: str, arguments: dict[str, Any]) -> Instance:
        """Accept an operation on a server; it is durable when this returns.

        arguments are the fields of the operation's document. Raises ServerNotFound,
        WrongServerState, ServerIsLocked, ServerNotReady (another operation is under way).
        """

    def set_lock(self, context: Context, server_id: str, is_locked: bool, reason: str | None = None) -> Instance:
        """Lock or unlock; a lock that stands already is kept as it is. Raises ServerNotFound."""

    def reset_state(self, context: Context, server_id: str, state: str) -> Instance:
        """Call the server active or error, whatever is under way. Raises ServerNotFound."""

    def outcome(
        self, context: Context, server_id: str, request_id: str, operation: str, wait_s: float, step: str | None = None
    ) -> Outcome | None:
        """How a request's operation ended; None when it has not within wait_s.

        step: it is enough that this step of it is done, which is success, whatever comes later. Conductors of the last
        release wait for the end.
        """

    def set_delete_on_termination(self, context: Context, server_id: str, volume_id: str, flag: bool) -> None:
        """Whether a volume is deleted with the server. Raises ServerNotFound, VolumeNotAttached."""

    def server_migrations(self, context: Context, server_id: str) -> list[Migration]:
        """A server's live migrations under way, newest first. Raises ServerNotFound."""

    def server_migration(self, context: Context, server_id: str, migration_id: str) -> Migration:
        """By number. Raises MigrationNotFound."""

    def migration_progress(self, context: Context, server_id: str) -> MigrationProgress:
        """How far the server's live migration is, as its host knows."""

    def abort_migration(self, context: Context, server_id: str, migration_id: str) -> None:
        """Give a live migration up. Raises MigrationNotFound, MigrationNotRunning, Unavailable."""

    def force_migration(self, context: Context, server_id: str, migration_id: str) -> None:
        """Bring a live migration to its end. Raises MigrationNotFound, MigrationNotRunning, Unavailable."""

    def migrations(self, context: Context, query: MigrationQuery) -> list[Migration]:
        """Raises Invalid for an unknown marker."""

    def console_output(self, context: Context, server_id: str, limit_bytes: int) -> str:
        """Raises ServerNotFound, ServerNotReady, Unavailable."""

    def diagnostics(self, context: Context, server_id: str) -> dict[str, Any]:
        """Counters of a guest, as the Compute API shows them since 2.48.

        Raises ServerNotFound, ServerNotReady, Unavailable, NotImplementedHere.
        """

    def operations(
        self,
        context: Context,
        server_id: str,
        limit: int | None = None,
        marker: str | None = None,
        changes_since: datetime.datetime | None = None,
        changes_before: datetime.datetime | None = None,
    ) -> list[OperationRecord]:
        """A server's instance actions, newest first, without their events; a deleted server's too.

        marker is a request id. Raises Invalid for an unknown one.
        """

    def operation(self, context: Context, server_id: str, request_id: str) -> OperationRecord:
        """One of them with its events. Raises ActionNotFound."""

    def decisions(self, context: Context, server_id: str) -> list[Decision]:
        """How the hosts of this server were chosen, newest first."""


class ExternalCalls:
    """What other services tell."""

    def external_events(self, context: Context, told: list[ExternalEvent]) -> list[int]:
        """Heed events about servers. Gives for each 200, 404 without such a server, 422 for one without a host, 400 for
        volume-extended without a tag."""


class CatalogCalls:
    """Flavors and key pairs."""

    def flavors(self, context: Context, include_all: bool = False) -> list[Flavor]:
        """The flavors the caller's project may use, enabled ones; all there are with include_all."""

    def flavor(self, context: Context, flavor_id: str) -> Flavor:
        """Raises FlavorNotFound, also for one the caller's project may not use."""

    def add_flavor(self, context: Context, flavor: Flavor) -> Flavor:
        """Raises FlavorExists."""

    def update_flavor(self, context: Context, flavor_id: str, description: str | None) -> Flavor:
        """Raises FlavorNotFound."""

    def delete_flavor(self, context: Context, flavor_id: str) -> None:
        """Raises FlavorNotFound."""

    def set_extra_specs(self, context: Context, flavor_id: str, specs: dict[str, str]) -> Flavor:
        """Add or replace extra specs."""

    def delete_extra_spec(self, context: Context, flavor_id: str, key: str) -> Flavor:
        """Raises NotFound when the flavor has no such spec."""

    def flavor_projects(self, context: Context, flavor_id: str) -> list[str]:
        """The projects that may use a flavor that is not public."""

    def set_flavor_access(self, context: Context, flavor_id: str, project_id: str, is_allowed: bool) -> list[str]:
        """Raises Conflict when it is allowed already, NotFound when it was not."""

    def keypairs(self, user_id: str, limit: int | None = None, marker: str | None = None) -> list[Keypair]:
        """A user's key pairs by name. Raises Invalid for an unknown marker."""

    def keypair(self, user_id: str, name: str) -> Keypair:
        """Raises KeypairNotFound."""

    def add_keypair(self, context: Context, keypair: Keypair, is_imported: bool) -> Keypair:
        """is_imported: the user brought the public key. Raises KeypairExists, QuotaExceeded."""

    def delete_keypair(self, context: Context, user_id: str, name: str) -> None:
        """Raises KeypairNotFound."""


class QuotaCalls:
    """Limits and use of a project; quota classes."""

    def quota(self, project_id: str, user_id: str | None = None) -> Quota:
        """The limits in force and what is in use."""

    def default_quota(self, name: str = "default") -> Quota:
        """The limits of a class; those of "default" hold for a project that has none of its own."""

    def set_quota(
        self, project_id: str, limits: dict[str, int], user_id: str | None = None, force: bool = False
    ) -> Quota:
        """Raises Invalid for a limit below what is in use, unless force."""

    def delete_quota(self, project_id: str, user_id: str | None = None) -> None:
        """Fall back to the defaults."""

    def set_default_quota(self, limits: dict[str, int], name: str = "default") -> Quota:
        """Set limits of a class. "default" is the one that has an effect."""


class HostCalls:
    """Daemons, nodes, aggregates, and what hosts say of themselves."""

    def register_host(self, report: HostReport) -> list[Node]:
        """A nova-compute starts, or its nodes changed: make or update its records.

        Gives the host's nodes; their uuids are those of the resource providers.
        """

    @fanout
    def alive(self, sign: SignOfLife) -> None:
        """A daemon lives. Every conductor hears it; the database does not."""

    def services(self, context: Context, host: str | None = None, binary: str | None = None) -> list[ServiceRecord]: ...

    def service(self, context: Context, service_id: str) -> ServiceRecord:
        """By uuid or, before 2.53, number. Raises ServiceNotFound."""

    def update_service(
        self,
        context: Context,
        service_id: str,
        is_disabled: bool | None = None,
        disabled_reason: str | None = None,
        is_forced_down: bool | None = None,
    ) -> ServiceRecord:
        """Raises ServiceNotFound."""

    def delete_service(self, context: Context, service_id: str) -> None:
        """Raises ServiceNotFound, Conflict while servers run there."""

    def nodes(self, context: Context, hostname_pattern: str | None = None) -> list[Node]: ...

    def node(self, context: Context, node_id: str) -> Node:
        """By uuid or, before 2.53, number. Raises HypervisorNotFound."""

    def node_use(self, context: Context, on_hosts: list[str], with_servers: bool = False) -> dict[str, NodeUse]:
        """What runs on the nodes of some hosts, by hypervisor_hostname. Reserved memory and disk count as used."""

    def host_view(self, since: int) -> HostView:
        """The scheduler's picture: what changed after version since."""

    def host_loads(self) -> dict[str, HostLoad]:
        """How busy hosts are, by name; a host without servers may be missing."""

    def aggregates(self, context: Context) -> list[Aggregate]: ...

    def instances_on(self, host: str) -> list[Instance]:
        """The servers whose place is this host, for the host's own reconcilers."""

    def report_power_states(self, host: str, states: dict[str, int]) -> None:
        """Power states that changed, by server uuid: a guest that went off by itself is stopped."""

    def report_missing_guests(self, host: str, uuids: list[str]) -> None:
        """Servers whose place is this host, and that have no guest there: those that seem to run are in ERROR."""

    def compare_guests(self, host: str) -> GuestsCompared:
        """Where what a host has differs from the records. Raises HostNotFound, Unavailable for one that does not answer."""

    def unwanted_guests(self, host: str, uuids: list[str]) -> dict[str, bool]:
        """Which of these guests, found on host, belong to servers that were deleted or (True) live whole elsewhere."""

    def left_over_disks(self, host: str, held: list[HeldDisks]) -> DisksVerdict:
        """What of the disks found on host no server needs."""


class AggregateCalls:
    """Aggregates. Raise AggregateNotFound where one is named."""

    def aggregate(self, context: Context, aggregate_id: int) -> Aggregate: ...

    def add_aggregate(self, context: Context, name: str, zone: str | None = None) -> Aggregate:
        """Raises NameExists."""

    def update_aggregate(
        self,
        context: Context,
        aggregate_id: int,
        name: str | None = None,
        metadata: dict[str, str | None] | None = None,
    ) -> Aggregate:
        """Metadata is added; None removes a key. Raises NameExists, Invalid for a zone the hosts cannot be in."""

    def delete_aggregate(self, context: Context, aggregate_id: int) -> None:
        """Raises Invalid for one that has hosts."""

    def add_to_aggregate(self, context: Context, aggregate_id: int, host: str) -> Aggregate:
        """Raises HostNotFound, Conflict when it is there already or cannot be in the aggregate's zone."""

    def remove_from_aggregate(self, context: Context, aggregate_id: int, host: str) -> Aggregate:
        """Raises NotFound, Conflict for a host whose servers would change their zone."""

    def cache_images(self, context: Context, aggregate_id: int, images: list[str]) -> None:
        """Have the hosts of an aggregate fetch images before anybody needs them."""


class GroupCalls:
    """Server groups."""

    def server_groups(
        self, context: Context, project_id: str | None, limit: int | None = None, offset: int = 0
    ) -> list[ServerGroup]:
        """Oldest first; of all projects without project_id."""

    def server_group(self, context: Context, group_id: str, project_id: str | None = None) -> ServerGroup:
        """One group, of this project if one is given. Raises ServerGroupNotFound."""

    def add_server_group(self, context: Context, name: str, policy: str, rules: dict[str, int]) -> ServerGroup:
        """Raises QuotaExceeded."""

    def delete_server_group(self, context: Context, group_id: str) -> None:
        """Raises ServerGroupNotFound."""


class AnnotationCalls:
    """What users write on servers. Raise ServerNotFound, ServerIsLocked, WrongServerState."""

    def set_metadata(
        self, context: Context, server_id: str, metadata: dict[str, str], replace: bool = False
    ) -> dict[str, str]:
        """Add or replace items; what there is now. Raises QuotaExceeded."""

    def delete_metadata(self, context: Context, server_id: str, key: str) -> None:
        """Raises NotFound."""

    def set_tags(self, context: Context, server_id: str, tags: list[str]) -> tuple[str, ...]:
        """Replace all tags."""

    def add_tag(self, context: Context, server_id: str, tag: str) -> bool:
        """False when it is there already. Raises Invalid for one too many."""

    def remove_tag(self, context: Context, server_id: str, tag: str) -> None:
        """Raises NotFound."""

    def clear_password(self, context: Context, server_id: str) -> None:
        """Forget the password a guest left with us."""


class UsageCalls:
    """What servers used."""

    def usage(
        self,
        context: Context,
        begin: datetime.datetime,
        end: datetime.datetime,
        project_id: str | None = None,
        limit: int | None = None,
        marker: str | None = None,
    ) -> list[ServerUsage]:
        """Servers that lived in a period, by project and age; of all projects without project_id."""


class EngineCalls:
    """Operations between the engine and the hosts."""

    @cast
    def step_answered(self, answer: StepAnswer) -> None:
        """A host has done, or could not do, what was ordered."""

    def unfinished_steps(self, hosts: list[str]) -> list[StepOrder]:
        """What these hosts were ordered to do and have not answered."""


class ConsoleCalls:
    """Consoles of servers, and what is kept of the tokens that open them."""

    def console(self, context: Context, server_id: str, protocol: str, type: str) -> RemoteConsole:
        """A page on which a user sees the guest, for [consoleauth] token_ttl seconds.

        Raises ServerNotFound, ServerNotReady, WrongServerState, ConsoleTypeInvalid,
        ConsoleTypeUnavailable, Unavailable.
        """

    def console_token(self, context: Context, token: str) -> ConsoleAccess:
        """Raises ConsoleTokenNotFound for one that is unknown or expired."""

    def add_console_access(self, token_hash: str, access: ConsoleAccess) -> None:
        """Keep what a token opens, under the token's hash."""

    def console_access(self, token_hash: str) -> ConsoleAccess | None:
        """What a token opens, at the address the guest's host says now.

        None when it is unknown, expired or revoked, or when the guest has no such console. Raises Unavailable.
        """

    def lasting_consoles(self, accesses: list[ConsoleAccess]) -> list[bool]:
        """Of each console that was opened so, whether it is still that of the same guest on the same host."""

    def delete_console_access(self, instance_id: str) -> None:
        """Forget all tokens of a server."""

    def purge_console_access(self) -> int:
        """Forget expired tokens; how many there were."""


class GuestCalls:
    """What guests themselves tell, through the metadata API."""

    def keep_password(self, server_id: str, encrypted: str) -> None:
        """Keep the administrator's password a guest chose, encrypted with the user's public key.

        It stands in system_metadata["password"]. Raises ServerNotFound, Conflict when there is one
        already, Invalid when it is too long.
        """


class Ec2Calls:
    """What the EC2 API keeps."""

    def ec2_numbers(self, kind: str, targets: list[str]) -> list[int | None]:
        """The number of each of these things in EC2's ids, given on first use and for ever; None for no server.

        kind is the prefix of the ids: i, ami, vol and so on. targets are what other APIs call them.
        """

    def ec2_targets(self, kind: str, numbers: list[int]) -> list[str | None]:
        """What each of these numbers stands for; whose it is, is not asked."""

    def ec2_tags(self, context: Context) -> list[Tag]:
        """The tags of the caller's project, but for those of servers, which are their metadata."""

    def change_ec2_tags(self, context: Context, set: list[Tag], remove: list[Tag]) -> None:
        """First remove, then add or replace. Raises QuotaExceeded for one tag too many."""


class ImageImportCalls:
    """Images that the EC2 API registers and copies."""

    def import_image(self, context: Context, request: ImportRequest) -> Image:
        """Accept an image: what it is to be. Under its id the Image service has it once it is whole.

        The same request with the same client_token gives the image that was accepted first. Raises BucketNotFound,
        KeyNotFound, ManifestInvalid, ImageTooLarge, QuotaExceeded, IdempotencyMismatch, ImageNotFound for a kernel or
        ramdisk, and what the Image service refuses a record with.
        """

    def image_imports(self, context: Context) -> list[ImageImport]:
        """The project's images that are on their way, and those that did not arrive."""

    def cancel_image_import(self, context: Context, image_id: str) -> bool:
        """The project wants an image no more: nothing is left of it, also in the Image service. False: it is none of these."""


class ConductorCalls(
    ServerCalls,
    WatchingCalls,
    OverviewCalls,
    ExternalCalls,
    AggregateCalls,
    GroupCalls,
    AnnotationCalls,
    UsageCalls,
    CatalogCalls,
    QuotaCalls,
    HostCalls,
    EngineCalls,
    NetworkingCalls,
    ConsoleCalls,
    GuestCalls,
    Ec2Calls,
    ImageImportCalls,
):
    """Everything the conductor answers."""

    def ping(self) -> str:
        """The conductor's name; proof that a message came through its queue."""


def conductor_client(
    bus: oslo_messaging.Transport, timeout_s: float | None = None, topic: str = TOPIC
) -> ConductorCalls:
    """The conductors that listen on the bus; each call goes to one of them.

    timeout_s: seconds for a call; [DEFAULT] rpc_response_timeout when unset. topic: CALLBACK_TOPIC for a daemon
    that conductors call and wait for.
    """
    return typing.cast(ConductorCalls, make_client(bus, topic, ConductorCalls, timeout_s=timeout_s))
