"""What an event of the log was about, as it was then: for readers that send it outside this cloud."""

from typing import Any, Self

import msgspec

from nova.structs.context import Context
from nova.structs.flavor import Flavor
from nova.structs.host import Aggregate, ServiceRecord
from nova.structs.instance import Instance
from nova.structs.keypair import Keypair
from nova.structs.server_group import ServerGroup


class StepError(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a step failed of: error is the name of an errors class, function and module are the step's."""

    error: str
    message: str
    function: str
    module: str
    traceback: str = ""


class EventDetails(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Who asked, and what was there: of a server, what it was before the event and what the event changed.

    Who appends an event to the log of a running operation has no server at hand, and says what changed alone:
    what the server was follows from the events before. moments: what the event is in its operation's course:
    "start", "done STEP", "begins STEP", "unwinds", "undone UNDO", "abandoned", "end" or "error". about: what an
    operation tells of itself (Operation.tells).
    """

    user_id: str = ""
    project_id: str = ""
    operation: str | None = None
    moments: tuple[str, ...] = ()
    about: dict[str, Any] = {}
    server: Instance | None = None
    changes: dict[str, Any] = {}
    step_error: StepError | None = None
    flavor: Flavor | None = None
    # The projects that may use a flavor that is not public; None: not looked up.
    projects: tuple[str, ...] | None = None
    keypair: Keypair | None = None
    aggregate: Aggregate | None = None
    aggregate_before: Aggregate | None = None
    group: ServerGroup | None = None
    service: ServiceRecord | None = None

    @classmethod
    def of(cls, context: Context, **facts: Any) -> Self:
        """What a request was about: asked by whom, and the facts in the fields above."""
        return cls(user_id=context.user_id, project_id=context.project_id, **facts)
