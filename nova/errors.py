"""Everything that can go wrong in a way a caller should hear about.

    DomainError
     +-- Invalid (400)          what was asked cannot be done as asked
     +-- Unauthorized (401)
     +-- Forbidden (403)        policy or quota says no
     +-- NotFound (404)
     +-- NotAcceptable (406)
     +-- Conflict (409)         the state of the thing says no, now
     +-- Gone (410)
     +-- TooLarge (413)
     +-- UnsupportedMedia (415)
     +-- TooManyRequests (429)
     +-- NotImplementedHere (501)
     +-- Unavailable (503)      another service does not answer
     +-- StepFailed             a step of an operation failed; becomes a server's fault

An error knows its HTTP status and its message; it crosses the bus by its class name and details. Users are told
nothing of hosts, paths, sockets and commands: what names one is a detail that text_for_users leaves out, or the
detail called `detail`. Logs, notifications and administrators get the whole message.

Any other exception is a defect, and its text is for the log alone.
"""

from typing import Any, ClassVar, TypeVar

Kind = TypeVar("Kind", bound="DomainError")


class DomainError(Exception):
    """An outcome with an HTTP status and a message.

    text is the message's template; details fill it and travel with the error. A message given outright wins over
    the template. text_for_users is the template for users where text names a host, a path or a socket; a class
    with another text has another, or none. `detail`, which any error may have, stands at the message's end in
    parentheses, and is for administrators too.
    """

    status: ClassVar[int] = 500
    text: ClassVar[str] = "An unknown error has occurred."
    text_for_users: ClassVar[str | None] = None

    def __init_subclass__(cls) -> None:
        if "text" in cls.__dict__ and "text_for_users" not in cls.__dict__:
            cls.text_for_users = None

    def __init__(self, message: str | None = None, **details: Any) -> None:
        self.details = details
        self.message = message if message is not None else self.text.format(**details)
        # What comes from the bus has it already.
        if self._tail and not self.message.endswith(self._tail):
            self.message += self._tail
        super().__init__(self.message)

    @property
    def for_users(self) -> str:
        """The message without what users are not told. A message given outright without details is safe."""
        if self.text_for_users is None or not self.details:
            return self.message.removesuffix(self._tail)
        try:
            return self.text_for_users.format(**self.details)
        except KeyError:
            # Of a release that gives other details.
            return DomainError.text

    @property
    def for_administrators(self) -> str | None:
        """What no user is told; None where users are told everything."""
        return self.message if self.message != self.for_users else None

    def told(self, is_admin: bool) -> str:
        """The message as an administrator, or any other user, is told it."""
        return self.message if is_admin else self.for_users

    def turned_into(self, kind: type[Kind]) -> Kind:
        """An error of another kind that tells users and administrators what this one tells them."""
        hidden = self.for_administrators
        return kind(self.for_users, **({} if hidden is None else {"detail": hidden}))

    @property
    def _tail(self) -> str:
        detail = self.details.get("detail")
        return f" ({detail})" if detail else ""


class Invalid(DomainError):
    status = 400
    text = "Bad request."


class ConsoleTypeInvalid(Invalid):
    text = "Invalid console type {console_type}"


class ConsoleTypeUnavailable(Invalid):
    text = "Unavailable console type {console_type}."


class IdempotencyMismatch(Invalid):
    text = "A request with this client token was accepted already, and it requested something else."


class ManifestInvalid(Invalid):
    text = "The manifest is not valid: {reason}."


class ImageTooLarge(Invalid):
    text = "The image is larger than {most_gb} GiB."


class Unauthorized(DomainError):
    status = 401
    text = "Authentication required."


class Forbidden(DomainError):
    status = 403
    text = "Forbidden."


class PolicyDenied(Forbidden):
    text = "Policy doesn't allow {action} to be performed."


class QuotaExceeded(Forbidden):
    text = "Quota exceeded for {resources}: Requested {requested}, but already used {used} of {limits} {resources}"


class NotFound(DomainError):
    status = 404
    text = "The resource could not be found."


class VersionNotAvailable(NotFound):
    text = "API version {version} is not supported on this method."


class ServerNotFound(NotFound):
    text = "Instance {server_id} could not be found."


