"""WhatsApp, by Meta's Cloud API: messages and files by deliveries; messages, a picture and templates out.

Rules: developers.facebook.com/documentation/business-messaging/whatsapp (messages, templates, media, "customer service
window", webhooks, error codes).
"""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

from pydantic import Field, SecretStr

from app.connectors.base import (
    Batch,
    Capabilities,
    Check,
    IncomingAuthor,
    IncomingPost,
    Json,
    Link,
    Media,
    OutgoingReply,
    Pictures,
    Sent,
    SettingsModel,
    Visibility,
    Window,
)
from app.connectors.guide import Paste, Places, Step
from app.connectors.length import refuse_long
from app.connectors.meta_app import AppConnector, AppSecret, VerifyToken, Version
from app.connectors.meta_graph import VERSION, Graph, moment
from app.connectors.meta_hooks import Told, changes, entries
from app.connectors.whatsapp_messages import people, read_message, read_status
from app.connectors.whatsapp_templates import approved, as_sent
from app.connectors.wire import refuse_late, uploading
from app.errors import Malformed, Refused, Unauthorized
from app.i18n import N_

_LONGEST, _LONGEST_CAPTION = 4096, 1024  # characters
_ANSWER_TIME = timedelta(hours=24)
_LARGEST_FILE = 8_000_000  # bytes of a customer's file that are kept
_TEMPLATES_EVERY = timedelta(minutes=15)
_PICTURES = Pictures(most=1, bytes=5_000_000, pixels=16_000_000, alt=0)  # WhatsApp knows no descriptions
_LATE = N_("WhatsApp takes answers in your own words for 24 hours after the customer wrote. Until they write again, choose a template.")  # fmt: skip


class WhatsAppCredentials(SettingsModel):
    """Our number, and the app that speaks for it."""

    client_id: str = Field(title=N_("App id"), description=N_("In the app's dashboard under App settings, Basic."), max_length=100)  # fmt: skip
    client_secret: AppSecret
    system_token: SecretStr = Field(
        title=N_("Access token of a system user"),
        description=N_("Business settings, Users, System users; with whatsapp_business_messaging and whatsapp_business_management."),
        min_length=1,
        max_length=1000,
    )  # fmt: skip
    number: str = Field(
        title=N_("Phone number id"), description=N_("In the app under WhatsApp, API setup. Not the number itself."), pattern=r"^\d{5,30}$"
    )  # fmt: skip
    business: str = Field(title=N_("WhatsApp business account id"), description=N_("Stands beside it."), pattern=r"^\d{5,30}$")  # fmt: skip
    verify_token: VerifyToken = SecretStr("")
    version: Version = VERSION


