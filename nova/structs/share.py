"""A share of the Shared File Systems service that is attached to a server."""

import enum

import msgspec


class ShareStatus(enum.StrEnum):
    """The state of an attachment. Source: Compute API reference, "Servers with shares attachments".

    active is not kept: a share that is attached is active while its server's guest runs.
    """

    ATTACHING = "attaching"
    INACTIVE = "inactive"
    ACTIVE = "active"
    DETACHING = "detaching"
    ERROR = "error"


class Share(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """uuid is the attachment's, share_id the share's. The guest mounts it by its tag; its host mounts
    export_location, by protocol."""

    uuid: str
    share_id: str
    tag: str
    status: ShareStatus = ShareStatus.ATTACHING
    export_location: str = ""
    protocol: str = "NFS"

    def status_while(self, guest_runs: bool) -> ShareStatus:
        """The status that users see: an attached share is active while the guest runs."""
        return ShareStatus.ACTIVE if guest_runs and self.status is ShareStatus.INACTIVE else self.status

    @property
    def is_for_guest(self) -> bool:
        """Whether the guest is to have it at its next start."""
        return self.status in (ShareStatus.ATTACHING, ShareStatus.INACTIVE)
