"""What servers, deleted ones included, used in a period."""

import datetime

from nova.conductor.core import Core
from nova.db import usage
from nova.structs.context import Context
from nova.structs.usage import ServerUsage


class UsageCalls:
    def __init__(self, core: Core) -> None:
        self._core = core

    def usage(
        self,
        context: Context,
        begin: datetime.datetime,
        end: datetime.datetime,
        project_id: str | None = None,
        limit: int | None = None,
        marker: str | None = None,
    ) -> list[ServerUsage]:
        return self._core.db.read(lambda c: usage.find(c, begin, end, project_id, limit, marker))