class WhatsAppConnector(AppConnector):
    """A number of the Cloud API. Messages come by deliveries alone; polls keep the templates, and notice a dead token."""

    name: ClassVar[str] = "whatsapp"
    title: ClassVar[str] = "WhatsApp"
    help: ClassVar[str] = N_(
        "Brings messages to a business number of WhatsApp's Cloud API, and answers them: in your own words for 24 hours, "
        "later by the templates that Meta has approved. Needs an app of your company at developers.facebook.com."
    )
    capabilities: ClassVar[Capabilities] = Capabilities(
        reply=True,
        direct=True,
        hooks=True,
        templates=True,
        visibilities=(Visibility.DIRECT,),
        length_limit=_LONGEST,
        pictures=_PICTURES,
    )
    Credentials: ClassVar[type[SettingsModel] | None] = WhatsAppCredentials

    def guide(self, places: Places) -> tuple[Step, ...]:
        """The app, the number, its deliveries."""
        return (
            Step(
                N_("Create an app"),
                N_("Of the type Business, with the product WhatsApp, and add your number under API setup."),
                "https://developers.facebook.com/apps/creation/",
            ),
            Step(
                N_("Make a system user"),
                N_("In the business settings; give it the app and the WhatsApp account, and generate a token that does not end."),
                "https://business.facebook.com/settings/system-users",
            ),
            Step(
                N_("Have deliveries sent"),
                N_("Under WhatsApp, Configuration, paste the address with your verify token, and subscribe to messages."),
                paste=(Paste(N_("Callback URL"), places.hook),) if places.hook else (),
            ),
        )  # fmt: skip

    async def who(self, link: Link) -> IncomingAuthor | None:
        """The number."""
        return await _number(link, _graph(link))

    async def check(self, link: Link) -> Check:
        """Say which number it is, and how many templates can be used. There is no message to show: they are pushed."""
        graph = _graph(link)
        us = await _number(link, graph)
        templates, others = await approved(graph, link.credentials.business)
        notices = [N_("%(n)s templates can be used.") % {"n": len(templates)}]
        if others:
            notices.append(
                N_("%(n)s more templates need a picture or a button, and cannot be used here.") % {"n": others}
            )
        return Check(N_("Connected as %(number)s.") % {"number": us.handle}, us, None, tuple(notices))

    async def fetch(self, link: Link, cursor: Json) -> Batch:
        """Bring the templates, four times an hour; a first time has deliveries sent as well."""
        read_at = moment(cursor.get("read_at")) if cursor.get("read_at") else None
        if read_at is not None and link.now < read_at + _TEMPLATES_EVERY:
            return Batch(cursor=dict(cursor))
        graph, notice = _graph(link), ""
        if link.hook and not cursor:
            try:
                await graph.post(f"{link.credentials.business}/subscribed_apps", {})
            except (Refused, Unauthorized) as error:
                notice = error.message
        templates, _others = await approved(graph, link.credentials.business)
        kept = {"read_at": link.now.isoformat()}
        return Batch(cursor=kept, templates=templates, budget=graph.budget, notice=notice)

    def receive(self, link: Link, headers: Mapping[str, str], body: bytes) -> Batch:
        """Read the messages to this number, and what became of ours."""
        listed, name = entries(link, headers, body, "whatsapp_business_account")
        us, seen, fates = link.credentials.number, Told(), []
        for entry in listed:
            for field, value in changes(entry):
                about = value.get("metadata")
                if field != "messages" or not isinstance(about, dict) or str(about.get("phone_number_id")) != us:
                    continue
                names = people(value)
                for raw in _list(value.get("messages")):
                    seen.add(read_message(raw, us, names, link.now))
                fates += [fate for fate in map(read_status, _list(value.get("statuses"))) if fate is not None]
        return seen.batch(delivery_id=name, fates=tuple(fates))

    async def complete(self, link: Link, batch: Batch) -> Batch:
        """The customers' files: WhatsApp gives them to nobody but us, and not for long."""
        graph = _graph(link)
        posts = [await _with_files(link, graph, post) for post in batch.posts]
        return replace(batch, posts=tuple(posts))

    def window(self, settings: Any, to: Json, visibility: Visibility, now: datetime) -> Window | None:
        """The customer service window: 24 hours from the customer's newest message."""
        opened = moment(to.get("at")) or datetime(1970, 1, 1, tzinfo=UTC)
        return Window(opened + _ANSWER_TIME, _LATE, opened)

    def prepare(self, link: Link, reply: OutgoingReply) -> Json:
        """The message. Raises Refused when it is too long, or comes too late for one without a template."""
        message = {"messaging_product": "whatsapp", "recipient_type": "individual", "to": reply.to["to"], "biz_opaque_callback_data": reply.key}  # fmt: skip
        if reply.template is not None:
            return {"body": {**message, "type": "template", "template": as_sent(reply.template)}}
        refuse_late(self.window(None, reply.to, reply.visibility, link.now), link.now)
        refuse_long(len(reply.text), _LONGEST_CAPTION if reply.pictures else _LONGEST)
        if reply.pictures:
            return {"body": {**message, "type": "image", "image": {"caption": reply.text}}}
        return {"body": {**message, "type": "text", "text": {"body": reply.text, "preview_url": False}}}

    async def send(self, link: Link, reply: OutgoingReply) -> Sent:
        """Send once; what became of it is told by deliveries, under our key."""
        graph, number = _graph(link), link.credentials.number
        body = reply.prepared["body"]
        for picture in reply.pictures:
            with uploading():
                name = f"picture.{'png' if picture.kind == 'image/png' else 'jpg'}"
                files = {"file": (name, picture.content, picture.kind)}
                brought = await graph.post(f"{number}/media", {"messaging_product": "whatsapp"}, files=files)
                if not brought.get("id"):
                    raise Malformed(N_("WhatsApp took the picture but did not say under which id."))
            body = {**body, "image": {**body["image"], "id": str(brought["id"])}}
        answer = await graph.post(f"{number}/messages", body)
        sent = next((one for one in _list(answer.get("messages")) if isinstance(one, dict) and one.get("id")), None)
        if sent is None:
            raise Malformed(N_("Meta took the message but did not say where it stands."))
        return Sent(str(sent["id"]), None, link.now, {"id": str(sent["id"])}, graph.budget)


def _graph(link: Link) -> Graph:
    return Graph(link, link.credentials.system_token.get_secret_value())


async def _number(link: Link, graph: Graph) -> IncomingAuthor:
    told = await graph.get(link.credentials.number, fields="id,display_phone_number,verified_name,quality_rating")
    shown = str(told.get("display_phone_number") or link.credentials.number)
    return IncomingAuthor(link.credentials.number, shown, str(told.get("verified_name") or ""))


async def _with_files(link: Link, graph: Graph, post: IncomingPost) -> IncomingPost:
    """The message with the bytes of its file; one that WhatsApp does not give stays a name."""
    kept: list[Media] = []
    for media in post.media:
        content = None
        if media.kind != "link":
            with suppress(Refused, Unauthorized):
                content = await graph.file(media.url.rpartition("/")[2], link.credentials.number, _LARGEST_FILE)
        kept.append(replace(media, content=content))
    return replace(post, media=tuple(kept))


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
