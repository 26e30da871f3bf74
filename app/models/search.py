"""What the search looks at: an entry for each post, reply, note and person, and the list of those to be entered."""

from enum import StrEnum
from typing import Any

from sqlalchemy import Index, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import TSVECTOR
from sqlalchemy.orm import Mapped, mapped_column

from app.db import Base
from app.models.columns import Big, Id, Str, Time, one_of


class Kind(StrEnum):
    """What an entry is about."""

    POST = "post"
    REPLY = "reply"
    NOTE = "note"
    PERSON = "person"  # an author, by handle and names


CONVERSATION = "conversation"  # in the list only: everything that was said in it


class SearchEntry(Base):
    """One thing that can be found: its words (see app/listening/tokens.py), and when it was said."""

    __tablename__ = "search_entry"
    __table_args__ = (
        one_of("kind", Kind),
        UniqueConstraint("kind", "ref_id"),
        Index("ix_search_entry_words", "words", postgresql_using="gin"),
        Index("ix_search_entry_at", "at", "id", postgresql_where=text("conversation_id IS NOT NULL")),
        Index("ix_search_entry_conversation", "conversation_id", postgresql_where=text("conversation_id IS NOT NULL")),
        Index(
            "ix_search_entry_name",
            "name",
            postgresql_using="gin",
            postgresql_ops={"name": "gin_trgm_ops"},
            postgresql_where=text("kind = 'person'"),
        ),
    )

    id: Mapped[Id]
    kind: Mapped[Str]
    ref_id: Mapped[Big]  # of the post, reply, note or author
    conversation_id: Mapped[Big | None]  # none for a person
    at: Mapped[Time]
    words: Mapped[Any] = mapped_column(TSVECTOR, deferred=True)
    name: Mapped[Str | None]  # folded names of a person


class SearchPending(Base):
    """Something new or changed that is not entered yet. Triggers write it, so that no verb can forget to."""

    __tablename__ = "search_pending"

    id: Mapped[Id]
    kind: Mapped[Str]
    ref_id: Mapped[Big]
