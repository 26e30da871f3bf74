"""Macros: several actions on an item under one name, done together or not at all.

A macro's steps are done in one order: tags, priority, reply, and then what ends the work on the item for now. Each step is the verb that a person would use, with its checks, its words and its events.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from pydantic import Field, field_validator
from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncSession

from app.connectors.base import SettingsModel
from app.errors import Conflict, Invalid, Misuse
from app.flow.answerable import answerable
from app.flow.close import close
from app.flow.draft import load_draft
from app.flow.park import park
from app.flow.placeholders import fill, values_for
from app.flow.prioritise import prioritise
from app.flow.reply import reply
from app.flow.saved import OWN, changeable, owner, usable, whose
from app.flow.tag import tag, tag_of, untag
from app.flow.transfer import to_line
from app.flow.visibility import held_item, visible_item
from app.i18n import N_, _
from app.models.agent import Agent
from app.models.item import Disposition, Item, ParkReason
from app.models.queue import Queue
from app.models.saved import Macro, SavedReply

PARKINGS = {"1h": timedelta(hours=1), "3h": timedelta(hours=3), "24h": timedelta(days=1)}
CUSTOMER = "customer"
CUSTOMER_WAIT = timedelta(days=7)  # where the queue closes no parked item by itself
ORDER = ("tag", "untag", "priority", "reply", "park", "transfer", "close")


class MacroSettings(SettingsModel):
    """What a person sets of a macro. `end` is close:<disposition>, park:<time> or transfer:<queue id>."""

    name: str = Field(title=N_("Name"), min_length=1, max_length=80)
    reply: int | None = Field(None, title=N_("Reply with"))
    add_tags: tuple[str, ...] = Field((), title=N_("Add tags"), max_length=20)
    remove_tags: tuple[str, ...] = Field((), title=N_("Take tags away"), max_length=20)
    priority: int | None = Field(None, title=N_("Priority"), ge=1, le=5)
    end: str = Field("", title=N_("Then"))
    whose: str = Field(OWN, title=N_("For"))

    @field_validator("add_tags", "remove_tags")
    @classmethod
    def _tags(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        try:
            return tuple(dict.fromkeys(tag_of(one) for one in value if one.strip()))
        except Invalid as error:
            raise ValueError(error.message) from None

    @field_validator("end")
    @classmethod
    def _known_end(cls, value: str) -> str:
        do, _colon, what = value.partition(":")
        known = {"": {""}, "close": {*Disposition}, "park": {*PARKINGS, CUSTOMER}}
        if what not in known.get(do, set()) and not (do == "transfer" and what.isdigit()):
            raise ValueError(_("Choose from the list."))
        return value

    def steps(self) -> list[dict[str, Any]]:
        """The steps as they are kept: what to do, and with what."""
        found: list[tuple[str, Any]] = [("reply", self.reply)] if self.reply else []
        found += [("tag", one) for one in self.add_tags] + [("untag", one) for one in self.remove_tags]
        found += [("priority", self.priority)] if self.priority else []
        do, _colon, what = self.end.partition(":")
        found += [(do, what)] if do else []
        return [{"do": do, "value": value} for do, value in found]


@dataclass(frozen=True, slots=True)
class Plan:
    """What a macro would do to an item, and why it would not be done."""

    reply: str  # the filled text, where it replies
    trouble: str


def settings_of(macro: Macro) -> MacroSettings:
    """A macro as its form shows it."""
    by: dict[str, list[Any]] = {}
    for step in macro.steps:
        by.setdefault(step["do"], []).append(step["value"])
    end = next((f"{do}:{by[do][0]}" for do in ("close", "park", "transfer") if do in by), "")
    return MacroSettings(
        name=macro.name,
        reply=next(iter(by.get("reply", [])), None),
        add_tags=tuple(by.get("tag", ())),
        remove_tags=tuple(by.get("untag", ())),
        priority=next(iter(by.get("priority", [])), None),
        end=end,
        whose=whose(macro),
    )


async def save_macro(
    session: AsyncSession, agent: Agent, settings: MacroSettings, macro_id: int | None = None
) -> Macro:
    """Make a macro, or change one. Raises NotFound, Forbidden, Invalid."""
    steps = settings.steps()
    if not steps:
        raise Invalid(_("Choose at least one thing that the macro does."))
    macro = Macro(steps=[]) if macro_id is None else await changeable(session, Macro, agent, macro_id)
    agent_id, team_id = await owner(session, agent, settings.whose)
    if settings.reply is not None:
        text = await usable(session, SavedReply, agent, settings.reply)
        if agent_id is None and text.agent_id is not None:
            raise Invalid(_("This saved reply is yours alone. Share it first, or keep the macro to yourself."), "reply")
    macro.name, macro.steps, macro.agent_id, macro.team_id = settings.name, steps, agent_id, team_id
    session.add(macro)
    await session.flush()
    return macro


async def run_macro(session: AsyncSession, agent: Agent, item_id: int, macro_id: int, key: UUID) -> Item:
    """Do all that a macro says, or nothing. `key` makes its reply once. The agent must hold the item.

    Raises:
        NotFound: the macro or the item is not for them, or its saved reply is gone.
        Conflict, Invalid, Forbidden: a step cannot be done; nothing was.
    """
    macro = await usable(session, Macro, agent, macro_id)
    steps = list(macro.steps)
    async with session.begin_nested():
        item = await held_item(session, agent, item_id)
        if item.agent_id != agent.id:
            raise Conflict(_("A colleague holds item %d. Take it over before you run a macro.") % item_id)
        ending = next((Disposition(step["value"]) for step in steps if step["do"] == "close"), None)
        replies = any(step["do"] == "reply" for step in steps)
        run = _Run(session, agent, item, key, ending)
        for step in sorted(steps, key=lambda step: ORDER.index(step["do"])):
            if step["do"] != "close" or not replies:  # a reply takes the closing with it: both are undone together
                await run.do(step["do"], step["value"])
    await session.execute(update(Macro).where(Macro.id == macro_id).values(uses=Macro.uses + 1))
    return await visible_item(session, agent, item_id)


async def plan(session: AsyncSession, agent: Agent, item_id: int, macro_id: int, key: UUID) -> Plan:
    """Try a macro and take it all back: its filled reply, and what stands in its way. Raises NotFound."""
    macro = await usable(session, Macro, agent, macro_id)
    item = await visible_item(session, agent, item_id)
    reply_id = settings_of(macro).reply
    text = ""
    trouble = ""
    try:
        text = await filled(session, agent, item, reply_id) if reply_id is not None else ""
        async with session.begin_nested() as trial:
            await run_macro(session, agent, item_id, macro_id, key)
            await trial.rollback()
    except Misuse as error:
        trouble = error.message
    return Plan(text, trouble)


async def filled(session: AsyncSession, agent: Agent, item: Item, saved_id: int) -> str:
    """A saved reply with its placeholders filled in for an item. Raises NotFound."""
    saved = await usable(session, SavedReply, agent, saved_id)
    return fill(saved.body, await values_for(session, agent, item))


@dataclass(frozen=True, slots=True)
class _Run:
    """One run of a macro: who, on what, and how its reply ends the item."""

    session: AsyncSession
    agent: Agent
    item: Item
    key: UUID
    ending: Disposition | None

    async def do(self, do: str, value: Any) -> None:
        """One step, by the verb that a person would use."""
        who = (self.session, self.agent, self.item.id)
        if do == "reply":
            await self._answer(int(value))
        elif do == "tag":
            await tag(*who, value)
        elif do == "untag":
            await untag(*who, value)
        elif do == "priority":
            await prioritise(*who, int(value))
        elif do == "park":
            await _put_aside(self.session, self.agent, self.item, value)
        elif do == "transfer":
            await to_line(*who, queue_id=int(value))
        else:
            await close(*who, Disposition(value))

    async def _answer(self, saved_id: int) -> None:
        draft = await load_draft(self.session, self.agent, self.item.id)
        if draft is not None and draft.text.strip():
            raise Conflict(_("You have begun a reply to this item. Send it or clear it, then run the macro."))
        way = await answerable(self.session, self.item)
        wanted = way.visibility
        visibility = wanted if wanted in way.visibilities else way.visibilities[0]
        text = await filled(self.session, self.agent, self.item, saved_id)
        who = (self.session, self.agent, self.item.id)
        await reply(*who, text, visibility, key=self.key, then_close=self.ending)


async def _put_aside(session: AsyncSession, agent: Agent, item: Item, value: str) -> None:
    now = datetime.now(UTC)
    if value in PARKINGS:
        await park(session, agent, item.id, now + PARKINGS[value])
        return
    queue = await session.get_one(Queue, item.queue_id)
    until = now + CUSTOMER_WAIT if queue.park_close_after is None else None
    await park(session, agent, item.id, until, ParkReason.CUSTOMER)
