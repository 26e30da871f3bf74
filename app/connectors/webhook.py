"""Webhook: anything that can POST JSON brings posts, and can take our replies. Signed both ways, replay-safe.

Signatures follow Standard Webhooks (`app.connectors.signing`); the schema is `app.connectors.webhook_schema`.
"""

import base64
import hashlib
import json
from collections.abc import Mapping
from datetime import UTC
from typing import Annotated, Any, ClassVar

import httpx
from pydantic import AfterValidator, Field, SecretStr, field_validator

from app.connectors.base import (
    Batch,
    Capabilities,
    Check,
    Connector,
    IncomingPost,
    Json,
    Link,
    OutgoingReply,
    Picture,
    Pictures,
    PostChange,
    Rejected,
    Sent,
    SettingsModel,
    Standing,
    Visibility,
)
from app.connectors.signing import key_of, new_secret, sign, verified_id
from app.connectors.text import storable_json
from app.connectors.webhook_schema import MOST, is_web_address, read_entry
from app.connectors.wire import is_web, reaching, read_bounded, refusal
from app.errors import Malformed, Refused
from app.i18n import N_

_LARGEST_ANSWER = 1_000_000  # bytes
_PICTURES = Pictures(most=4, bytes=2_000_000, pixels=8_000_000, alt=2000)


class WebhookSettings(SettingsModel):
    """Which system delivers here."""

    source: str = Field(
        title=N_("Name of the sending system"),
        description=N_("A short name. Ids are unique within it, and two feeds with the same name share them."),
        pattern=r"^[a-z0-9][a-z0-9-]{0,39}$",
        examples=["shop-reviews"],
    )


class WebhookCredentials(SettingsModel):
    """What both sides know, and where replies go."""

    secret: SecretStr = Field(
        default_factory=lambda: SecretStr(new_secret()),
        title=N_("Signing secret"),
        description=N_("whsec_ followed by base64. Left empty, a new one is made."),
    )
    old_secret: SecretStr = Field(
        default=SecretStr(""),
        title=N_("Previous signing secret"),
        description=N_("Still accepted while the sending system changes over. Empty it afterwards."),
    )
    reply_url: Annotated[str, AfterValidator(lambda url: is_web_address(url) if url else url)] = Field(
        default="",
        title=N_("Address for replies"),
        description=N_("Replies are posted there, signed with the same secret. Empty: replies are not possible."),
        json_schema_extra={"format": "url"},
        examples=["https://shop.example.com/careline/replies"],
    )

    @field_validator("secret")
    @classmethod
    def _made_when_empty(cls, secret: SecretStr) -> SecretStr:
        secret = secret if secret.get_secret_value() else SecretStr(new_secret())
        key_of(secret.get_secret_value())
        return secret

    @field_validator("old_secret")
    @classmethod
    def _sound(cls, secret: SecretStr) -> SecretStr:
        if secret.get_secret_value():
            key_of(secret.get_secret_value())
        return secret

    @property
    def accepted(self) -> list[str]:
        """The secrets that a delivery may be signed with."""
        both = (self.secret.get_secret_value(), self.old_secret.get_secret_value())
        return [secret for secret in both if secret]


class WebhookConnector(Connector):
    """Takes deliveries; there is nothing to fetch. Repeats of a reply carry one event id, which receivers drop."""

    name: ClassVar[str] = "webhook"
    title: ClassVar[str] = N_("Webhook")
    help: ClassVar[str] = N_(
        "Takes posts from any program that can send JSON over HTTP: a shop, an app, a form, a script. Give the program "
        "this feed's address and signing secret. With an address for replies it is told our answers as well."
    )
    capabilities: ClassVar[Capabilities] = Capabilities(
        reply=True,
        direct=True,
        edit=True,
        delete=True,
        threads=True,
        push=True,
        idempotent=True,
        visibilities=(Visibility.PUBLIC, Visibility.DIRECT),
        pictures=_PICTURES,
    )
    Settings: ClassVar[type[SettingsModel]] = WebhookSettings
    Credentials: ClassVar[type[SettingsModel] | None] = WebhookCredentials

    async def check(self, link: Link) -> Check:
        """Say how deliveries are to be signed. There is nobody to ask: the other side calls us."""
        notices = () if link.credentials.reply_url else (N_("No address for replies is set: posts can only be read."),)
        return Check(message=N_("Ready. Posts appear when the first signed delivery arrives."), notices=notices)

    def receive(self, link: Link, headers: Mapping[str, str], body: bytes) -> Batch:
        """Verify one delivery and read its posts; each that cannot be read is set aside with its reasons."""
        delivery_id = verified_id(link.credentials.accepted, headers, body, link.now)
        posts: dict[str, IncomingPost] = {}
        changes: list[PostChange] = []
        rejected: list[Rejected] = []
        for entry in _entries(body):
            read = read_entry(entry, link.settings.source, link.now)
            if isinstance(read, Rejected):
                rejected.append(read)
            elif isinstance(read, PostChange):
                changes.append(read)
            else:
                posts.setdefault(read.external_id, read)
        ordered = sorted(posts.values(), key=lambda post: post.posted_at)
        return Batch(tuple(ordered), rejected=tuple(rejected), delivery_id=delivery_id, changes=tuple(changes))

    def prepare(self, link: Link, reply: OutgoingReply) -> Json:
        """The body that is posted, byte for byte the same at every try."""
        data = {
            "id": reply.key,
            "in_reply_to": reply.to.get("id"),
            "thread": reply.to.get("thread"),
            "text": reply.text,
            "visibility": reply.visibility.value,
        }
        if reply.to.get("visibility") == Visibility.DIRECT.value:
            data["visibility"] = Visibility.DIRECT.value
        if reply.after:
            data["after"] = reply.after["id"]
        if reply.pictures:
            data["media"] = [_described(picture) for picture in reply.pictures]
        event = {"type": "reply.created", "timestamp": reply.created_at.astimezone(UTC).isoformat(), "data": data}
        return {"body": _written(event)}

    async def send(self, link: Link, reply: OutgoingReply) -> Sent:
        """Post the frozen body under the reply's key as event id; the receiver drops repeats by it."""
        body = _with_content((reply.prepared or self.prepare(link, reply))["body"], reply.pictures)
        return _sent(link, reply, await _tell(link, reply.key, body))

    async def edit(self, link: Link, reply: Standing, text: str) -> None:
        """Tell what the reply says from now on, under the change's key as event id."""
        await _tell(link, reply.key, _change("reply.edited", reply, text=text))

    async def delete(self, link: Link, reply: Standing) -> None:
        """Tell that the reply is to be deleted, under the change's key as event id."""
        await _tell(link, reply.key, _change("reply.deleted", reply))


