"""People: agents with their skills, teams and presence; their sign-ins and the tokens of programs."""

from enum import StrEnum

from sqlalchemy import CheckConstraint, ForeignKey, Index, LargeBinary, SmallInteger, text
from sqlalchemy.orm import Mapped, mapped_column

from app.db import Base
from app.i18n import _
from app.models.columns import Big, Created, Id, Jsonb, Str, Time, one_of


class Role(StrEnum):
    """What a person may do. Each includes the one before."""

    AGENT = "agent"
    SUPERVISOR = "supervisor"
    ADMIN = "admin"

    @property
    def words(self) -> str:
        """For people."""
        return {Role.AGENT: _("Agent"), Role.SUPERVISOR: _("Supervisor"), Role.ADMIN: _("Admin")}[self]


class PresenceState(StrEnum):
    """Whether an agent takes work now."""

    OFFLINE = "offline"
    READY = "ready"
    NOT_READY = "not_ready"
    WRAP_UP = "wrap_up"


class NotReadyReason(StrEnum):
    """The reason codes that Careline has words for. `missed` is set by the router after too many unanswered offers."""

    BREAK = "break"
    LUNCH = "lunch"
    TRAINING = "training"
    TECHNICAL = "technical"
    MISSED = "missed"


class Agent(Base):
    """Somebody who signs in. Never deleted: `active` goes false and their history stays."""

    __tablename__ = "agent"
    __table_args__ = (
        one_of("role", Role),
        CheckConstraint("capacity BETWEEN 0 AND 100", name="capacity"),
        Index("uq_agent_email", text("lower(email)"), unique=True),
    )

    id: Mapped[Id]
    email: Mapped[Str]
    name: Mapped[Str]
    role: Mapped[Str] = mapped_column(server_default=Role.AGENT)
    password_hash: Mapped[Str]  # argon2id
    capacity: Mapped[int] = mapped_column(SmallInteger, server_default="5")  # sum of item weights carried at once
    channel_caps: Mapped[Jsonb]  # channel -> how many of its items at once, where fewer than the capacity allows
    language: Mapped[Str] = mapped_column(server_default="en")
    timezone: Mapped[Str] = mapped_column(server_default="UTC")
    theme: Mapped[Str] = mapped_column(server_default="system")  # system | light | dark
    preferences: Mapped[Jsonb]  # the rest of app/flow/preferences.py
    active: Mapped[bool] = mapped_column(server_default=text("true"))
    created_at: Mapped[Created]

    @property
    def initials(self) -> str:
        """Two letters for the avatar."""
        words = self.name.split()
        return ("".join(word[0] for word in (words[:1] + words[1:][-1:])) or "?").upper()

    def is_at_least(self, role: Role) -> bool:
        """Whether this person's role includes `role`."""
        order = list(Role)
        return order.index(Role(self.role)) >= order.index(role)


class ReasonCode(Base):
    """A reason not to be ready that agents may choose. Those of `NotReadyReason` are shown in each reader's language.

    A presence keeps the name itself, so that it still says why when the code is gone.
    """

    __tablename__ = "reason_code"
    __table_args__ = (
        CheckConstraint("lower(name) <> 'missed'", name="name"),  # the router's own
        Index("uq_reason_code_name", text("lower(name)"), unique=True),
    )

    id: Mapped[Id]
    name: Mapped[Str]


class Presence(Base):
    """What an agent is doing now, and how much they carry. One row an agent; `load` moves with the items.

    Rows are locked after the items they belong to, in order of agent_id.
    """

    __tablename__ = "presence"
    __table_args__ = (
        one_of("state", PresenceState),
        CheckConstraint("load >= 0", name="load"),
        Index("ix_presence_ready", "available_since", postgresql_where=text("state = 'ready'")),
    )

    agent_id: Mapped[Big] = mapped_column(ForeignKey("agent.id"), primary_key=True, autoincrement=False)
    state: Mapped[Str] = mapped_column(server_default=PresenceState.OFFLINE)
    reason: Mapped[Str | None]  # the name of a reason code, or `missed`
    since: Mapped[Created]  # in this state
    available_since: Mapped[Created]  # without a new offer; the longest available comes first
    load: Mapped[int] = mapped_column(SmallInteger, server_default="0")  # weights of active + offered items
    seen_at: Mapped[Created]  # the last sign of life of an open desk
    wrap_until: Mapped[Time | None]  # end of the wrap-up; ready again then
    wrap_since: Mapped[Time | None]
    wrap_latest: Mapped[Time | None]  # its extensions end here
    misses: Mapped[int] = mapped_column(SmallInteger, server_default="0")  # offers in a row that went unanswered


class Team(Base):
    """People who see the same queues."""

    __tablename__ = "team"

    id: Mapped[Id]
    name: Mapped[Str] = mapped_column(unique=True)


class TeamMember(Base):
    """An agent in a team. Supervisors watch the teams they are in."""

    __tablename__ = "team_member"

    team_id: Mapped[Big] = mapped_column(ForeignKey("team.id", ondelete="CASCADE"), primary_key=True)
    agent_id: Mapped[Big] = mapped_column(ForeignKey("agent.id"), primary_key=True, index=True)


class Skill(Base):
    """Something an agent can do: Billing, German, Returns."""

    __tablename__ = "skill"

    id: Mapped[Id]
    name: Mapped[Str] = mapped_column(unique=True)


class AgentSkill(Base):
    """How well an agent can do it, 1 to 5."""

    __tablename__ = "agent_skill"
    __table_args__ = (CheckConstraint("level BETWEEN 1 AND 5", name="level"),)

    agent_id: Mapped[Big] = mapped_column(ForeignKey("agent.id"), primary_key=True)
    skill_id: Mapped[Big] = mapped_column(ForeignKey("skill.id", ondelete="CASCADE"), primary_key=True, index=True)
    level: Mapped[int] = mapped_column(SmallInteger)


class SignIn(Base):
    """A browser that is signed in. Only the digest of its cookie is stored; deleting the row signs it out."""

    __tablename__ = "sign_in"

    id: Mapped[Id]
    digest: Mapped[bytes] = mapped_column(LargeBinary, unique=True)  # SHA-256 of the cookie's value
    csrf: Mapped[Str]
    agent_id: Mapped[Big] = mapped_column(ForeignKey("agent.id"), index=True)
    created_at: Mapped[Created]
    seen_at: Mapped[Created]
    expires_at: Mapped[Time]
    address: Mapped[Str] = mapped_column(server_default="")
    browser: Mapped[Str] = mapped_column(server_default="")


class Throttle(Base):
    """Failed tries at something by somebody (`login:mail@host`, `login-from:203.0.113.9`)."""

    __tablename__ = "throttle"

    key: Mapped[Str] = mapped_column(primary_key=True)
    failures: Mapped[int] = mapped_column(server_default="0")
    last_at: Mapped[Created]
    blocked_until: Mapped[Time | None]


class ApiToken(Base):
    """A program's key to /api/v1, acting as an agent. Only its digest is stored."""

    __tablename__ = "api_token"

    id: Mapped[Id]
    name: Mapped[Str]
    digest: Mapped[bytes] = mapped_column(LargeBinary, unique=True)
    agent_id: Mapped[Big] = mapped_column(ForeignKey("agent.id"), index=True)
    writes: Mapped[bool] = mapped_column(server_default=text("false"))
    created_at: Mapped[Created]
    used_at: Mapped[Time | None]
    revoked_at: Mapped[Time | None]