class FlavorNotFound(NotFound):
    text = "Flavor {flavor_id} could not be found."


class KeypairNotFound(NotFound):
    text = "Keypair {name} not found for user {user_id}"


class ImageNotFound(NotFound):
    text = "Image {image_id} could not be found."


class MigrationNotFound(NotFound):
    text = "Migration {migration_id} not found for instance {server_id}"


class MigrationNotRunning(Invalid):
    """Also the state in which it is."""

    text = "Migration {migration_id} state of instance {server_id} is {state}. Cannot {method} while the migration is in this state."


class VolumeNotAttached(NotFound):
    text = "Volume {volume_id} is not attached to this server."


class ShareNotAttached(NotFound):
    text = "Share {share_id} is not attached to instance {server_id}."


class HostInUse(Invalid):
    text = "Compute service of {host} is still in use."
    text_for_users = "The compute service of this host is still in use."


class ServiceNotFound(NotFound):
    text = "Service {service_id} could not be found."


class HostNotFound(NotFound):
    text = "Compute host {host} could not be found."
    text_for_users = "The compute host could not be found."


class AggregateNotFound(NotFound):
    text = "Aggregate {aggregate_id} could not be found."


class ServerGroupNotFound(NotFound):
    text = "Instance group {group_id} could not be found."


class HypervisorNotFound(NotFound):
    text = "Hypervisor with ID '{hypervisor_id}' could not be found."


class ActionNotFound(NotFound):
    text = "Action for request_id {request_id} on instance {server_id} not found"


class NetworkNotFound(NotFound):
    text = "Network {network_id} could not be found."


class PortNotFound(NotFound):
    text = "Port id {port_id} could not be found."


class ConsoleTokenNotFound(NotFound):
    text = "Token not found"


class NotAcceptable(DomainError):
    status = 406
    text = "Version {version} is not supported by the API. Minimum is {minimum} and maximum is {maximum}."


class Conflict(DomainError):
    status = 409
    text = "Conflict."


class HostIdentityMismatch(Conflict):
    """A machine claims to be a host that it is not: it must not work."""

    text = "This machine must not work as a host: {reason}"
    text_for_users = "This machine must not work as a host."


class WrongServerState(Conflict):
    text = "Cannot '{action}' instance {server_id} while it is in {attribute} {state}"


class ServerInUse(WrongServerState):
    """By an operation that shows nothing and is over soon: worth another try."""


class ServerIsLocked(Conflict):
    text = "Instance {server_id} is locked"


class ServerNotReady(Conflict):
    text = "Instance {server_id} is not ready"


class LeftToDo(Conflict):
    """An operation that is over has something left to do, which goes first; reason says why it is not done yet."""

    text = "Cannot '{action}' instance {server_id} until the rest of '{operation}' is done: {reason}"


class SharesAttached(Conflict):
    text = "Cannot '{action}' instance {server_id} while it has shares attached."


class FlavorExists(Conflict):
    text = "Flavor with ID {flavor_id} already exists."


class KeypairExists(Conflict):
    text = "Key pair '{name}' already exists."


class NameExists(Conflict):
    text = "The name '{name}' is in use already."


class GenerationConflict(Conflict):
    text = "Another change of {what} came first."


class PortInUse(Conflict):
    text = "Port {port_id} is still in use."


class MultipleNetworks(Conflict):
    text = "Multiple possible networks found, use a Network ID to be more specific."


class NetworkingNotFound(NotFound):
    text = "There is no {noun} {id}."


class NetworkingInUse(Conflict):
    text = "The {noun} {id} is still in use."


class NetworkingExists(Conflict):
    text = "There is a {noun} like this already."


class IpAddressInUse(Conflict):
    text = "The address {ip_address} of subnet {subnet_id} belongs to another port."


class IpAddressGenerationFailure(Conflict):
    text = "Network {network_id} has no free address left."


class MacAddressInUse(Conflict):
    text = "The MAC address {mac} is in use on network {network_id}."


class OverQuota(Conflict):
    text = "Quota exceeded for resources: {resources}."


class Gone(DomainError):
    status = 410
    text = "This resource is no longer available. No forwarding address is given."


class TooLarge(DomainError):
    status = 413
    text = "Request is too large."


