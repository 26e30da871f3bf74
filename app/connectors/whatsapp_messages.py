"""What deliveries of WhatsApp tell: messages, and what became of ours.

Rules: developers.facebook.com/documentation/business-messaging/whatsapp/webhooks/reference/messages and its pages for
each type of message, /support/error-codes.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from app.connectors.base import Fate, IncomingAuthor, IncomingPost, Json, Media, PostKind, Rejected, Visibility
from app.connectors.meta_graph import HOST, moment
from app.connectors.meta_hooks import unread
from app.i18n import N_

_FILES = {"image": "image", "sticker": "image", "video": "video", "audio": "audio", "document": "file"}
_SILENT = frozenset({"reaction", "system", "request_welcome", "ephemeral"})  # say nothing to be answered


def people(value: Json) -> dict[str, str]:
    """The names of who wrote, by number or id."""
    found: dict[str, str] = {}
    for one in _dicts(value.get("contacts")):
        profile = one.get("profile")
        name = str(profile.get("name") or "") if isinstance(profile, dict) else ""
        found |= {str(one[key]): name for key in ("wa_id", "user_id") if one.get(key)}
    return found


def read_message(raw: Any, us: str, names: dict[str, str], now: datetime) -> IncomingPost | Rejected | None:
    """A message of a customer; None for what is none (a reaction, a change of number)."""
    if isinstance(raw, dict) and raw.get("type") in _SILENT:
        return None
    at = moment(raw.get("timestamp")) if isinstance(raw, dict) else None
    name = raw.get("id") if isinstance(raw, dict) else None
    sender = str(raw.get("from") or raw.get("from_user_id") or "") if isinstance(raw, dict) else ""
    if not isinstance(name, str) or not name or at is None or not sender:
        return unread(raw, N_("A message without an id, a time or its sender."), [name])
    context = raw.get("context")
    parent = context.get("id") if isinstance(context, dict) else None
    said, media = _said(raw), tuple(_media(raw))
    return IncomingPost(
        external_id=name,
        thread_id=f"messages:{us}:{sender}",
        author=IncomingAuthor(sender, f"+{sender}" if sender.isdigit() else sender, names.get(sender, "")),
        text=said,
        posted_at=min(at, now),
        kind=PostKind.DIRECT,
        visibility=Visibility.DIRECT,
        in_reply_to=parent if isinstance(parent, str) else None,
        media=media,
        ref={"id": name, "to": sender, "at": at.isoformat()},
        payload=raw,
    )


def _said(raw: Json) -> str:
    """The words of a message of whatever type."""
    kind = str(raw.get("type") or "")
    inside = raw.get(kind)
    inside = inside if isinstance(inside, dict) else {}
    words = {"text": "body", "button": "text", **dict.fromkeys(_FILES, "caption")}
    if kind in words:
        return str(inside.get(words[kind]) or "")
    chosen = inside.get(str(inside.get("type")))
    said = {
        "interactive": [chosen.get("title")] if isinstance(chosen, dict) else [],
        "location": [inside.get("name"), inside.get("address")],
        "contacts": [_name(one) for one in _dicts(raw.get("contacts"))],
    }.get(kind)
    if said is None:
        return _wrong(raw) or f"[{kind}]"
    return "\n".join(str(one) for one in said if one)


def _name(contact: Json) -> Any:
    named = contact.get("name")
    return named.get("formatted_name") if isinstance(named, dict) else ""


def _wrong(raw: Json) -> str:
    """Why WhatsApp could not hand over a message (unsupported types)."""
    return next((words_of(one) for one in _dicts(raw.get("errors"))), "")


def _media(raw: Json) -> Iterator[Media]:
    """The file of a message; its bytes are fetched by `complete`, as its address is only ours to ask for."""
    kind = str(raw.get("type") or "")
    inside = raw.get(kind)
    if kind in _FILES and isinstance(inside, dict) and str(inside.get("id") or "").isdigit():
        yield Media(_FILES[kind], f"https://{HOST}/{inside['id']}", title=str(inside.get("filename") or ""))
    if kind == "location" and isinstance(inside, dict):
        place = f"{inside.get('latitude')},{inside.get('longitude')}"
        yield Media("link", f"https://www.openstreetmap.org/search?query={place}", title=place)


def read_status(raw: Any) -> Fate | None:
    """What became of a message of ours; None for what changes nothing (read)."""
    if not isinstance(raw, dict) or not isinstance(raw.get("id"), str):
        return None
    key = raw.get("biz_opaque_callback_data")
    key = key if isinstance(key, str) else ""
    if raw.get("status") == "failed":
        why = next((words_of(one) for one in _dicts(raw.get("errors"))), "")
        return Fate(raw["id"], key, N_("WhatsApp did not deliver it: %(why)s") % {"why": why})
    return Fate(raw["id"], key) if raw.get("status") in {"sent", "delivered"} else None


def words_of(error: Json) -> str:
    """An error's own words and its code."""
    details = error.get("error_data")
    said = details.get("details") if isinstance(details, dict) else None
    words = str(said or error.get("message") or error.get("title") or "")
    return f"{' '.join(words.split())[:300]} ({error.get('code')})"


def _dicts(value: Any) -> list[Json]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []
