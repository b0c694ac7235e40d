"""What the EC2 API keeps: the numbers in its ids, tags, and the tokens by which clients repeat a request."""

from sqlalchemy import Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from nova.db.models.base import TABLE, Base, Document, Name, Serial, Time, Word


class Ec2Id(Base):
    """The number of a thing in EC2's ids: kind is its prefix (vol), target what other APIs call it. Kept for ever."""

    __tablename__ = "ec2_ids"

    number: Mapped[Serial]
    kind: Mapped[Word]
    target: Mapped[Name]

    __table_args__ = (UniqueConstraint("kind", "target"), TABLE)


class Ec2Tag(Base):
    """A project's tag on a thing that is no server: a server's tags are its metadata. target: the id in EC2's words."""

    __tablename__ = "ec2_tags"

    id: Mapped[Serial]
    project_id: Mapped[Name]
    target: Mapped[Word]
    key: Mapped[Name]
    value: Mapped[Document]

    __table_args__ = (UniqueConstraint("project_id", "target", "key"), TABLE)


class Ec2ClientToken(Base):
    """A request for servers that was accepted, by the token its client may repeat it with."""

    __tablename__ = "ec2_client_tokens"

    project_id: Mapped[Name] = mapped_column(primary_key=True)
    token: Mapped[Word] = mapped_column(primary_key=True)
    # A digest of what was requested: the same token with another request is refused.
    request: Mapped[Word]
    reservation_id: Mapped[Word]
    created_at: Mapped[Time]

    __table_args__ = (Index("ix_ec2_client_tokens_created_at", "created_at"), TABLE)
