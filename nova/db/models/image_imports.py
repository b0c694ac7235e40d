"""Images that the EC2 API has brought into the Image service."""

from sqlalchemy import Index
from sqlalchemy.orm import Mapped, mapped_column

from nova.db.models.base import TABLE, Base, Document, Name, Serial, Time, Uuid, Word


class ImageImport(Base):
    """An image on its way, or one that did not arrive; the row goes when the image is there.

    wake_at is when a conductor looks at it next: the end of a lease, or the time of another try; NULL when it has failed.
    """

    __tablename__ = "image_imports"

    id: Mapped[Serial]
    image_id: Mapped[Uuid] = mapped_column(unique=True)
    project_id: Mapped[Name]
    request_id: Mapped[Word]
    document: Mapped[Document]
    state: Mapped[Word]
    step: Mapped[Word]
    # The digest of the manifest that was accepted; empty for what has none.
    digest: Mapped[Word]
    reason: Mapped[Document | None]
    attempt: Mapped[int]
    generation: Mapped[int]
    wake_at: Mapped[Time | None]
    deadline_at: Mapped[Time]
    created_at: Mapped[Time]

    __table_args__ = (
        Index("ix_image_imports_wake", "wake_at"),
        Index("ix_image_imports_project", "project_id", "id"),
        TABLE,
    )
