"""The rules of the house: which of a feed's posts are left out before they are stored. Pure; counted by its callers.

Triage decides what becomes of a post that is stored; these rules decide that it is not stored at all. Our own posts
and machines' notices always stay, and so does what goes on with a conversation that we hold, unless its kind, its author, or being passed on
speaks against it: nobody is cut off in the middle of a sentence.
"""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Annotated, Any, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field

from app.connectors.base import IncomingPost, PostKind, SettingsModel
from app.i18n import N_
from app.listening.clean import matchable
from app.listening.patterns import compiled

EXCERPT = 300  # characters of a post that was left out that are kept for a while


class Why(StrEnum):
    """What speaks against a post."""

    KIND = "kind"
    REPOST = "repost"
    BLOCKED = "blocked"
    DOMAIN = "domain"
    FOLLOWERS = "followers"
    LANGUAGE = "language"
    WANTED = "wanted"  # says none of the words that are asked for
    UNWANTED = "unwanted"


def _pattern(pattern: str) -> str:
    compiled(pattern)
    return pattern


def _domain(given: str) -> str:
    return (urlsplit(given).hostname or given if "://" in given else given).lower().lstrip("@.").strip()


def _handle(given: str) -> str:
    return given.removeprefix("@").casefold()


Pattern = Annotated[str, Field(min_length=1, max_length=500), AfterValidator(_pattern)]


class House(SettingsModel):
    """The rules of one feed. What is empty asks for nothing."""

    kinds: tuple[PostKind, ...] = Field(default=(), title=N_("Bring only"))
    languages: tuple[Annotated[str, Field(min_length=2, max_length=35)], ...] = Field(
        default=(),
        title=N_("Languages"),
        description=N_("One a line. A post whose language the channel does not tell stays."),
        examples=["de"],
    )
    no_reposts: bool = Field(default=False, title=N_("Leave out posts that are only passed on"))
    followers_min: int | None = Field(
        default=None,
        ge=0,
        title=N_("Followers, at least"),
        description=N_("An author whose followers the channel does not tell stays."),
    )
    own_domains: tuple[Annotated[str, AfterValidator(_domain)], ...] = Field(
        default=(),
        title=N_("Our own domains"),
        description=N_("One a line. What stands there, or is written by an address there, is left out."),
        examples=["northwind.example"],
    )
    wanted: tuple[Pattern, ...] = Field(
        default=(),
        title=N_("Bring only what says one of"),
        description=N_("One word or pattern (RE2) a line."),
        examples=[r"\bnorthwind\b"],
    )
    unwanted: tuple[Pattern, ...] = Field(
        default=(), title=N_("Leave out what says one of"), description=N_("One word or pattern (RE2) a line.")
    )
    blocked: tuple[Annotated[str, AfterValidator(_handle)], ...] = Field(
        default=(), title=N_("Blocked authors"), description=N_("One handle a line."), examples=["@spam@example.social"]
    )


@dataclass(frozen=True, slots=True)
class Facts:
    """What the rules look at of a post."""

    kind: str
    repost: bool
    author: str  # as the channel identifies them
    handle: str
    followers: int | None
    language: str | None
    url: str | None
    text: str  # with the title

    @classmethod
    def of(cls, post: IncomingPost) -> Self:
        """Those of a post that arrives."""
        text = f"{post.title}\n{post.text}" if post.title else post.text
        who = post.author
        return cls(post.kind, post.repost, who.external_id, who.handle, who.followers, post.language, post.url, text)

    def kept(self) -> dict[str, Any]:
        """The same, short, for the page that shows what was left out."""
        return asdict(self) | {"text": self.text[:EXCERPT]}


@dataclass(frozen=True, slots=True)
class Verdict:
    """Why a post is left out; `detail` is the word, handle or value that decided."""

    why: Why
    detail: str = ""


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A post that is not stored, and why."""

    post: IncomingPost
    verdict: Verdict


def judge(house: House, facts: Facts, *, continues: bool = False) -> Verdict | None:
    """Why the post is left out, None when it stays. `continues`: it goes on with a conversation that we hold."""
    if house.kinds and facts.kind not in house.kinds:
        return Verdict(Why.KIND, facts.kind)
    if house.no_reposts and facts.repost:
        return Verdict(Why.REPOST)
    if {_handle(facts.handle), _handle(facts.author)} & {*house.blocked}:
        return Verdict(Why.BLOCKED, facts.handle)
    return None if continues else _strange(house, facts)


def _strange(house: House, facts: Facts) -> Verdict | None:
    """What speaks against somebody who begins."""
    domain = next((one for one in house.own_domains if _stands_at(facts, one)), None)
    if domain:
        return Verdict(Why.DOMAIN, domain)
    if house.followers_min and facts.followers is not None and facts.followers < house.followers_min:
        return Verdict(Why.FOLLOWERS, str(facts.followers))
    if house.languages and facts.language and not _speaks(facts.language, house.languages):
        return Verdict(Why.LANGUAGE, facts.language)
    return _said(house, matchable(facts.text).encode())


def _said(house: House, text: bytes) -> Verdict | None:
    unwanted = next((one for one in house.unwanted if compiled(one).search(text)), None)
    if unwanted:
        return Verdict(Why.UNWANTED, unwanted)
    if house.wanted and not any(compiled(one).search(text) for one in house.wanted):
        return Verdict(Why.WANTED)
    return None


def _stands_at(facts: Facts, domain: str) -> bool:
    """Whether the post's address, or the author's handle, belongs to the domain or to one below it."""
    places = (_host(facts.url), facts.handle.rpartition("@")[2].lower())
    return any(place == domain or place.endswith(f".{domain}") for place in places)


def _host(url: str | None) -> str:
    try:
        return urlsplit(url or "").hostname or ""
    except ValueError:
        return ""


def _speaks(language: str, wanted: Iterable[str]) -> bool:
    spoken = language.lower()
    return any(spoken == one.lower() or spoken.startswith(one.lower() + "-") for one in wanted)


def sift(house: House, posts: Sequence[IncomingPost], known: Iterable[str]) -> tuple[list[IncomingPost], list[LeftOut]]:
    """The posts that stay, and those that are left out. `known` are posts and replies that we hold."""
    held = {*known}
    stay: list[IncomingPost] = []
    out: list[LeftOut] = []
    for post in posts:
        exempt = post.own or post.kind is PostKind.NOTICE
        verdict = None if exempt else judge(house, Facts.of(post), continues=post.in_reply_to in held)
        if verdict is None:
            stay.append(post)
            held.add(post.external_id)
        else:
            out.append(LeftOut(post, verdict))
    return stay, out
