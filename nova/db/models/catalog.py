"""What users choose from: flavors and key pairs."""

from sqlalchemy import ForeignKey, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from nova.db.models.base import TABLE, Base, Document, Name, Serial, Time, Word


class Flavor(Base):
    __tablename__ = "flavors"

    id: Mapped[Serial]
    flavor_id: Mapped[Name] = mapped_column(unique=True)
    name: Mapped[Name] = mapped_column(unique=True)
    vcpus: Mapped[int]
    memory_mb: Mapped[int]
    root_gb: Mapped[int]
    ephemeral_gb: Mapped[int]
    swap_mb: Mapped[int]
    rxtx_factor: Mapped[float]
    is_public: Mapped[bool]
    is_disabled: Mapped[bool]
    description: Mapped[Document | None]
    extra_specs: Mapped[Document]
    created_at: Mapped[Time]
    updated_at: Mapped[Time | None]


class FlavorAccess(Base):
    """A project that may use a flavor that is not public."""

    __tablename__ = "flavor_access"

    flavor_id: Mapped[Name] = mapped_column(ForeignKey("flavors.flavor_id", ondelete="CASCADE"), primary_key=True)
    project_id: Mapped[Name] = mapped_column(primary_key=True)


class Keypair(Base):
    __tablename__ = "keypairs"

    id: Mapped[Serial]
    user_id: Mapped[Name]
    name: Mapped[Name]
    type: Mapped[Word]
    fingerprint: Mapped[Name]
    public_key: Mapped[Document]
    created_at: Mapped[Time]

    __table_args__ = (UniqueConstraint("user_id", "name"), TABLE)
