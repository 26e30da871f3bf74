"""The desk's lists: which one is shown, how it is narrowed and ordered, and what it is drawn from.

A list's address holds all of it: /desk/all?channel=mastodon&state=queued&sort=due. Beside an item the same stands in
one value, `?list=all?channel=mastodon...`, so that the list stays as it was.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from urllib.parse import quote, urlencode
from zlib import crc32

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from app import i18n
from app.connectors import registry
from app.errors import Invalid, NotFound
from app.flow.bulk import Deed
from app.i18n import _
from app.models.agent import Agent, Role, TeamMember
from app.models.item import State
from app.models.sight import visible_queues
from app.queries import desk, filters, listing
from app.queries.filters import Filter, Sort
from app.queries.together import onlookers
from app.web import keys, rows, signal_words, words

NARROWED = frozenset({"all", "claimable", "queue"})  # lists that take a filter
PLAIN = frozenset({"mine", "parked", "offers"})
ANYTHING = Filter()
MOST_PEOPLE = 200  # to choose from as holders
# What people most often write in; the form also offers whatever language is chosen already.
LANGUAGES = ("en", "de", "fr", "es", "it", "pt", "nl", "pl", "tr", "uk", "ru", "ar", "hi", "th", "ja", "ko", "zh")


@dataclass(frozen=True, slots=True)
class Shown:
    """Which list is shown, narrowed by what, in which order, from where on."""

    kind: str = "mine"
    queue_id: int | None = None
    after: str = ""
    filter: Filter = ANYTHING
    sort: Sort | None = None  # none: the list's own

    @property
    def name(self) -> str:
        """The list without filter and order, as `?list=` names it."""
        return f"q{self.queue_id}" if self.kind == "queue" else self.kind

    @property
    def asked(self) -> str:
        """What the list's address carries: filter, order and place."""
        pairs = list(self.filter.pairs())
        if self.sort is not None:
            pairs.append(("sort", self.sort.value))
        if self.after:
            pairs.append(("after", self.after))
        return urlencode(pairs, safe="~:")

    @property
    def code(self) -> str:
        """How the list is named in `?list=`."""
        return f"{self.name}?{self.asked}" if self.asked else self.name

    @property
    def base(self) -> str:
        """The list's address without filter, order and place."""
        return f"/desk/queue/{self.queue_id}" if self.kind == "queue" else f"/desk/{self.kind}"

    @property
    def path(self) -> str:
        """The list's own address."""
        return f"{self.base}?{self.asked}" if self.asked else self.base

    @property
    def query(self) -> str:
        """What an item's address carries to keep this list beside it."""
        return "" if self.code == "mine" else f"?list={quote(self.code, safe='')}"

    @property
    def form(self) -> str:
        """An id for the list's filter form: another list, another form."""
        return f"filter-{crc32(replace(self, after='').code.encode()):08x}"

    @property
    def usual(self) -> Sort:
        """The list's own order: that in which it is served, or what is due first."""
        return Sort.DUE if self.kind == "all" else Sort.RANK

    @property
    def order(self) -> Sort:
        """The order in which it stands."""
        return self.sort or self.usual

    @property
    def wanted(self) -> Filter:
        """The filter together with what makes the list the list it is."""
        if self.kind == "claimable":
            return replace(self.filter, state=(State.QUEUED,))
        if self.kind == "queue" and self.queue_id is not None:
            return replace(self.filter, queue=(self.queue_id,), state=self.filter.state or (State.QUEUED,))
        return self.filter

    def at(self, after: str) -> "Shown":
        """The same list from a place on."""
        return replace(self, after=after)

    def sorted_by(self, sort: Sort) -> "Shown":
        """The same list from its beginning, in another order."""
        return replace(self, after="", sort=None if sort == self.usual else sort)

    def without(self, kind: str, value: str) -> "Shown":
        """The same list, narrowed by one thing less."""
        return replace(self, after="", filter=self.filter.without(kind, value))


@dataclass(frozen=True, slots=True)
class Group:
    """A heading and its rows."""

    title: str
    count: str
    hint: str
    rows: tuple[desk.Row, ...]
    id: str


@dataclass(frozen=True, slots=True)
class Chip:
    """One thing that a list is narrowed by: its words, and where the list is without it."""

    words: str
    path: str


