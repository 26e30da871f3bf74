"""What a machine made of posts in other languages."""

from sqlalchemy import ForeignKey, LargeBinary
from sqlalchemy.orm import Mapped, mapped_column

from app.db import Base
from app.models.columns import Big, Created, Str


class Translation(Base):
    """A post in another language. It belongs to one version of the post, and is not shown with another."""

    __tablename__ = "translation"

    post_id: Mapped[Big] = mapped_column(ForeignKey("post.id"), primary_key=True, autoincrement=False)
    language: Mapped[Str] = mapped_column(primary_key=True)  # primary tag: `de`
    digest: Mapped[bytes] = mapped_column(LargeBinary)  # SHA-256 of what was translated
    source: Mapped[Str]  # the language it was in; empty: not known
    text: Mapped[Str]
    made_at: Mapped[Created]