async def _tell(link: Link, event_id: str, body: str) -> bytes:
    """Post an event to the address for replies, signed. Returns the answer; raises ConnectorError."""
    url = link.credentials.reply_url
    if not url:
        raise Refused(N_("This webhook has no address for replies. Set one at its account, or answer elsewhere."))
    content, secret = body.encode(), link.credentials.secret.get_secret_value()
    headers = {"content-type": "application/json", **sign(secret, event_id, link.now, content)}
    with reaching(url, sending=True):
        async with link.http.stream("POST", url, content=content, headers=headers, follow_redirects=False) as response:
            _judge(response, url, link)
            answer = await read_bounded(response, _LARGEST_ANSWER, url)
    if "html" in response.headers.get("content-type", "").lower():
        raise Malformed(N_("The address for replies answered with a web page; it may not have taken the reply."))
    return answer


def _written(event: Json) -> str:
    return json.dumps(event, ensure_ascii=False, sort_keys=True)


def _change(kind: str, reply: Standing, **more: str) -> str:
    """What becomes of a reply, byte for byte the same at every try."""
    data = {"id": reply.reply_key, "in_reply_to": reply.to.get("id"), "thread": reply.to.get("thread"), **more}
    return _written({"type": kind, "timestamp": reply.asked_at.astimezone(UTC).isoformat(), "data": data})


def _described(picture: Picture) -> Json:
    digest = hashlib.sha256(picture.content).hexdigest()
    size = {"width": picture.width, "height": picture.height, "size": len(picture.content)}
    return {"type": picture.kind, "alt": picture.alt, "sha256": digest, **size}


def _with_content(body: str, pictures: tuple[Picture, ...]) -> str:
    """The frozen body with each picture's bytes in it: they are frozen elsewhere, so it is the same at every try."""
    if not pictures:
        return body
    event = json.loads(body)
    for told, picture in zip(event["data"]["media"], pictures, strict=True):
        told["content"] = base64.b64encode(picture.content).decode()
    return _written(event)


def _entries(body: bytes) -> list[Any]:
    """One post, or up to `MOST` under `posts`. Raises Malformed for anything else."""
    try:
        content = storable_json(json.loads(body))
    except (ValueError, RecursionError) as error:
        raise Malformed(N_("The delivery's body is not JSON.")) from error
    entries = content.get("posts", [content]) if isinstance(content, dict) else None
    if not isinstance(entries, list):
        raise Malformed(N_('The delivery is neither a post (an object) nor {"posts": [...]}.'))
    if len(entries) > MOST:
        raise Malformed(
            N_("The delivery brings %(n)s posts; at most %(most)s are taken at once. Split it.")
            % {"n": len(entries), "most": MOST}
        )
    return entries


def _judge(response: httpx.Response, url: str, link: Link) -> None:
    if response.is_redirect:
        raise Refused(
            N_("%(url)s redirects elsewhere, and a signed reply is not passed on. Set the final address.")
            % {"url": url}
        )
    error = refusal(response, url, link.now)
    if error is not None:
        raise error


def _sent(link: Link, reply: OutgoingReply, answer: bytes) -> Sent:
    """Where the reply stands: the receiver may say so by {"id": ..., "url": ...}, an empty answer will do."""
    try:
        said = storable_json(json.loads(answer)) if answer.strip() else {}
    except (ValueError, RecursionError):
        said = {}  # "ok" and the like: the status says enough
    said = said if isinstance(said, dict) else {}
    name, url = said.get("id"), said.get("url")
    source = link.settings.source
    return Sent(
        external_id=f"{source}:{name}" if isinstance(name, str | int) and name != "" else f"{source}:reply:{reply.key}",
        url=url if isinstance(url, str) and is_web(url) else None,
        posted_at=link.now,
        ref={"id": reply.key},
    )
