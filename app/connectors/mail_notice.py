"""What a machine sent by itself: bounces, automatic answers, newsletters. Answering one is how mail loops begin.

Rules: RFC 3464 (delivery status), 3834 (Auto-Submitted), 5321 4.5.5 (the empty return path), 2076 (Precedence), 2919
(List-Id), 3798 (dispositions); and X-Auto-Response-Suppress, X-Autoreply and X-Failed-Recipients, which mail servers set.
"""

import re
from dataclasses import dataclass
from email.message import Message

from app.connectors.mail_parts import addresses, header, headers

_MACHINES = re.compile(r"(mailer-daemon|postmaster|no-?reply|do-?not-?reply)([+-][^@]*)?@")
_MESSAGE_ID = re.compile(r"<([^<>\s]+)>|(?<=[:\s])([^<>\s]+@[^<>\s]+)")


@dataclass(frozen=True, slots=True)
class Notice:
    """Why this is a machine's word, and which of our mails it tells of."""

    bounce: bool
    about: str | None = None  # the Message-ID of the mail that came back
    words: str = ""  # what the mail server said, verbatim


def notice(message: Message) -> Notice | None:
    """What kind of notice this is; None when a person wrote it."""
    if message.get_content_type() == "multipart/report":
        kind = str(message.get_param("report-type", "")).lower()
        return _report(message, bounce=kind in {"delivery-status", ""})
    if header(message, "x-failed-recipients"):
        return _report(message, bounce=True)
    if _answers_by_itself(message):
        return Notice(bounce=False)
    if header(message, "return-path").replace(" ", "") == "<>":
        return _report(message, bounce=any(_MACHINES.match(one) for _, one in addresses(message, "from")))
    return None


def _answers_by_itself(message: Message) -> bool:
    submitted = header(message, "auto-submitted").split(";")[0].strip().lower()
    bulk = header(message, "precedence").strip().lower() in {"bulk", "junk", "auto_reply"}
    return (
        submitted not in {"", "no"} or bulk or bool(header(message, "x-autoreply") or header(message, "x-autorespond"))
    )


def is_listed(message: Message) -> bool:
    """Whether it came over a list, or asks for silence: a person may answer, Careline by itself never does."""
    suppressed = header(message, "x-auto-response-suppress").lower()
    quiet = header(message, "precedence").strip().lower() == "list" or bool(header(message, "list-id"))
    machine = any(_MACHINES.match(address) for _, address in addresses(message, "from"))
    return quiet or machine or any(word in suppressed for word in ("all", "oof", "autoreply"))


def _report(message: Message, *, bounce: bool) -> Notice:
    """Read the parts of a delivery report; many servers still send them in words of their own."""
    said: list[str] = []
    about: str | None = None
    for part in message.walk():
        kind = part.get_content_type()
        if kind == "message/delivery-status":
            said += _diagnoses(part)
        elif kind in {"message/rfc822", "text/rfc822-headers", "message/global", "message/global-headers"}:
            about = about or _id_within(part)
    if about is None and (cited := [*message_ids(header(message, "in-reply-to")), *cited_ids(message)]):
        about = cited[0]
    return Notice(bounce=bounce, about=about, words="\n".join(dict.fromkeys(said)))


def _diagnoses(part: Message) -> list[str]:
    blocks = part.get_payload()
    found = []
    for block in blocks if isinstance(blocks, list) else []:
        if isinstance(block, Message):
            recipient = header(block, "final-recipient").partition(";")[2].strip()
            words = header(block, "diagnostic-code").partition(";")[2].strip() or header(block, "status")
            if recipient or words:
                found.append(f"{recipient}: {words}".strip(": "))
    return found


def _id_within(part: Message) -> str | None:
    inner = part.get_payload()
    if isinstance(inner, list) and inner and isinstance(inner[0], Message):
        return next(iter(message_ids(header(inner[0], "message-id"))), None)
    text = part.get_payload(decode=True)
    lines = (text if isinstance(text, bytes) else str(inner).encode()).decode("utf-8", "replace")
    match = re.search(r"^message-id:\s*(<[^<>\s]{1,500}>)", lines, re.IGNORECASE | re.MULTILINE)
    return match[1].strip("<>") if match else None


def message_ids(value: str) -> list[str]:
    """The ids of a header, without their brackets, in order."""
    return [(one or other)[:500] for one, other in _MESSAGE_ID.findall(f" {value[:20_000]}")]


def cited_ids(message: Message) -> list[str]:
    """The mails that this one says it stands under, nearest first (RFC 5322, 3.6.4)."""
    near = [found for value in headers(message, "in-reply-to") for found in message_ids(value)]
    far = [found for value in headers(message, "references") for found in message_ids(value)]
    return list(dict.fromkeys([*near, *reversed(far)]))[:50]
