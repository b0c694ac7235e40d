"""The other way to find candidates, for comparison: the same question put to the database as SQL.

Answers for flat providers only. The rows of doc/decisions/0020-placement-candidates.md come from here.
"""

from collections.abc import Callable

import orjson
import sqlalchemy as sa

_ROOM = """
    JOIN placement_inventories i{n} ON i{n}.provider_id = p.id AND i{n}.class_id = :class{n}
     AND :amount{n} BETWEEN i{n}.min_unit AND i{n}.max_unit AND MOD(:amount{n}, i{n}.step_size) = 0
     AND FLOOR((i{n}.total - i{n}.reserved) * i{n}.allocation_ratio) >= :amount{n} + COALESCE(
         (SELECT SUM(a.used) FROM placement_allocations a
          WHERE a.provider_id = p.id AND a.class_id = :class{n}), 0)
"""
_SUMMARY = """
    SELECT p.uuid, c.name, i.total, i.reserved, i.allocation_ratio,
           (SELECT COALESCE(SUM(a.used), 0) FROM placement_allocations a
            WHERE a.provider_id = i.provider_id AND a.class_id = i.class_id)
    FROM placement_inventories i
    JOIN placement_resource_providers p ON p.id = i.provider_id
    JOIN placement_resource_classes c ON c.id = i.class_id
    WHERE i.provider_id IN :ids
"""


class CandidatesInSql:
    """Finds providers with room for some resources, and puts the answer together, with nothing kept in memory."""

    def __init__(self, url: str, resources: dict[str, int]) -> None:
        self._engine = sa.create_engine(url, isolation_level="AUTOCOMMIT")
        self._resources = resources
        joins = "".join(_ROOM.format(n=n) for n in range(len(resources)))
        self._find = sa.text(f"SELECT p.id, p.uuid FROM placement_resource_providers p {joins} LIMIT :most")
        self._summary = sa.text(_SUMMARY).bindparams(sa.bindparam("ids", expanding=True))
        names = sa.text("SELECT name, id FROM placement_resource_classes WHERE name IN :names")
        with self._engine.connect() as connection:
            query = names.bindparams(sa.bindparam("names", expanding=True))
            self._ids = dict(connection.execute(query, {"names": list(resources)}).all())

    def asker(self, limit: int) -> Callable[[], bytes]:
        parameters: dict[str, int] = {"most": limit}
        for n, (name, amount) in enumerate(self._resources.items()):
            parameters |= {f"class{n}": self._ids[name], f"amount{n}": amount}
        return lambda: self._ask(parameters)

    def _ask(self, parameters: dict[str, int]) -> bytes:
        with self._engine.connect() as connection:
            found = connection.execute(self._find, parameters).all()
            summaries: dict[str, dict] = {}
            for uuid, name, total, reserved, ratio, used in connection.execute(
                self._summary, {"ids": [number for number, _ in found]}
            ):
                capacity = int((total - reserved) * ratio)
                summaries.setdefault(uuid, {"resources": {}})["resources"][name] = {
                    "capacity": capacity,
                    "used": int(used),
                }
        requests = [{"allocations": {uuid: {"resources": self._resources}}} for _, uuid in found]
        return orjson.dumps({"allocation_requests": requests, "provider_summaries": summaries})

    def close(self) -> None:
        self._engine.dispose()
