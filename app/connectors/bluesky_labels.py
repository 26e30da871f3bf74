"""What moderation services, and authors themselves, say of posts and accounts on Bluesky.

Sources: the lexicon `com.atproto.label.defs` (label, selfLabels, labelValue) and docs.bsky.app, "Labels and moderation".
A value that is not defined for all is the word of one service and shown as it stands.
"""

from collections.abc import Iterator
from datetime import datetime

from app.connectors.base import Json, Label
from app.connectors.bluesky_json import as_dict, as_list, parse_time
from app.connectors.text import storable
from app.i18n import _

_MOST = 20
_UNSAID = frozenset({"!no-unauthenticated"})  # who is signed in sees the post
_VEILS = frozenset({"!hide", "!warn", "porn", "sexual", "nudity", "graphic-media", "gore"})


def labels_of(view: Json, now: datetime) -> Json:
    """The labels of a post view as its `ref` keeps them: of the post, by its author, of its author. Empty without any."""
    author = as_dict(view.get("author"))
    did, told = author.get("did"), [as_dict(one) for one in as_list(view.get("labels"))]
    own = as_list(as_dict(as_dict(view.get("record")).get("labels")).get("values"))
    found = {
        "post": _values((one for one in told if one.get("src") != did), now),
        "self": _values((*(one for one in told if one.get("src") == did), *map(as_dict, own)), now),
        "author": _values((as_dict(one) for one in as_list(author.get("labels"))), now),
    }
    kept = {where: values for where, values in found.items() if values}
    return {"labels": kept} if kept else {}


def _values(labels: Iterator[Json] | tuple[Json, ...], now: datetime) -> list[str]:
    """What stands: neither taken back nor over."""
    values = dict[str, None]()
    for label in labels:
        value, ends = label.get("val"), parse_time(label.get("exp"))
        stands = label.get("neg") is not True and (ends is None or ends > now)
        if isinstance(value, str) and value and value not in _UNSAID and stands:
            values[storable(value[:128])] = None
    return list(values)[:_MOST]


def labels_in(ref: Json) -> tuple[Label, ...]:
    """The labels of a `ref`, in the reader's words."""
    kept = as_dict(ref.get("labels"))
    told = [Label(_words(value), veils=value in _VEILS) for value in as_list(kept.get("post"))]
    told += [
        Label(_("the author: %(label)s") % {"label": _words(value)}, veils=value in _VEILS)
        for value in as_list(kept.get("self"))
    ]
    told += [
        Label(_("of the account: %(label)s") % {"label": _words(value)}, veils=value in _VEILS)
        for value in as_list(kept.get("author"))
    ]
    return tuple(told)


def _words(value: str) -> str:
    return {
        "!hide": _("hidden by moderation"),
        "!warn": _("moderation warns"),
        "porn": _("adult content"),
        "sexual": _("suggestive"),
        "nudity": _("nudity"),
        "graphic-media": _("disturbing pictures"),
        "spam": _("spam"),
        "impersonation": _("impersonation"),
        "bot": _("automated"),
    }.get(value, value)