def shown_by(kind: str, queue_id: int | None, asked: Iterable[tuple[str, str]]) -> Shown:
    """The list of a kind with what its address asks for. Raises Invalid for what makes no sense."""
    pairs = list(asked)
    if kind not in NARROWED:
        return Shown(kind)
    given = dict(pairs)
    found = Shown(kind, queue_id, given.get("after", ""), filters.read(pairs))
    sort = filters.sort_of(given, found.usual)
    return replace(found, sort=None if sort == found.usual else sort)


def shown_of(code: str) -> Shown:
    """The list that `?list=` names; one's own for anything that makes no sense."""
    name, _mark, asked = code.partition("?")
    pairs = filters.pairs_of(asked)
    try:
        if name.startswith("q") and name[1:].isascii() and name[1:].isdigit():
            return shown_by("queue", int(name[1:]), pairs)
        return shown_by(name, None, pairs) if name in (NARROWED - {"queue"}) | PLAIN else Shown()
    except Invalid:
        return Shown()


async def list_context(
    db: AsyncSession, me: Agent, shown: Shown, rail: desk.Rail, around: rows.Around
) -> dict[str, Any]:
    """What the list is drawn from."""
    groups, following = await _groups(db, me, shown, rail)
    listed = [row.item_id for group in groups for row in group.rows]
    around = replace(around, viewers=await onlookers(db, listed, me.id))
    return {
        "list_title": _title(shown, rail),
        "groups": [(group, rows.draw(group.rows, around)) for group in groups],
        "next_page": shown.at(following.named()).path if following else "",
        "deeds": deeds(),
        "narrowed": await _narrowed(db, me, shown, rail) if shown.kind in NARROWED else None,
    }


def _title(shown: Shown, rail: desk.Rail) -> str:
    if shown.kind == "queue":
        named = {line.queue_id: line.name for line in rail.lines}
        if shown.queue_id not in named:
            raise NotFound(_("There is no such queue, or it is not one of your teams'. Choose another on the left."))
        return named[shown.queue_id]
    titles = {
        "mine": _("My work"),
        "parked": _("Parked"),
        "offers": _("Offers"),
        "claimable": _("Claimable"),
        "all": _("All items"),
    }
    return titles[shown.kind]


async def _groups(
    db: AsyncSession, me: Agent, shown: Shown, rail: desk.Rail
) -> tuple[list[Group], listing.Place | None]:
    if shown.kind in NARROWED:
        return await _page(db, me, shown)
    if shown.kind == "offers":
        offered = await desk.mine(db, me.id, State.OFFERED)
        return [Group(_("Offered to you"), str(len(offered)), "", offered, "offered")], None
    aside = await desk.mine(db, me.id, State.PARKED) if rail.parked else ()
    parked = Group(_("Parked"), str(rail.parked), _("Uses no capacity"), aside, "parked")
    if shown.kind == "parked":
        return [parked], None
    active = await desk.mine(db, me.id, State.ACTIVE) if rail.active else ()
    coming = await desk.next_up(db, visible_queues(me)) if rail.waiting else ()
    return [
        Group(_("In progress"), str(len(active)), _("Reply needed"), active, "active"),
        parked,
        Group(
            _("Next in your queues"),
            i18n.number(rail.waiting),
            _("Claim with %s") % keys.shown("claim"),
            coming,
            "next",
        ),
    ], None


async def _page(db: AsyncSession, me: Agent, shown: Shown) -> tuple[list[Group], listing.Place | None]:
    """One page of a list that can be narrowed, with how many there are in all."""
    place = listing.place_of(shown.after, shown.order)
    page = await listing.listed(db, me, shown.wanted, shown.order, after=place)
    whole = page.after is None and place is None
    found = len(page.rows) if whole else await listing.count(db, me, shown.wanted)
    waiting = shown.wanted.state == (State.QUEUED,)
    lately = _("Ended ones of the last %d days") % listing.HISTORY.days if shown.wanted.ended_states else ""
    group = Group(
        _("Waiting") if waiting else sorts()[shown.order],
        bounded(found),
        _("Claim with %s") % keys.shown("claim") if waiting else lately,
        page.rows,
        "waiting",
    )
    return [group], page.after


def bounded(found: int) -> str:
    """A count that stops at listing.COUNTED, in words."""
    return i18n.number(found) + ("+" if found >= listing.COUNTED else "")


