"""EC2's error codes, and which of them our own errors are. Source: EC2 API reference, "Error codes for the API".

An error whose class has no code of its own is told by the code of its status.
"""

from typing import Any, ClassVar

from nova import errors
from nova.clients.identity import ProjectInvalid
from nova.clients.network.floating_ips import FloatingIpNotFound, PoolNotFound
from nova.clients.network.security_groups import (
    AmbiguousSecurityGroup,
    SecurityGroupNotFound,
    SecurityGroupRuleNotFound,
)
from nova.clients.volume import SnapshotNotFound, SnapshotNotReady, VolumeNotFound, VolumeNotReady


class Ec2Error(errors.DomainError):
    """An error in EC2's own words, with its code."""

    code: ClassVar[str] = "InternalError"

    def __init__(self, message: str | None = None, code: str | None = None, **details: Any) -> None:
        super().__init__(message, **details)
        self.told_as = code or self.code


class BadRequest(Ec2Error):
    status, code, text = 400, "InvalidParameterValue", "The request is not valid."


class BadSignature(Ec2Error):
    status, code = 401, "AuthFailure"
    text = "AWS was not able to validate the provided access credentials"


class DryRun(Ec2Error):
    status, code, text = 412, "DryRunOperation", "Request would have succeeded, but DryRun flag is set."


def malformed(why: str) -> BadRequest:
    return BadRequest(why, "MalformedQueryString")


def unknown_parameter(name: str) -> BadRequest:
    return BadRequest(f"The parameter {name} is not recognized", "UnknownParameter")


def missing_parameter(name: str) -> BadRequest:
    return BadRequest(f"The request must contain the parameter {name}", "MissingParameter")


def bad_value(name: str, value: object, why: str = "") -> BadRequest:
    return BadRequest(f"Value ({str(value)[:100]}) for parameter {name} is invalid.{why and ' ' + why}")


def unsupported(name: str, value: object = None) -> BadRequest:
    """A parameter that EC2 knows and this cloud does not do: it is refused, never ignored."""
    shown = "" if value is None else f" ({str(value)[:100]})"
    return BadRequest(f"The parameter {name}{shown} is not supported by this cloud.", "Unsupported")


# The most special class counts.
CODES: dict[type[errors.DomainError], str] = {
    errors.Invalid: "InvalidParameterValue",
    errors.Unauthorized: "AuthFailure",
    errors.Forbidden: "UnauthorizedOperation",
    errors.PolicyDenied: "UnauthorizedOperation",
    errors.QuotaExceeded: "ResourceLimitExceeded",
    errors.OverQuota: "ResourceLimitExceeded",
    errors.NotFound: "InvalidParameterValue",
    errors.ServerNotFound: "InvalidInstanceID.NotFound",
    errors.FlavorNotFound: "InvalidParameterValue",
    errors.KeypairNotFound: "InvalidKeyPair.NotFound",
    errors.ImageNotFound: "InvalidAMIID.NotFound",
    errors.VolumeNotAttached: "IncorrectState",
    errors.NetworkNotFound: "InvalidSubnetID.NotFound",
    errors.PortNotFound: "InvalidNetworkInterfaceID.NotFound",
    errors.Conflict: "IncorrectState",
    errors.WrongServerState: "IncorrectInstanceState",
    errors.ServerIsLocked: "OperationNotPermitted",
    errors.ServerNotReady: "IncorrectInstanceState",
    errors.KeypairExists: "InvalidKeyPair.Duplicate",
    errors.PortInUse: "InvalidNetworkInterface.InUse",
    errors.MultipleNetworks: "MissingInput",
    errors.NetworkingInUse: "DependencyViolation",
    errors.NetworkingExists: "InvalidPermission.Duplicate",
    errors.IpAddressInUse: "InvalidIPAddress.InUse",
    errors.IpAddressGenerationFailure: "InsufficientFreeAddressesInSubnet",
    errors.TooLarge: "MalformedQueryString",
    errors.TooManyRequests: "RequestLimitExceeded",
    errors.NotImplementedHere: "UnsupportedOperation",
    errors.Unavailable: "Unavailable",
    FloatingIpNotFound: "InvalidAddress.NotFound",
    PoolNotFound: "InvalidParameterValue",
    SecurityGroupNotFound: "InvalidGroup.NotFound",
    SecurityGroupRuleNotFound: "InvalidPermission.NotFound",
    AmbiguousSecurityGroup: "InvalidParameterCombination",
    VolumeNotFound: "InvalidVolume.NotFound",
    VolumeNotReady: "IncorrectState",
    SnapshotNotFound: "InvalidSnapshot.NotFound",
    SnapshotNotReady: "IncorrectState",
    ProjectInvalid: "InvalidParameterValue",
}
# EC2 answers nearly every error of the caller with 400.
_STATUSES = {401: 401, 403: 403, 412: 412, 413: 413, 500: 500, 503: 503}


def code_of(error: errors.DomainError) -> str:
    """That of the error's class, or of the nearest class above it which has one."""
    if isinstance(error, Ec2Error):
        return error.told_as
    return next((CODES[kind] for kind in type(error).__mro__ if kind in CODES), "InternalError")


def status_of(error: errors.DomainError) -> int:
    """400 also for what is 500 or more elsewhere, where the code says that the request cannot be met as it is."""
    if error.status >= 500 and code_of(error) in ("IncorrectState", "UnsupportedOperation"):
        return 400
    return _STATUSES.get(error.status, 400 if error.status < 500 else 500)
