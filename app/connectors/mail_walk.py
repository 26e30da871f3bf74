"""Walking a folder: which mails are behind the cursor, read a page at a time, each for itself.

The cursor holds for each folder UIDVALIDITY and the last UID read (RFC 3501, 2.3.1.1: UIDs only grow while the validity
stands), the highest MODSEQ (RFC 7162) and the day of the last poll. A folder whose numbers began anew, or that was put
back to an earlier state, is read again from the day before that; what comes twice has the same Message-ID.
"""

import asyncio
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

from app.connectors.base import Batch, IncomingPost, Json, Rejected
from app.connectors.mail_imap import LARGEST, Imap, Selected
from app.connectors.mail_parts import header, parsed
from app.connectors.mail_read import as_own, read_mail
from app.connectors.mail_tokens import when
from app.connectors.text import storable
from app.errors import Malformed
from app.i18n import N_

PAGE = 20  # mails of a folder in one fetch
PAGE_BYTES = 30_000_000  # of them together; the one that goes beyond is the last


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder to read, and our addresses."""

    name: str
    ours: frozenset[str]
    own: bool = False  # what stands there was written by us
    authserv: str = ""


@dataclass(frozen=True, slots=True)
class Page:
    """What one look into a folder brought, and the cursor behind it."""

    folder: Folder
    posts: tuple[IncomingPost, ...]
    rejected: tuple[Rejected, ...]
    state: Json
    left: int  # mails that wait for the next look


async def walked(client: Imap, folder: Folder, cursor: Json, since: date, now: datetime) -> Page:
    """The next mails behind the cursor; at the first look, those that came `since`."""
    state = _state(cursor, folder)
    there = await client.select(folder.name)
    if not state or _began_anew(state, there):
        waiting = await client.since(_day_before(state) if state else since)
        after = 0 if waiting else max(there.next - 1, 0)
    elif there.next == state["after"] + 1:
        waiting, after = [], state["after"]
    else:
        waiting, after = await client.above(state["after"]), state["after"]
    posts, rejected, read = await _read(client, folder, there, waiting[:PAGE], now)
    after = waiting[read - 1] if read else after
    state = {"validity": there.validity, "after": after, "modseq": there.modseq, "day": now.date().isoformat()}
    return Page(folder, tuple(posts), tuple(rejected), state, left=len(waiting) - read)


def joined(pages: Sequence[Page], cursor: Json) -> Batch:
    """The pages of all folders as one batch, oldest first; a mail that stands in two of them once."""
    posts = {post.external_id: post for page in reversed(pages) for post in page.posts}
    states = dict(cursor.get("folders", {})) | {page.folder.name: page.state for page in pages}
    return Batch(
        posts=tuple(sorted(posts.values(), key=lambda post: post.posted_at)),
        cursor={"folders": states},
        more=any(page.left for page in pages),
        left=sum(page.left for page in pages),
        rejected=tuple(one for page in pages for one in page.rejected),
    )


async def is_behind(client: Imap, folder: Folder, cursor: Json) -> bool:
    """Whether mails wait behind the cursor. The folder stays open, so that the server may tell of the next."""
    state = _state(cursor, folder)
    there = await client.select(folder.name)
    return not state or _began_anew(state, there) or bool(await client.above(state["after"]))


async def newest(client: Imap, folder: Folder, now: datetime) -> IncomingPost | None:
    """The last mail of a folder that can be read."""
    there = await client.select(folder.name)
    posts, *_others = await _read(client, folder, there, (await client.search("UID *"))[-1:], now)
    return posts[0] if posts else None


async def _read(
    client: Imap, folder: Folder, there: Selected, uids: Sequence[int], now: datetime
) -> tuple[list[IncomingPost], list[Rejected], int]:
    """Read mails one by one, so that one holds no other; returns also how many were looked at."""
    posts: list[IncomingPost] = []
    rejected: list[Rejected] = []
    told = await client.fetch(uids, "RFC822.SIZE INTERNALDATE") if uids else {}
    room, looked = PAGE_BYTES, 0
    for uid in uids:
        if room <= 0:
            break
        looked += 1
        size = _number(told.get(uid, {}).get(b"RFC822.SIZE"))
        if size > LARGEST:
            rejected.append(_too_large(folder, there, uid, size))
            continue
        raw = (await client.fetch([uid], "BODY.PEEK[]")).get(uid, {}).get(b"BODY[]")
        if raw is None:
            await _require_gone(client, uid)
            continue
        room -= len(raw)
        post = await asyncio.to_thread(_one, folder, raw, when(told.get(uid, {}).get(b"INTERNALDATE")), now)
        if isinstance(post, IncomingPost):
            posts.append(post)
        else:
            rejected.append(post)
    return posts, rejected, looked


def _one(folder: Folder, raw: bytes, arrived: datetime | None, now: datetime) -> IncomingPost | Rejected:
    """A mail as a post. Whatever is wrong with it, it hinders no other."""
    try:
        post = read_mail(raw, min(arrived or _dated(raw) or now, now), folder.ours, authserv=folder.authserv)
        return as_own(post) if folder.own else post
    except Exception as error:  # noqa: BLE001 - mails are hostile, and one that nobody foresaw must not block a mailbox
        reason = str(error) if isinstance(error, ValueError) else type(error).__name__
        return Rejected(_digest(raw), reason or type(error).__name__, {"mail": storable(_head(raw)), "bytes": len(raw)})


def _dated(raw: bytes) -> datetime | None:
    """What its Date says, for servers that do not tell when it arrived."""
    try:
        told = parsedate_to_datetime(header(parsed(raw), "date"))
    except (ValueError, IndexError):
        return None
    return told if told.tzinfo else told.replace(tzinfo=UTC)


def _digest(raw: bytes) -> str:
    return "sha256:" + hashlib.sha256(raw).hexdigest()


def _head(raw: bytes) -> str:
    return raw[:4000].decode("utf-8", "replace")


def _too_large(folder: Folder, there: Selected, uid: int, size: int) -> Rejected:
    reason = N_("The mail is larger than %(most)s MB. Open it in the mailbox.") % {"most": LARGEST // 1_000_000}
    return Rejected(f"{folder.name}/{there.validity}/{uid}", reason, {"folder": folder.name, "uid": uid, "bytes": size})


async def _require_gone(client: Imap, uid: int) -> None:
    """A mail that was deleted meanwhile is left out; one that stands and is not given is not skipped."""
    if await client.search(f"UID {uid}", sure=True):
        raise Malformed(
            N_("%(host)s does not give a mail that it has. It is tried again later.") % {"host": client.host}
        )


def _state(cursor: Json, folder: Folder) -> dict[str, Any]:
    found: dict[str, Any] = cursor.get("folders", {}).get(folder.name, {})
    return found


def _began_anew(state: Json, there: Selected) -> bool:
    """Whether the numbers of the folder mean something else than they did, or went back (a restored mailbox)."""
    went_back = 0 < there.next <= state["after"] or 0 < there.modseq < state.get("modseq", 0)
    return bool(there.validity != state["validity"] or went_back)


def _day_before(state: Json) -> date:
    return date.fromisoformat(state["day"]) - timedelta(days=1)


def _number(token: Any) -> int:
    return int(token) if isinstance(token, bytes) and token.isdigit() else 0