def sorts() -> dict[Sort, str]:
    """The orders of a list, as its menu names them."""
    return {
        Sort.DUE: _("Due first"),
        Sort.RANK: _("Priority, with ageing"),
        Sort.WAIT: _("Longest wait"),
        Sort.REACH: _("Reach of the author"),
        Sort.NEW: _("Newest first"),
    }


def deeds() -> dict[Deed, str]:
    """What can be done to many items at once, as the menu names it."""
    return {
        Deed.CLAIM: _("Claim"),
        Deed.RELEASE: _("Give back"),
        Deed.CLOSE: _("Close"),
        Deed.PARK: _("Park"),
        Deed.TRANSFER: _("Send to a queue"),
        Deed.DISCARD: _("Discard"),
        Deed.TAG: _("Add a tag"),
        Deed.UNTAG: _("Take a tag away"),
        Deed.PRIORITISE: _("Set the priority"),
    }


def ages() -> dict[str, str]:
    """How long an item must have waited, as the form offers it."""
    return {
        "15m": _("15 minutes"),
        "1h": _("1 hour"),
        "4h": _("4 hours"),
        "1d": _("1 day"),
        "3d": _("3 days"),
        "7d": _("7 days"),
        "30d": _("30 days"),
    }


async def _narrowed(db: AsyncSession, me: Agent, shown: Shown, rail: desk.Rail) -> dict[str, Any]:
    """What the filter form offers, and what is chosen as chips."""
    people = {str(person.id): person.name for person in await colleagues(db, me)}
    queues = {str(line.queue_id): line.name for line in rail.lines}
    channels = {name: words.channel_title(name) for name in sorted({*registry.all(), *shown.filter.channel})}
    languages = {tag: i18n.language_name(tag) for tag in (*LANGUAGES, *shown.filter.language)}
    offered: dict[str, dict[str, str]] = {
        "queue": queues,
        "channel": channels,
        "language": languages,
        "state": {state.value: words.state(state) for state in State},
        "priority": {str(n): _("P%(p)s") % {"p": n} for n in range(1, 6)},
        "holder": {filters.ME: _("Me"), filters.NOBODY: _("Nobody"), **people},
        "age": ages(),
        "has": {"media": _("Pictures or other media")},
        "intent": signal_words.intents(),
        "urgent": signal_words.urgents(),
        "upset": signal_words.upsets(),
    }
    chips = [
        Chip(_chip(kind, offered.get(kind, {}).get(value, value)), shown.without(kind, value).path)
        for kind, value in shown.filter.pairs()
    ]
    return {"offered": offered, "chips": chips, "sorts": sorts(), "fixed": _fixed(shown)}


def _fixed(shown: Shown) -> frozenset[str]:
    """What the form does not offer, because the list is about it."""
    return {"claimable": frozenset({"state", "holder"}), "queue": frozenset({"queue"})}.get(shown.kind, frozenset())


def _chip(kind: str, value: str) -> str:
    if kind == "age":
        return _("Waiting %s or longer") % value
    if kind == "text":
        return _("Words: %s") % value
    if kind == "tag":
        return _("Tag: %s") % value
    if kind == "tier":
        return _("Tier: %s") % value
    if kind == "holder":
        return _("Held by: %s") % value
    return value


async def colleagues(db: AsyncSession, me: Agent) -> list[Agent]:
    """People who may hold what the reader sees: of their teams; for an admin everybody."""
    found = select(Agent).where(Agent.active, Agent.id != me.id).order_by(func.lower(Agent.name)).limit(MOST_PEOPLE)
    if not me.is_at_least(Role.ADMIN):
        teams = select(TeamMember.team_id).where(TeamMember.agent_id == me.id)
        found = found.where(Agent.id.in_(select(TeamMember.agent_id).where(TeamMember.team_id.in_(teams))))
    return list(await db.scalars(found))


def place(named: str) -> tuple[datetime, int] | None:
    """Where a thread's part begins, as its address names it: a time and an id. Raises NotFound when it is none."""
    moment, _separator, row_id = named.partition("~")
    try:
        return (datetime.fromisoformat(moment), int(row_id)) if named else None
    except ValueError:
        raise NotFound(_("That page does not exist. Go back to the beginning.")) from None


def named_place(at: tuple[datetime, int]) -> str:
    """A place as an address names it."""
    return quote(f"{at[0].isoformat()}~{at[1]}", safe="~:")
