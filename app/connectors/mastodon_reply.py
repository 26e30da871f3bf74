"""Replies: the body that is frozen, the one of an edit, and finding it again among our own statuses.

Rules: docs.joinmastodon.org/methods/statuses/#create, #edit, /methods/accounts/#statuses.
"""

import unicodedata

import regex
from pydantic import ValidationError

from app.connectors.base import Budget, Capabilities, Json, Length, OutgoingReply, Sent, Standing, Visibility
from app.connectors.length import count, left
from app.connectors.mastodon_api import Server
from app.connectors.mastodon_posts import Status, own_words
from app.connectors.sent import may_stand_since
from app.connectors.text import essence, plain
from app.errors import MaybeSent, Refused
from app.i18n import N_

_PAGES = 10  # of own statuses that are looked through

_NARROWER = (Visibility.PUBLIC, Visibility.UNLISTED, Visibility.FOLLOWERS, Visibility.DIRECT)
_WORD = {
    Visibility.PUBLIC: "public",
    Visibility.UNLISTED: "unlisted",
    Visibility.FOLLOWERS: "private",
    Visibility.DIRECT: "direct",
}
_MENTION = regex.compile(r"(?<![=/\w])@(\w(?:[\w.-]{0,200}\w)?)(?:@([\w.:-]{0,250}\w))?")


def lead_of(to: Json) -> str:
    """The mention of the author of the post with this `ref`."""
    return f"@{to['acct']} "


def body_of(reply: OutgoingReply, capabilities: Capabilities) -> Json:
    """The status to post: never wider than asked nor than the post, the content warning and language kept.

    Raises Refused when it is too long, or when a direct reply names somebody who is not in the conversation: a
    mention would show it to them.
    """
    to = reply.to
    visibility = max(reply.visibility, Visibility(to["visibility"]), key=_NARROWER.index)
    warning = to.get("spoiler_text", "")
    text = _text_of(reply.text, to, visibility, warning, capabilities)
    body = {"status": text, "in_reply_to_id": reply.after.get("id", to["id"]), "visibility": _WORD[visibility]}
    extra = {"spoiler_text": warning, "language": to.get("language", "")}
    return body | {name: value for name, value in extra.items() if value}


def edited_body(reply: Standing, text: str, now: Json, capabilities: Capabilities) -> Json:
    """The status as it shall be. What an edit does not name is taken away, so all that stands is named again.

    `now` is the status as it stands. Raises Refused as `body_of` does.
    """
    visibility = max(reply.visibility, Visibility(reply.to["visibility"]), key=_NARROWER.index)
    status = Status.model_validate(now)
    said = _text_of(text, reply.to, visibility, status.spoiler_text, capabilities)
    media = [one["id"] for one in status.media_attachments if isinstance(one, dict) and "id" in one]
    kept = {"spoiler_text": status.spoiler_text, "language": status.language}
    body = {"status": said, "sensitive": now.get("sensitive") is True, "media_ids": media}
    return body | {name: value for name, value in kept.items() if value}


def _text_of(text: str, to: Json, visibility: Visibility, warning: str, capabilities: Capabilities) -> str:
    """What a status says, with the mention of who is answered."""
    if visibility is Visibility.DIRECT:
        _refuse_strangers(text, [to["acct"], *to.get("mentions", [])])
    whole = text if _names(text, to["acct"]) else lead_of(to) + text
    room = left(whole, capabilities)
    if room is not None and room < (counted := count(warning, Length.GRAPHEMES)):
        raise Refused(
            N_("The reply is %(excess)s characters too long for Mastodon, its mention and warning included.")
            % {"excess": counted - room}
        )
    return whole


def _names(text: str, acct: str) -> bool:
    return any(_same(found.group(1), found.group(2), acct) for found in _MENTION.finditer(text))


def _same(user: str, server: str | None, acct: str) -> bool:
    """`@ada` names ada of our own server; `@ada@other.example` only the one there."""
    written = f"{user}@{server}" if server else user
    return written.casefold() == acct.casefold()


def _refuse_strangers(text: str, known: list[str]) -> None:
    for found in _MENTION.finditer(text):
        if not any(_same(found.group(1), found.group(2), acct) for acct in known):
            raise Refused(
                N_(
                    "%(name)s is not in this private conversation and would be shown the reply. Write the name without the @."
                )
                % {"name": found.group()}
            )


def sent_as(raw: Json, budget: Budget | None) -> Sent | None:
    """Where a status of ours stands, None when the answer is no status."""
    try:
        status = Status.model_validate(raw)
    except ValidationError:
        return None
    return Sent(status.uri, status.url or None, status.created_at, {"id": status.id}, budget)


async def find_among_own(server: Server, account_id: str, reply: OutgoingReply) -> Sent | None:
    """The reply among what our account wrote since shortly before the first try.

    Raises MaybeSent when there is more to look through than a call may read: that is no proof that it is not there.
    """
    since = may_stand_since(reply)
    below: str | None = None
    for _ in range(_PAGES):
        path = f"/api/v1/accounts/{account_id}/statuses"
        page = await server.get_page(path, below, exclude_reblogs="true")
        for raw in page.entries:
            sent = sent_as(raw, server.budget)
            if sent is None or sent.posted_at is None:
                continue
            if sent.posted_at < since:
                return None
            if _is(raw, reply):
                return sent
        below = page.below
        if below is None:
            return None
    raise MaybeSent(
        N_("Our account at %(host)s wrote too much since the first try to look through it all.") % {"host": server.host}
    )


def _is(raw: Json, reply: OutgoingReply) -> bool:
    if str(raw.get("in_reply_to_id")) != str(reply.prepared["in_reply_to_id"]):
        return False
    return _essence(plain(own_words(raw.get("content") or ""))) == _essence(reply.prepared["status"])


def _essence(text: str) -> str:
    """What survives any make's rendering: no white space or invisible marks, mentions without their server."""
    short = _MENTION.sub(r"@\1", unicodedata.normalize("NFKC", text))
    return essence(short)
