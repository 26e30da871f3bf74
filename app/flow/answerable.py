"""How an item can be answered: to whom, and by which of our accounts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from sqlalchemy import Select, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.connectors import registry
from app.connectors.base import Connector, IncomingAuthor, Visibility, Window
from app.errors import Conflict, Invalid
from app.i18n import _
from app.models.account import Account
from app.models.change import PostChange
from app.models.feed import Feed
from app.models.item import Item
from app.models.post import Post
from app.models.reply import Reply, ReplyState

WIDTH = (Visibility.DIRECT, Visibility.FOLLOWERS, Visibility.UNLISTED, Visibility.PUBLIC)  # from narrow to wide
SEEN_BY_ALL = frozenset({Visibility.UNLISTED, Visibility.PUBLIC})


@dataclass(frozen=True, slots=True)
class Identity:
    """An account of ours that can answer."""

    id: int
    name: str


@dataclass(frozen=True, slots=True)
class Answerable:
    """What a reply to an item's newest post may be."""

    post: Post
    visibility: Visibility  # of the post: as it came, or narrower when that changed on the channel
    account_id: int | None  # who was addressed: the account of the feed that brought the post
    visibilities: tuple[Visibility, ...]  # never wider than the post that is answered
    identities: tuple[
        Identity, ...
    ]  # who can answer, the addressed one first; none where the channel knows no accounts
    windows: Mapping[Visibility, Window] = field(default_factory=dict)  # of those audiences whose time is limited

    def answering(self, account_id: int | None) -> int | None:
        """The account that answers: the wished one, or the addressed one. Raises Invalid when the wished one cannot."""
        if account_id is None or account_id in {one.id for one in self.identities}:
            return account_id or self.account_id
        raise Invalid(_("This account cannot answer this post (any more). Choose another one."), "account_id")


async def answerable(session: AsyncSession, item: Item, *, templates: bool = False) -> Answerable:
    """Say how an item can be answered; `templates`: with a text that the channel approved, whatever its window.

    Raises:
        Conflict: its channel takes no replies, or none any more, or its feed is gone.
    """
    post = await session.get_one(Post, item.post_id)
    feed = await session.get(Feed, post.feed_id) if post.feed_id else None
    if feed is None:
        raise Conflict(_("The feed that brought this post was removed, so there is no way back to its author."))
    capabilities = registry.get(item.channel).able(post.ref)
    if not capabilities.reply:
        raise Conflict(_("This channel takes no replies. Open the post and answer there, then close the item."))
    seen = await _seen_by(session, post)
    fitting = [v for v in capabilities.visibilities or (Visibility.PUBLIC,) if _fits(v, seen)]
    fitting = fitting or [seen]
    windows, shut = await _windows(session, feed, post, fitting)
    if templates and not capabilities.templates:
        raise Conflict(_("This channel has no templates."))
    if len(shut) == len(fitting) and not templates:
        raise Conflict(_(windows[fitting[0]].after))
    identities = await _identities(session, feed, seen)
    return Answerable(post, seen, feed.account_id, tuple(v for v in fitting if v not in shut), identities, windows)


async def _windows(
    session: AsyncSession, feed: Feed, post: Post, visibilities: Sequence[Visibility]
) -> tuple[dict[Visibility, Window], set[Visibility]]:
    """The windows of those audiences whose time is limited, and which audiences are shut: it is over, or was used."""
    connector = registry.get(feed.channel)
    if type(connector).window is Connector.window:
        return {}, set()
    now = (await session.execute(select(func.clock_timestamp()))).scalar_one()
    settings = connector.Settings.model_validate(feed.settings)
    found = {v: connector.window(settings, post.ref, v, now) for v in visibilities}
    windows = {v: window for v, window in found.items() if window is not None}
    given = (
        {Visibility(v) for v in await session.scalars(_given(post))}
        if any(window.once for window in windows.values())
        else set()
    )
    return windows, {v for v, one in windows.items() if not one.open_at(now) or (one.once and v in given)}


def _given(post: Post) -> Select[str]:
    """The audiences of the answers that a post has, or may have; one that failed takes nothing away."""
    return select(Reply.visibility).where(
        Reply.post_id == post.id, Reply.state.not_in((ReplyState.DRAFT, ReplyState.FAILED))
    )


async def _seen_by(session: AsyncSession, post: Post) -> Visibility:
    """The narrowest audience that the post had and has. What it was is in its `ref`, to which the connector holds."""
    newest = (
        select(PostChange.visibility)
        .where(PostChange.channel == post.channel, PostChange.external_id == post.external_id)
        .where(~PostChange.deleted, PostChange.visibility.is_not(None))
        .order_by(PostChange.changed_at.desc())
        .limit(1)
    )
    now = await session.scalar(newest)
    return min(Visibility(post.visibility), Visibility(now or post.visibility), key=WIDTH.index)


def _fits(visibility: Visibility, post: Visibility) -> bool:
    return WIDTH.index(visibility) <= WIDTH.index(post)


async def _identities(session: AsyncSession, feed: Feed, visibility: Visibility) -> tuple[Identity, ...]:
    """The addressed account, and those others that see the same post under the same name and can sign in."""
    addressed = await session.get(Account, feed.account_id) if feed.account_id is not None else None
    if addressed is None:
        return ()
    first = Identity(addressed.id, addressed.name)
    if visibility not in SEEN_BY_ALL or addressed.external_id is None:
        return (first,)
    asked = IncomingAuthor(addressed.external_id, addressed.handle or "")
    connector = registry.get(feed.channel)
    others = (
        select(Account.id, Account.name, Account.external_id, Account.handle)
        .where(Account.channel == feed.channel, Account.id != addressed.id, Account.sealed.is_not(None))
        .where(~Account.needs_reconnect, Account.external_id.is_not(None))
        .order_by(Account.name, Account.id)
    )
    able = [
        Identity(row.id, row.name)
        for row in await session.execute(others)
        if connector.stands_in(IncomingAuthor(row.external_id, row.handle or ""), asked)
    ]
    return (first, *able)
