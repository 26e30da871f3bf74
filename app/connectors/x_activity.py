"""What X pushes: the Account Activity API's deliveries, and the proof that the address is ours (CRC).

Rules: docs.x.com, "Account Activity API", "Account activity data objects" (posts and messages in the form of API v1.1),
"Securing webhooks". The signature names no time: a delivery whose newest event is old is refused, polls bring those.
"""

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

from pydantic import ValidationError

from app.connectors.answers import delivered
from app.connectors.base import Batch, IncomingAuthor, IncomingPost, Json, Link, PostChange, Rejected
from app.connectors.paging import oldest_first
from app.connectors.x_posts import Included, read_message, read_post, rejected
from app.errors import Malformed, Refused, Unauthorized
from app.i18n import N_

SIGNATURE = "x-twitter-webhooks-signature"
OLDEST = timedelta(hours=1)


def answer_of(secret: str, query: Mapping[str, str]) -> str:
    """The answer to a challenge-response check: a JSON object. Raises Refused."""
    token = query.get("crc_token")
    if not token or not secret:
        raise Refused(N_("Enter the app's API key secret at the account: X checks this address with it."))
    return json.dumps({"response_token": _signed(secret, token.encode())})


def received(link: Link, headers: Mapping[str, str], body: bytes) -> Batch:
    """One delivery, verified. Raises Unauthorized, Malformed."""
    _verify(link.credentials.consumer_secret.get_secret_value(), headers, body)
    told = _read(body)
    me = link.account
    if me is not None and str(told.get("for_user_id", me.external_id)) != me.external_id:
        return Batch(delivery_id=_name(body))  # of another account of the same app
    posts: dict[str, IncomingPost] = {}
    refused: list[Rejected] = []
    for raw, is_message in _events(told, link.settings.source.value):
        try:
            post = _post(raw, told, me, message=is_message)
        except (ValidationError, ValueError, KeyError, TypeError, AttributeError) as error:
            refused.append(_rejected(raw, error))
            continue
        if (link.settings.include_reposts or not post.repost) and (link.settings.include_own or not post.own):
            posts.setdefault(post.external_id, post)
    if posts and all(post.posted_at < link.now - OLDEST for post in posts.values()):
        raise Unauthorized(N_("The delivery is more than an hour old. It is a repeat, or a clock is wrong."))
    changes = tuple(_deletions(told, link.now))
    return Batch(oldest_first(posts.values()), rejected=tuple(refused), delivery_id=_name(body), changes=changes)


def _verify(secret: str, headers: Mapping[str, str], body: bytes) -> None:
    given = next((value for name, value in headers.items() if name.lower() == SIGNATURE), "")
    if not secret or not hmac.compare_digest(_signed(secret, body).encode(), given.encode("utf-8", "replace")):
        raise Unauthorized(N_("The delivery's signature does not fit. Check the app's keys at the account."))


def _signed(secret: str, content: bytes) -> str:
    return "sha256=" + base64.b64encode(hmac.digest(secret.encode(), content, hashlib.sha256)).decode()


def _name(body: bytes) -> str:
    """Deliveries have no id of their own: a repeat has the same bytes."""
    return f"sha256:{hashlib.sha256(body).hexdigest()}"


def _read(body: bytes) -> Json:
    told = delivered(body)
    if not isinstance(told, dict):
        raise Malformed(N_("The delivery is not an object, as X promises."))
    return told


def _events(told: Json, source: str) -> list[tuple[Any, bool]]:
    """What this feed takes of a delivery: messages, or posts that name or answer us."""
    kind = "direct_message_events" if source == "messages" else "tweet_create_events"
    found = told.get(kind)
    return [(one, source == "messages") for one in found] if isinstance(found, list) else []


def _post(raw: Any, told: Json, me: IncomingAuthor | None, *, message: bool) -> IncomingPost:
    if message:
        return read_message(_message_v2(raw), Included(_users_of(told)), me)
    included: Json = {"users": [], "media": [], "tweets": []}
    post = _post_v2(raw, included)
    return read_post(post, Included({"includes": included}), me)


