"""No English of our own is left on a page: everything visible goes through the reader's catalogue.

The reader's catalogue brackets every message and leaves its gaps alone, so a Latin letter outside of the brackets was
written into the code. What people write (names, posts) is Georgian here, and the locale's own words (dates) are Arabic.
"""

import re
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser

import pytest
from babel.support import NullTranslations
from fastapi import FastAPI
from fastapi.routing import APIRoute
from sqlalchemy import select, text

from app import i18n
from app.flow.claim import claim
from app.flow.close import close
from app.flow.ingest import ingest
from app.flow.note import note
from app.flow.park import park
from app.main import ROUTERS
from app.models.agent import Agent, Presence, PresenceState, Skill
from app.models.feed import Feed
from app.models.item import Disposition, Item, ParkReason
from app.web import rows
from tests.company import post
from tests.web.conftest import Browser, House

GAP = re.compile(r"(%\(\w+\)\d*\w|%\d*[a-z]|</?[a-z][^<>]*>|&\w+;|%%)")
LATIN = re.compile(r"[A-Za-z]{2,}")
# Names of products and formats, keys, units of the notation for times, and what an address or an e-mail is made of.
NAMES = frozenset(
    [
        "Careline",
        "Mastodon",
        "Bluesky",
        "RSS",
        "Atom",
        "JSON",
        "Enter",
        "Ctrl",
        "Shift",
        "Esc",
        "Alt",
        "Cmd",
        "Meta",
        "Space",
        "English",
        "Deutsch",
        "Español",
        "UTC",
        "KA",  # the code of the language that is heard in what people write here
    ]
)
SHOWN = ("aria-label", "title", "alt")
SILENT = {"script", "style", "svg", "kbd", "code", "template", "textarea", "bdi"}


class Pseudo(NullTranslations):
    """Every message between brackets, its gaps outside of them."""

    def gettext(self, message: str) -> str:
        return "".join(part if GAP.fullmatch(part) else f"⟦{part}⟧" for part in GAP.split(message) if part)

    def ngettext(self, msgid1: str, msgid2: str, n: int) -> str:
        return self.gettext(msgid1 if n == 1 else msgid2)

    def pgettext(self, context: str, message: str) -> str:
        return self.gettext(message)

    def npgettext(self, context: str, singular: str, plural: str, num: int) -> str:
        return self.ngettext(singular, plural, num)


class Visible(HTMLParser):
    """The words of a page that a person sees or hears, except keys, code and what people wrote."""

    def __init__(self) -> None:
        super().__init__()
        self.words: list[str] = []
        self.silent: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.words += [given[name] or "" for name in SHOWN if given.get(name)]
        if tag in SILENT or given.get("name") in {"timezone", "language"} or (self.silent and tag == self.silent[-1]):
            self.silent.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag in SILENT or (self.silent and self.silent[-1] == tag):
            self.silent.pop()

    def handle_data(self, data: str) -> None:
        if not self.silent:
            self.words.append(data)


def literals(page: str) -> set[str]:
    """What stands in a page without having gone through the catalogue."""
    reader = Visible()
    reader.feed(page)
    said = " \n ".join(reader.words)
    while "⟦" in said:
        shorter = re.sub(r"⟦[^⟦⟧]*⟧", " ", said)
        if shorter == said:
            break
        said = shorter
    lines = (re.sub(r"\S+[@/.:_]\S+", " ", line) for line in said.splitlines())  # addresses, and names of things
    return {line.strip() for line in lines if set(LATIN.findall(line)) - NAMES}


