"""A reply as a mail: threaded, with its own Message-ID, text and HTML, pictures attached with their descriptions.

Rules: RFC 5322 3.6.4 (In-Reply-To, References), 3834 (what Careline says by itself), 2046 (parts), 2183 (attachments).
"""

import hashlib
import html
import re
from collections.abc import Sequence
from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime

from app.connectors.base import Json, OutgoingReply, Picture
from app.errors import Refused
from app.i18n import N_

_REPLIED = re.compile(r"^\s*(re|aw|sv|antw|odp|rif|res|回复|答复|رد)\s*(\[\d+\])?\s*[:\uff1a]", re.IGNORECASE)
_CONTROL = re.compile(r"[\x00-\x1f\x7f\x85\u2028\u2029]+")
_LINK = re.compile(r"https?://[^\s<>\"']*[^\s<>\"'.,:;!?)\]]")
_SUFFIX = {"image/jpeg": "jpg", "image/png": "png"}
_DEEPEST = 20  # ids in References: the first and the last ones


def message_id(key: str, address: str) -> str:
    """The id that a reply with this key has at every try. It does not give the key away."""
    digest = hashlib.sha256(f"careline mail {key}".encode()).hexdigest()[:40]
    return f"{digest}@{address.rpartition('@')[2]}"


def prepare(reply: OutgoingReply, address: str, name: str) -> Json:
    """What will be sent, but for the pictures. Raises Refused when there is nobody to send it to."""
    to = reply.to
    if not to.get("to"):
        raise Refused(N_("The mail names no address that a reply could go to."))
    if reply.automatic and to.get("listed"):
        raise Refused(N_("The mail came over a list or from a machine, so Careline does not answer it by itself."))
    parent = str(reply.after.get("message_id") or to.get("message_id") or "")
    above = [*to.get("references", ()), str(to.get("message_id") or ""), parent]
    return {
        "message_id": message_id(reply.key, address),
        "from": address,
        "name": name,
        "to": to["to"],
        "subject": answered(str(to.get("subject", ""))),
        "in_reply_to": parent if "@" in parent else "",
        "references": _shortened([one for one in dict.fromkeys(above) if "@" in one]),
        "date": reply.created_at.isoformat(),
        "text": reply.text,
        "automatic": reply.automatic,
    }


def answered(subject: str) -> str:
    """The subject of an answer: one `Re:`, however many mails went before."""
    bare = _CONTROL.sub(" ", subject).strip()
    return bare if _REPLIED.match(bare) else f"Re: {bare}".strip()


def written(prepared: Json, pictures: Sequence[Picture] = ()) -> bytes:
    """The mail's bytes; the same for the same reply."""
    message = EmailMessage(policy=SMTP.clone(max_line_length=78))
    message["From"] = Address(display_name=_CONTROL.sub(" ", prepared["name"]), addr_spec=prepared["from"])
    message["To"] = Address(addr_spec=prepared["to"])
    message["Subject"] = prepared["subject"]
    message["Date"] = format_datetime(datetime.fromisoformat(prepared["date"]))
    message["Message-ID"] = f"<{prepared['message_id']}>"
    if prepared["in_reply_to"]:
        message["In-Reply-To"] = f"<{prepared['in_reply_to']}>"
    if prepared["references"]:
        message["References"] = " ".join(f"<{one}>" for one in prepared["references"])
    if prepared["automatic"]:
        message["Auto-Submitted"] = "auto-replied"
        message["X-Auto-Response-Suppress"] = "All"
    message.set_content(prepared["text"], charset="utf-8", cte="base64")
    message.add_alternative(as_html(prepared["text"]), subtype="html", charset="utf-8", cte="base64")
    for number, picture in enumerate(pictures, 1):
        main, sub = picture.kind.split("/")
        message.add_attachment(
            picture.content, maintype=main, subtype=sub, filename=f"picture-{number}.{_SUFFIX.get(picture.kind, sub)}"
        )
        described = list(message.iter_attachments())[-1]
        if picture.alt:
            described["Content-Description"] = _CONTROL.sub(" ", picture.alt)
    _settle_boundaries(message, prepared["message_id"])
    return message.as_bytes()


def as_html(text: str) -> str:
    """The same words as HTML: paragraphs, line breaks and links, nothing else."""
    paragraphs = re.split(r"\n{2,}", text)
    inner = "".join(f'<p dir="auto">{"<br>".join(map(_linked, one.split(chr(10))))}</p>' for one in paragraphs)
    return f'<!doctype html><html><head><meta charset="utf-8"></head><body>{inner}</body></html>\n'


def _linked(line: str) -> str:
    out, at = "", 0
    for link in _LINK.finditer(line):
        shown = html.escape(link[0])
        out += f'{html.escape(line[at : link.start()])}<a href="{shown}">{shown}</a>'
        at = link.end()
    return out + html.escape(line[at:])


def _shortened(ids: list[str]) -> list[str]:
    return ids if len(ids) <= _DEEPEST else [ids[0], *ids[1 - _DEEPEST :]]


def _settle_boundaries(message: EmailMessage, seed: str) -> None:
    """Boundaries that follow from the mail, so that a repeat is the same to the byte."""
    for number, part in enumerate(message.walk()):
        if part.is_multipart():
            part.set_boundary(f"=_{hashlib.sha256(f'{seed} {number}'.encode()).hexdigest()[:32]}")
