"""What the EC2 API keeps: ids and tags."""

from sqlalchemy.engine import Connection

from nova.conductor.core import Core
from nova.db import ec2
from nova.structs.context import Context
from nova.structs.ec2 import Tag


class Ec2Calls:
    def __init__(self, core: Core) -> None:
        self._db = core.db

    def ec2_numbers(self, kind: str, targets: list[str]) -> list[int | None]:
        """A server's number is the id of its record: none is given here."""
        known = self._db.read(lambda c: ec2.known(c, kind, targets))
        missing = [target for target in targets if target not in known] if kind != ec2.SERVER else []
        if missing:
            self._db.write(lambda c: ec2.add(c, kind, missing), is_repeatable=True)
            known |= self._db.read(lambda c: ec2.known(c, kind, missing))
        return [known.get(target) for target in targets]

    def ec2_targets(self, kind: str, numbers: list[int]) -> list[str | None]:
        known = self._db.read(lambda c: ec2.targets(c, kind, numbers))
        return [known.get(number) for number in numbers]

    def ec2_tags(self, context: Context) -> list[Tag]:
        return self._db.read(lambda c: ec2.tags(c, context.project_id))

    def change_ec2_tags(self, context: Context, set: list[Tag], remove: list[Tag]) -> None:
        def work(connection: Connection) -> None:
            ec2.remove_tags(connection, context.project_id, remove)
            ec2.set_tags(connection, context.project_id, set)

        self._db.write(work, is_repeatable=True)