@pytest.fixture
def pseudo(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    def forget() -> None:
        i18n.reader_of.cache_clear()
        rows._drawn.cache_clear()

    monkeypatch.setattr(i18n, "_load", lambda _language: Pseudo())
    forget()
    yield
    monkeypatch.undo()
    forget()


@pytest.fixture
async def world(app: FastAPI, house: House, pseudo: None) -> dict[str, int]:
    """A company whose people write Georgian, with items in each state; ids for the addresses of pages."""
    async with app.state.sessions.begin() as session:
        for table in ("agent", "team", "queue", "rule"):
            await session.execute(text(f"UPDATE {table} SET name = 'სახელი-' || id"))
        feed = Feed(name="არხი", channel="webhook", synced_at=datetime.now(UTC))
        skill = Skill(name="უნარი")
        session.add_all([feed, skill])
        await session.flush()
        await session.refresh(feed)
        posts = [post(n, "კარავი დახეული მოვიდა.", author=f"ავტორი-{n}") for n in range(6)]
        await ingest(session, feed, posts)
        await session.execute(text("UPDATE agent SET language = 'ar', timezone = 'Asia/Tokyo'"))
        found = list(await session.scalars(select(Item).order_by(Item.id)))
        agent = await session.get_one(Agent, house.ids["agent"])
        presence = await session.get_one(Presence, agent.id)
        presence.state = PresenceState.READY
        await session.flush()
        for one in found[:4]:
            await claim(session, agent, one.id)
        await note(session, agent, found[0].id, "შენიშვნა")
        await park(session, agent, found[1].id, datetime.now(UTC) + timedelta(hours=3), ParkReason.CUSTOMER)
        await close(session, agent, found[2].id, Disposition.ANSWERED)
    return {"item_id": found[0].id, "feed_id": feed.id, "queue_id": house.billing, "agent_id": house.ids["agent"],
            "team_id": house.care, "rule_id": house.rule, "skill_id": skill.id, "last": found[-1].id}  # fmt: skip


def addresses(ids: dict[str, int]) -> list[str]:
    """Every page that a browser can ask for, with the ids of things that are there."""
    paths = [
        route.path
        for router in ROUTERS
        for route in router.routes
        if isinstance(route, APIRoute) and "GET" in (route.methods or ())
    ]
    filled = [re.sub(r"\{(\w+)(?::\w+)?\}", lambda found: str(ids.get(found[1], "{")), path) for path in paths]
    items = [f"/items/{n}" for n in range(ids["item_id"], ids["last"] + 1)]
    more = ["/admin/feeds/new?channel=mastodon", "/admin/feeds/new?channel=bluesky", "/admin/feeds/new?channel=rss",
            "/admin/accounts/new?channel=mastodon", "/admin/accounts/new?channel=bluesky", "/nowhere"]  # fmt: skip
    return [path for path in dict.fromkeys([*filled, *items, *more]) if "{" not in path and "/live" not in path]


@pytest.mark.parametrize("who", ["agent", "supervisor", "admin", ""])
async def test_no_page_has_words_that_the_catalogue_does_not_know(
    who: str, world: dict[str, int], sign_in: Callable[[str], Awaitable[Browser]]
) -> None:
    browser = await sign_in(who)
    found: dict[str, list[str]] = {}
    seen = 0
    for path in addresses(world):
        answer = await browser.get(path, headers={"Accept": "text/html", "Accept-Language": "ar"})
        if not answer.headers.get("content-type", "").startswith("text/html"):
            continue
        seen += 1
        for literal in literals(answer.text):
            found.setdefault(literal, []).append(path)
    assert found == {}
    assert seen >= 3


REFUSALS = [
    ("POST", "/items/{last}/replies", {"text": "", "visibility": "public"}),
    ("POST", "/items/{item_id}/replies", {"text": "", "visibility": "public"}),
    ("POST", "/presence", {"state": "not_ready"}),
    ("PUT", "/me/profile", {"name": "", "language": "xx", "timezone": "xx"}),
    ("PUT", "/items/{item_id}/assignment", {}),
]


@pytest.mark.parametrize(("method", "path", "fields"), REFUSALS)
async def test_a_refusal_is_told_in_the_readers_language(
    method: str, path: str, fields: dict[str, str], world: dict[str, int], sign_in: Callable[[str], Awaitable[Browser]]
) -> None:
    answer = await (await sign_in("agent")).send(path.format(**world), fields, method)
    assert answer.status_code >= 400
    assert literals(answer.text) == set()
