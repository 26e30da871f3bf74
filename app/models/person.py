"""What is known of a customer beside what they wrote: which identities are one person, tags, notes, who asked to see what."""

from sqlalchemy import ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from app.db import Base
from app.models.columns import Big, Created, Id, Str, Time


class CustomerLink(Base):
    """An author whom an agent took for the same person as another customer; undoing it brings them back."""

    __tablename__ = "customer_link"
    __table_args__ = (
        Index("uq_customer_link_live", "author_id", unique=True, postgresql_where=text("undone_at IS NULL")),
        Index("ix_customer_link_to_id", "to_id", postgresql_where=text("undone_at IS NULL")),
    )

    id: Mapped[Id]
    author_id: Mapped[Big] = mapped_column(ForeignKey("author.id"))
    from_id: Mapped[Big] = mapped_column(ForeignKey("customer.id"))  # whose they were
    to_id: Mapped[Big] = mapped_column(ForeignKey("customer.id"))
    agent_id: Mapped[Big] = mapped_column(ForeignKey("agent.id"))
    at: Mapped[Created]
    undone_at: Mapped[Time | None]
    undone_by: Mapped[Big | None] = mapped_column(ForeignKey("agent.id"))


class CustomerTag(Base):
    """A word that agents put on a customer."""

    __tablename__ = "customer_tag"

    customer_id: Mapped[Big] = mapped_column(ForeignKey("customer.id"), primary_key=True)
    tag: Mapped[Str] = mapped_column(primary_key=True)
    agent_id: Mapped[Big] = mapped_column(ForeignKey("agent.id"))
    created_at: Mapped[Created]


class CustomerNote(Base):
    """A remark about a customer, seen only inside, beside every item of theirs."""

    __tablename__ = "customer_note"

    id: Mapped[Id]
    customer_id: Mapped[Big] = mapped_column(ForeignKey("customer.id"), index=True)
    agent_id: Mapped[Big] = mapped_column(ForeignKey("agent.id"))
    text: Mapped[Str]
    created_at: Mapped[Created]


class ContactLook(Base):
    """An agent asked to see a masked address or number of an author."""

    __tablename__ = "contact_look"
    __table_args__ = (Index("ix_contact_look_who", "agent_id", "author_id", "at"),)

    id: Mapped[Id]
    author_id: Mapped[Big] = mapped_column(ForeignKey("author.id"))
    agent_id: Mapped[Big] = mapped_column(ForeignKey("agent.id"))
    at: Mapped[Created]
