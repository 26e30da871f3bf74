"""Deliveries of a forum's webhooks: posts as they are written, edited, deleted and recovered.

Rules: meta.discourse.org "Configure webhooks"; app/jobs/regular/emit_web_hook_event.rb (headers, HMAC over the body) and
app/serializers/web_hook_post_serializer.rb (what a post holds). One delivery tells of one post. It carries no time that
could be checked: a repeat is known by its digest, and changes nothing.
"""

import hashlib
import hmac
from collections.abc import Mapping

from pydantic import ValidationError

from app.connectors.answers import delivered
from app.connectors.base import Batch, Json, Link, PostChange
from app.connectors.discourse_api import Forum
from app.connectors.discourse_posts import Post, changed, name_of, read_post, rejected
from app.connectors.discourse_walk import fits
from app.errors import Malformed, Unauthorized
from app.i18n import N_

_MESSAGE = "private_message"


def received(link: Link, headers: Mapping[str, str], body: bytes) -> Batch:
    """What a delivery tells, as far as this feed wants it. Raises Unauthorized, Malformed."""
    given = {name.lower(): value for name, value in headers.items()}
    _require_signed(link, given.get("x-discourse-event-signature", ""), body)
    told = _read(body)
    name = f"sha256:{hashlib.sha256(body).hexdigest()}"
    event = given.get("x-discourse-event", "")
    if event == "topic_destroyed":
        return Batch(changes=_topic_gone(link, told.get("topic")), delivery_id=name)
    raw = told.get("post")
    if raw is None:
        return Batch(delivery_id=name)  # a ping, or of a kind that nobody asked for
    try:
        return _post(link, event, raw, name)
    except ValidationError as error:
        return Batch(rejected=(rejected(raw, error),), delivery_id=name)


def _post(link: Link, event: str, raw: Json, name: str) -> Batch:
    forum, settings = Forum(link), link.settings
    post = Post.model_validate(raw)
    place = name_of(forum, post.topic_id, post.post_number)
    if event == "post_destroyed" or post.gone:
        return Batch(changes=(PostChange(place, link.now, deleted=True),), delivery_id=name)
    if not post.topic_archetype:
        return Batch(delivery_id=name)  # nobody says whether it is public; the next poll knows
    direct = post.topic_archetype == _MESSAGE
    if event in {"post_edited", "post_recovered"}:
        if direct:
            return Batch(delivery_id=name)  # it may be between others: those of ours are looked at again
        again = post.model_copy(update={"updated_at": link.now}) if event == "post_recovered" else post
        return Batch(changes=(changed(again, forum, place),), delivery_id=name)
    taken = read_post(raw, forum, link.account, direct=direct) if event in {"", "post_created"} else None
    wanted = taken is not None and direct == settings.is_direct and not settings.waits and fits(settings, taken)
    return Batch(posts=(taken,) if taken is not None and wanted else (), delivery_id=name)


def _topic_gone(link: Link, raw: object) -> tuple[PostChange, ...]:
    number = raw.get("id") if isinstance(raw, dict) else None
    if not isinstance(number, int):
        return ()
    return (PostChange(name_of(Forum(link), number, 1), link.now, deleted=True),)


def _require_signed(link: Link, signature: str, body: bytes) -> None:
    secret = link.credentials.webhook_secret.get_secret_value()
    if not secret:
        raise Unauthorized(N_("The account has no webhook secret, so deliveries cannot be trusted. Enter one."))
    expected = "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    if not hmac.compare_digest(signature.encode("utf-8", "surrogatepass"), expected.encode()):
        raise Unauthorized(
            N_("The delivery's signature does not fit. The forum's webhook and the account must hold the same words.")
        )


def _read(body: bytes) -> Json:
    told = delivered(body)
    if not isinstance(told, dict):
        raise Malformed(N_("The delivery is no event of Discourse's."))
    return told