def _message_v2(raw: Json) -> Json:
    """A message as API v2 tells it. A conversation of two is named by both ids, the lower first."""
    made = raw["message_create"]
    data = made["message_data"]
    pair = sorted((str(made["sender_id"]), str(made["target"]["recipient_id"])), key=int)
    at = datetime.fromtimestamp(int(raw["created_timestamp"]) / 1000, UTC)
    return {
        "id": str(raw["id"]),
        "event_type": "MessageCreate",
        "dm_conversation_id": "-".join(pair),
        "sender_id": str(made["sender_id"]),
        "created_at": at.isoformat(),
        "text": data.get("text", ""),
        "entities": data.get("entities") or {},
    }


def _users_of(told: Json) -> Json:
    users = told.get("users")
    found = users.values() if isinstance(users, dict) else ()
    return {"includes": {"users": [_user_v2(one) for one in found if isinstance(one, dict)]}}


def _user_v2(raw: Json) -> Json:
    return {
        "id": str(raw.get("id_str") or raw.get("id")),
        "username": raw.get("screen_name"),
        "name": raw.get("name"),
        "profile_image_url": raw.get("profile_image_url_https"),
        "public_metrics": {"followers_count": raw.get("followers_count")},
    }


def _post_v2(raw: Json, included: Json) -> Json:
    """A post as API v2 tells it; who wrote it, its pictures and what it passes on go to `included`."""
    whole = raw.get("extended_tweet") or {}
    entities = whole.get("entities") or raw.get("entities") or {}
    media = (whole.get("extended_entities") or raw.get("extended_entities") or {}).get("media") or []
    included["users"].append(_user_v2(raw["user"]))
    included["media"] += [_medium_v2(one) for one in media]
    refers = []
    if raw.get("in_reply_to_status_id_str"):
        refers.append({"type": "replied_to", "id": raw["in_reply_to_status_id_str"]})
    if raw.get("retweeted_status"):
        inner = _post_v2(raw["retweeted_status"], included)
        included["tweets"].append(inner)
        refers.append({"type": "retweeted", "id": inner["id"]})
    urls = [*entities.get("urls", []), *({**one, "media_key": one.get("id_str")} for one in media)]
    return {
        "id": raw["id_str"],
        "author_id": raw["user"]["id_str"],
        "created_at": parsedate_to_datetime(raw["created_at"]).isoformat(),
        "text": whole.get("full_text") or raw.get("full_text") or raw["text"],
        "conversation_id": raw.get("in_reply_to_status_id_str") or raw["id_str"],
        "lang": raw.get("lang"),
        "in_reply_to_user_id": raw.get("in_reply_to_user_id_str"),
        "referenced_tweets": refers,
        "entities": {
            "urls": urls,
            "mentions": [{"id": one.get("id_str")} for one in entities.get("user_mentions", [])],
        },
        "attachments": {"media_keys": [one.get("id_str") for one in media]},
    }


def _medium_v2(raw: Json) -> Json:
    variants = [{**one, "bit_rate": one.get("bitrate")} for one in (raw.get("video_info") or {}).get("variants", [])]
    return {
        "media_key": raw.get("id_str"),
        "type": raw.get("type"),
        "url": raw.get("media_url_https"),
        "preview_image_url": raw.get("media_url_https"),
        "alt_text": raw.get("ext_alt_text"),
        "variants": variants,
    }


def _deletions(told: Json, now: datetime) -> list[PostChange]:
    found = told.get("tweet_delete_events")
    names = [one["status"]["id"] for one in found if isinstance(one, dict) and isinstance(one.get("status"), dict)
             and "id" in one["status"]] if isinstance(found, list) else []  # fmt: skip
    return [PostChange(str(name), now, deleted=True) for name in names]


def _rejected(raw: Any, error: Exception) -> Rejected:
    if isinstance(error, ValidationError):
        return rejected(raw, error)
    kept = raw if isinstance(raw, dict) else {"value": raw}
    name = kept.get("id_str") or kept.get("id") or hashlib.sha256(json.dumps(kept, sort_keys=True).encode()).hexdigest()
    return Rejected(
        str(name), N_("X delivered something that cannot be read: %(error)s.") % {"error": repr(error)}, kept
    )
