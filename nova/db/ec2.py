"""Queries on what the EC2 API keeps: ids, tags, tokens of requests."""

import datetime
from collections.abc import Iterator, Sequence

from sqlalchemy import delete, insert, select
from sqlalchemy.engine import Connection
from sqlalchemy.exc import IntegrityError

from nova import errors
from nova.clock import utcnow
from nova.db.models.ec2 import Ec2ClientToken, Ec2Id, Ec2Tag
from nova.db.models.servers import Instance
from nova.structs.ec2 import ClientToken, Tag

_ids, _tags, _tokens = Ec2Id.__table__, Ec2Tag.__table__, Ec2ClientToken.__table__
_instances = Instance.__table__

# A server's number is the one of its record, which its guest reads from the metadata API, too.
SERVER = "i"
_BATCH = 500
_MOST_TAGS = 50


class TokenIsTaken(errors.Conflict):
    """Another request with this token was accepted a moment ago."""


def known(connection: Connection, kind: str, targets: Sequence[str]) -> dict[str, int]:
    """The numbers of those that have one."""
    numbers: dict[str, int] = {}
    for batch in _batches(targets):
        if kind == SERVER:
            query = select(_instances.c.uuid, _instances.c.id).where(_instances.c.uuid.in_(batch))
        else:
            query = select(_ids.c.target, _ids.c.number).where(_ids.c.kind == kind, _ids.c.target.in_(batch))
        numbers |= {row[0]: row[1] for row in connection.execute(query)}
    return numbers


def add(connection: Connection, kind: str, targets: Sequence[str]) -> None:
    """Give numbers to those that have none; others may do the same at the same moment."""
    for target in targets:
        try:
            with connection.begin_nested():
                connection.execute(insert(_ids).values(kind=kind, target=target))
        except IntegrityError:
            continue


def targets(connection: Connection, kind: str, numbers: Sequence[int]) -> dict[int, str]:
    """What numbers stand for."""
    found: dict[int, str] = {}
    for batch in _batches(numbers):
        if kind == SERVER:
            query = select(_instances.c.id, _instances.c.uuid).where(_instances.c.id.in_(batch))
        else:
            query = select(_ids.c.number, _ids.c.target).where(_ids.c.kind == kind, _ids.c.number.in_(batch))
        found |= {row[0]: row[1] for row in connection.execute(query)}
    return found


def tags(connection: Connection, project_id: str) -> list[Tag]:
    """By target, then key. Tags of servers are their metadata, and not here."""
    query = select(_tags.c.target, _tags.c.key, _tags.c.value).where(_tags.c.project_id == project_id)
    return [Tag(**row._mapping) for row in connection.execute(query.order_by(_tags.c.target, _tags.c.key))]


def set_tags(connection: Connection, project_id: str, given: Sequence[Tag]) -> None:
    """Add or replace. Raises QuotaExceeded for one tag too many on a thing, before anything is written."""
    values = {(tag.target, tag.key): tag.value or "" for tag in given}
    keys: dict[str, set[str | None]] = {}
    for target, key in values:
        keys.setdefault(target, set()).add(key)
    for batch in _batches(list(keys)):
        query = select(_tags.c.target, _tags.c.key).where(_tags.c.project_id == project_id, _tags.c.target.in_(batch))
        for target, key in connection.execute(query):
            keys[target].add(key)
    if any(len(of_one) > _MOST_TAGS for of_one in keys.values()):
        raise errors.QuotaExceeded(f"A resource has {_MOST_TAGS} tags at most.")
    remove_tags(connection, project_id, [Tag(target=target, key=key) for target, key in values])
    rows = [
        {"project_id": project_id, "target": target, "key": key, "value": values[target, key]} for target, key in values
    ]
    if rows:
        connection.execute(insert(_tags), rows)


def remove_tags(connection: Connection, project_id: str, unwanted: Sequence[Tag]) -> None:
    """key None: all of a thing; value None: whatever the value is."""
    targets: dict[tuple[str | None, str | None], list[str]] = {}
    for tag in unwanted:
        targets.setdefault((tag.key, tag.value), []).append(tag.target)
    # A request names many things and the same few tags for each: a statement for every pair would hold others up.
    for (key, value), of_tag in targets.items():
        for batch in _batches(of_tag):
            where = [_tags.c.project_id == project_id, _tags.c.target.in_(batch)]
            if key is not None:
                where.append(_tags.c.key == key)
            if key is not None and value is not None:
                found = connection.execute(select(_tags.c.id, _tags.c.value).where(*where)).all()
                where = [_tags.c.id.in_([row.id for row in found if row.value == value])]
            connection.execute(delete(_tags).where(*where))


def reservation(connection: Connection, project_id: str, token: ClientToken) -> str | None:
    """The reservation that a request with this token made. Raises Invalid when that was another request."""
    query = select(_tokens).where(_tokens.c.project_id == project_id, _tokens.c.token == token.token)
    row = connection.execute(query).one_or_none()
    if row is None:
        return None
    if row.request != token.request:
        raise errors.IdempotencyMismatch()
    return str(row.reservation_id)


def keep_token(connection: Connection, project_id: str, token: ClientToken, reservation_id: str) -> None:
    """Raises TokenIsTaken."""
    try:
        with connection.begin_nested():
            connection.execute(
                insert(_tokens).values(
                    project_id=project_id,
                    token=token.token,
                    request=token.request,
                    reservation_id=reservation_id,
                    created_at=utcnow(),
                )
            )
    except IntegrityError as error:
        raise TokenIsTaken() from error


def forget_tokens(connection: Connection, before: datetime.datetime) -> None:
    """A request repeated with a token of before this time (UTC) is a new one."""
    connection.execute(delete(_tokens).where(_tokens.c.created_at < before))


def _batches(values: Sequence[str] | Sequence[int]) -> Iterator[Sequence[str] | Sequence[int]]:
    for start in range(0, len(values), _BATCH):
        yield values[start : start + _BATCH]
