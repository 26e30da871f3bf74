"""Feedback form: a page of our own where anybody can write; answered by mail, through a mail account.

The page is `app.web.form`. Nothing proves that the address somebody types is theirs, so what goes there holds no word
of theirs: the subject is ours, and nothing is quoted.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, ClassVar
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field

from app.connectors.base import (
    Capabilities,
    Check,
    Connector,
    IncomingAuthor,
    IncomingPost,
    Json,
    Link,
    OutgoingReply,
    Pictures,
    PostKind,
    Sent,
    SettingsModel,
    Visibility,
)
from app.connectors.mail_account import MailCredentials, submitting
from app.connectors.mail_smtp import hand_over
from app.connectors.mail_write import prepare, written
from app.errors import Refused
from app.i18n import N_, _

_PICTURES = Pictures(most=8, bytes=4_000_000, pixels=16_000_000, alt=1000)


def _origin(value: str) -> str:
    """`https://www.example.com`: what `frame-ancestors` takes."""
    parts = urlsplit(value.strip().rstrip("/"))
    host = parts.netloc
    if parts.scheme not in {"https", "http"} or not host or parts.path or any(c in host for c in " ;,'\"@*"):
        message = _("Give the beginning of an address, like https://www.example.com.")
        raise ValueError(message)
    return f"{parts.scheme}://{host}".lower()


def _web_page(value: str) -> str:
    if value and urlsplit(value).scheme not in {"https", "http"}:
        message = _("The address starts with https:// or http://.")
        raise ValueError(message)
    return value


class FormSettings(SettingsModel):
    """What stands on the page."""

    title: str = Field(title=N_("Heading"), max_length=120, min_length=1, examples=["Write to Northwind"])
    intro: str = Field(default="", title=N_("Words above the form"), max_length=2000)
    address_required: bool = Field(
        default=True, title=N_("Ask for an e-mail address"), description=N_("Off: who gives none cannot be answered.")
    )
    consent: str = Field(
        default="",
        title=N_("Words to agree to"),
        description=N_("A box that has to be ticked stands before them. Empty: no box."),
        max_length=1000,
    )
    privacy: Annotated[str, AfterValidator(_web_page)] = Field(
        default="", title=N_("Address of your privacy page"), json_schema_extra={"format": "url"}, max_length=500
    )
    receipt: bool = Field(
        default=True,
        title=N_("Send a receipt"),
        description=N_("To the address that was given, in fixed words with the reference. Needs a mail account."),
    )
    sites: list[Annotated[str, AfterValidator(_origin)]] = Field(
        default=[],
        title=N_("Sites that may show the form"),
        description=N_("One on each line, like https://www.example.com. None: it cannot be embedded."),
    )


@dataclass(frozen=True, slots=True)
class Submission:
    """What somebody filled in. `consent` are the words that they agreed to."""

    reference: str
    text: str
    subject: str
    name: str
    address: str
    consent: str
    at: datetime


def post_of(given: Submission, title: str) -> IncomingPost:
    """The post that a submission is."""
    who = given.address or f"anonymous:{given.reference}"
    return IncomingPost(
        external_id=f"form:{given.reference}",
        thread_id=f"form:{given.reference}",
        author=IncomingAuthor(who, given.address or N_("no address given"), given.name),
        text=given.text,
        posted_at=given.at,
        kind=PostKind.DIRECT,
        visibility=Visibility.DIRECT,
        title=given.subject,
        ref={
            "to": given.address,
            "people": [given.address] if given.address else [],
            "subject": f"{title} [{given.reference}]",
        },
        payload={"reference": given.reference, "name": given.name, "address": given.address, "consent": given.consent},
    )


class FormConnector(Connector):
    """What people write on our page comes in; replies go out as mails."""

    name: ClassVar[str] = "form"
    title: ClassVar[str] = N_("Feedback form")
    help: ClassVar[str] = N_(
        "A page where anybody can write to you, to link to or to show in a frame of your site. Answers go by mail to the "
        "address that was given, through a mail account; without one there is no answering."
    )
    capabilities: ClassVar[Capabilities] = Capabilities(
        reply=True,
        direct=True,
        push=True,
        typed=True,
        threads=True,
        idempotent=True,  # by the mail's Message-ID
        visibilities=(Visibility.DIRECT,),
        pictures=_PICTURES,
    )
    Settings: ClassVar[type[SettingsModel]] = FormSettings
    Credentials: ClassVar[type[SettingsModel] | None] = MailCredentials
    accounts_of: ClassVar[str] = "email"
    account_needed: ClassVar[bool] = False

    async def check(self, link: Link) -> Check:
        """Sign in to the submission server, where there is an account."""
        if link.credentials is None:
            return Check(N_("The form is ready."), notices=(N_("It has no mail account, so nobody can be answered."),))
        async with submitting(link):
            return Check(N_("Answers go out as %(address)s.") % {"address": link.credentials.address})

    def prepare(self, link: Link, reply: OutgoingReply) -> Json:
        """The mail but for its pictures. Raises Refused: nobody to answer, no account to answer with."""
        if link.credentials is None:
            raise Refused(N_("The form has no mail account, so nobody can be answered. Choose one on its feed's page."))
        _outbox = link.credentials.outbox
        return prepare(reply, link.credentials.address, link.credentials.name)

    async def send(self, link: Link, reply: OutgoingReply) -> Sent:
        """Hand the mail over; a repeat is the same mail under the same Message-ID."""
        mail = reply.prepared
        async with submitting(link) as client:
            await hand_over(client, link.credentials.smtp_host, mail["from"], mail["to"], written(mail, reply.pictures))
        return Sent(
            external_id=mail["message_id"],
            posted_at=datetime.fromisoformat(mail["date"]),
            ref={"message_id": mail["message_id"]},
        )