class TooManyRequests(DomainError):
    status = 429
    text = "Too many requests. Try again later."


class UnsupportedMedia(DomainError):
    status = 415
    text = "Unsupported Content-Type"


class NotImplementedHere(DomainError):
    status = 501
    text = "The hypervisor of this server cannot {action}."


class Unavailable(DomainError):
    """reason goes on with "it": what of the service's state a user may know.

    is_logged: whoever raised it has seen to it that the log tells who is away.
    """

    status = 503
    is_logged = False
    text = "{service} is not available: {reason}. Try again later."


class MaybeDone(Unavailable):
    """What was asked for may have been done: what it stands on is not to be taken away."""


class OutcomeUnknown(MaybeDone):
    """A commit was sent and not answered: all it was to change is there, or nothing of it."""

    text = "{service} went away while it was asked to commit: whether the change was made is unknown."


class HostUnreachable(Unavailable):
    text = "Host {host} does not answer."
    text_for_users = "The server's host does not answer."


class HostSilent(HostUnreachable):
    """Silence is not death: what the host's guest may use is not given away."""

    text = "Host {host} does not answer. A guest on it may run: this waits until it answers, or is forced down."
    text_for_users = "The server's host does not answer. Its guest may run: this waits for the host."


class StepFailed(DomainError):
    """A step of an operation could not be done. retriable: another try may go better."""

    text = "{reason}"
    retriable: ClassVar[bool] = False


class NoValidHost(StepFailed):
    text = "No valid host was found. {reason}"


class HostRefused(StepFailed):
    """This host cannot take the guest; another one may."""

    text = "Host {host} refused: {reason}"
    text_for_users = "The host that was chosen refused: {reason}"


class StepTimedOut(StepFailed):
    text = "Host {host} did not answer '{step}' within {timeout_s:.0f} s."
    text_for_users = "The server's host did not answer '{step}' within {timeout_s:.0f} s."


class Cancelled(StepFailed):
    text = "Overtaken by a request to delete the server."


class PointPassed(StepFailed):
    """What an undo finds when its operation is behind the point of no return after all: it goes forward from there."""

    text = "{reason}"


class GuestNotFound(StepFailed):
    text = "Guest {guest} is not on this host."


class GuestFailed(StepFailed):
    """The hypervisor could not do what was asked of a guest. What it or another program said of it is `detail`."""

    text = "{reason}"


class VolumesUnknown(GuestFailed):
    """The record of what a host has connected for a guest is torn: that is not one which says that there is nothing."""

    text = (
        "The record of the volumes that are connected to the server's host cannot be read. Reboot the server hard: "
        "they are connected anew then."
    )


class PortsNotPlugged(StepFailed):
    """The guest has waited for its ports in vain."""

    text = "Virtual Interface creation failed"


class GuestStays(GuestFailed):
    """A live migration has failed, and the guest is where it was: not on the destination, and it will not be."""


class DiskMissing(GuestFailed):
    """A server's disks are not where its record says: it is in ERROR, whatever it was. missing: for administrators."""

    text = "The server's disk is missing on its host."

    @property
    def for_administrators(self) -> str:
        return f"Missing: {', '.join(self.details.get('missing', ()))}"


class ImageInvalid(HostRefused):
    text = "Image {image_id} cannot be used: {reason}"


class DiskFull(HostRefused):
    text = "Host {host} has no room for the guest's disks."
    text_for_users = "The host that was chosen has no room for the server's disks."


class ErrorOfAnotherRelease(DomainError):
    """An error whose class this release does not know: nobody can tell which of its words are for users."""

    @property
    def for_users(self) -> str:
        return self.text


def by_name(name: str) -> type[DomainError]:
    """The error class called name; ErrorOfAnotherRelease for one this release does not know."""
    if name not in _BY_NAME:
        # Modules that came later have errors of their own.
        _BY_NAME.update(_tree(DomainError))
    return _BY_NAME.get(name, ErrorOfAnotherRelease)


def _tree(root: type[DomainError]) -> dict[str, type[DomainError]]:
    found = {root.__name__: root}
    for child in root.__subclasses__():
        found |= _tree(child)
    return found


_BY_NAME = _tree(DomainError)
