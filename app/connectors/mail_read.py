"""A mail as a post: who wrote it, where it belongs, what it says, what a reply needs.

Nothing in a mail proves who sent it or where it belongs. So a post is never `own` because of its From (that is how an
outsider became an agent elsewhere: CVE-2026-47123), its conversation is its sender's own (`vouched` is False: ingest
lets it into another one only as somebody who takes part there), and a sender whom our own mail server found to be forged
is another author than the one they claim to be.
"""

import hashlib
import re
from dataclasses import replace
from datetime import datetime
from email.message import Message

from app.connectors.base import IncomingAuthor, IncomingPost, Json, Media, PostKind, Visibility
from app.connectors.mail_notice import Notice, cited_ids, is_listed, message_ids, notice
from app.connectors.mail_parts import Content, addresses, content, header, headers, parsed
from app.connectors.sniff import sniffed
from app.i18n import N_

MOST_HEADERS = 100  # of a mail that are kept for the record
MOST_PEOPLE = 50  # of a mail that may go on with its conversation
_FAILED = re.compile(r"\bdmarc\s*=\s*fail\b", re.IGNORECASE)


def read_mail(raw: bytes, arrived: datetime, ours: frozenset[str], *, authserv: str = "") -> IncomingPost:
    """The post that a mail is; `ours` are our addresses. Raises ValueError, in words, when it names no sender."""
    message = parsed(raw)
    senders = addresses(message, "from", "sender", "return-path", "reply-to")
    told = notice(message)
    if not senders and told is None:
        raise ValueError(N_("It names no sender."))
    name, address = senders[0] if senders else ("", "mailer-daemon")
    inside = content(message)
    mail_id = identity(message, raw)
    above = (told.about,) if told and told.about else tuple(one for one in cited_ids(message) if one != mail_id)
    author = _author(name, address, forged=_is_forged(message, authserv))
    root = (_root(message) or mail_id) if told is None or not told.bounce else mail_id
    return IncomingPost(
        external_id=mail_id,
        thread_id=f"{root}/{author.external_id}",
        author=author,
        text=_text(inside, told),
        posted_at=arrived,
        kind=PostKind.NOTICE if told else PostKind.DIRECT,
        visibility=Visibility.DIRECT,
        title=header(message, "subject")[:1000],
        html=inside.html,
        language=_language(message),
        in_reply_to=above[0] if above else None,
        above=above[1:],
        vouched=False,
        media=_media(inside),
        ref=_ref(message, mail_id, address, ours),
        payload={"headers": _record(message), "bytes": len(raw)},
    )


def as_own(post: IncomingPost) -> IncomingPost:
    """The same mail, found in the Sent folder: only who knows the mailbox's password puts it there."""
    return replace(post, own=True, vouched=True, kind=PostKind.DIRECT)


def identity(message: Message, raw: bytes) -> str:
    """The Message-ID, else a digest of what the mail says: the same in every mailbox that it reached."""
    given = message_ids(header(message, "message-id"))
    if given:
        return given[0]
    bare = header(message, "message-id").strip(" <>")
    if bare:
        return bare[:500]
    names = ("from", "to", "cc", "date", "subject")
    body = re.split(rb"\r?\n\r?\n", raw, maxsplit=1)[-1].replace(b"\r\n", b"\n")
    said = "\n".join(header(message, one) for one in names).encode() + b"\n\n" + body
    return "sha256:" + hashlib.sha256(said).hexdigest()


def _root(message: Message) -> str | None:
    """Where the thread began, as far as the mail says."""
    far = [found for value in headers(message, "references") for found in message_ids(value)]
    near = [found for value in headers(message, "in-reply-to") for found in message_ids(value)]
    return next(iter([*far, *near]), None)


def _author(name: str, address: str, *, forged: bool) -> IncomingAuthor:
    if forged:
        return IncomingAuthor(f"unproven:{address}", N_("%(address)s (sender not proven)") % {"address": address}, name)
    return IncomingAuthor(address, address, name)


def _is_forged(message: Message, authserv: str) -> bool:
    """Whether our own mail server (RFC 8601, named by the admin) found that the sender's domain disowns the mail."""
    if not authserv:
        return False
    ours = [one for one in headers(message, "authentication-results") if one.split(";")[0].split()[:1] == [authserv]]
    return bool(ours) and bool(_FAILED.search(ours[0]))  # the topmost one is the newest: a sender cannot put one above


def _text(inside: Content, told: Notice | None) -> str:
    if told and told.words:
        return f"{told.words}\n\n{inside.text}".strip()
    return inside.text


def _language(message: Message) -> str | None:
    given = header(message, "content-language").split(",")[0].strip()
    return given if re.fullmatch(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*", given) else None


def _media(inside: Content) -> tuple[Media, ...]:
    return tuple(
        Media(
            kind="image" if sniffed((file.content or b"")[:16]) else "file",
            url="",
            description=file.description,
            title=file.name,
            content=file.content,
        )
        for file in inside.files
    )


def _ref(message: Message, mail_id: str, address: str, ours: frozenset[str]) -> Json:
    """What a reply needs (RFC 5322, 3.6.4), and who takes part."""
    back = [one for _, one in addresses(message, "reply-to") if one not in ours] or [address]
    everybody = [one for _, one in addresses(message, "from", "reply-to", "to", "cc") if one not in ours]
    cited = [found for value in headers(message, "references") for found in message_ids(value)]
    return {
        "message_id": mail_id,
        "references": list(dict.fromkeys([*cited, *reversed(cited_ids(message))]))[-20:],
        "subject": header(message, "subject")[:1000],
        "to": back[0],
        "people": list(dict.fromkeys(everybody))[:MOST_PEOPLE],
        "listed": is_listed(message),
    }


def _record(message: Message) -> list[list[str]]:
    """The headers as they came, for the record; long ones cut."""
    given = list(message.raw_items())[:MOST_HEADERS]
    return [
        [name[:100], str(value).encode("utf-8", "replace").decode()[:2000].replace("\0", "")] for name, value in given
    ]
