"""E-mail: a mailbox by IMAP in, SMTP out. The feedback mailbox of a site.

Rules: RFC 3501 and 9051 (IMAP), 2177 (IDLE), 7162 (CONDSTORE), 5321 and 6409 (SMTP), 5322 (mails), 3464 (bounces),
3834 (automatic answers). The wire is in `mail_imap` and `mail_smtp`, reading in `mail_read`, writing in `mail_write`.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager
from datetime import datetime, timedelta
from typing import Annotated, ClassVar

import structlog
from pydantic import AfterValidator, Field

from app.connectors.base import (
    Batch,
    Capabilities,
    Check,
    Connector,
    IncomingAuthor,
    Json,
    Link,
    OutgoingReply,
    Pictures,
    Sent,
    SettingsModel,
    Visibility,
)
from app.connectors.mail_account import MailCredentials, checked_address, submitting
from app.connectors.mail_imap import IDLE, Imap, imap
from app.connectors.mail_smtp import hand_over
from app.connectors.mail_walk import Folder, is_behind, joined, newest, walked
from app.connectors.mail_write import prepare, written
from app.errors import ConnectorError
from app.i18n import N_

log = structlog.get_logger(__name__)
_PICTURES = Pictures(most=8, bytes=4_000_000, pixels=16_000_000, alt=1000)
_COPY_SECONDS = 10.0  # for the copy in the Sent folder: the mail itself has gone


class MailSettings(SettingsModel):
    """What of the mailbox to bring."""

    folder: str = Field(
        default="INBOX",
        title=N_("Folder"),
        description=N_("As the mail server calls it."),
        max_length=200,
        min_length=1,
    )
    sent: bool = Field(
        default=False,
        title=N_("Bring what is sent from the mailbox elsewhere"),
        description=N_("What colleagues answer with a mail program then stands in the conversation."),
    )
    aliases: list[Annotated[str, AfterValidator(checked_address)]] = Field(
        default=[],
        title=N_("Other addresses of this mailbox"),
        description=N_("One on each line. No reply goes to them."),
    )
    days: int = Field(
        default=30, title=N_("Days to bring at first"), description=N_("Older mails are left alone."), ge=1, le=3650
    )
    authserv: str = Field(
        default="",
        title=N_("Name in Authentication-Results"),
        description=N_(
            "How your mail server signs its check of senders (RFC 8601). Where it found one forged, the writer is not "
            "taken for the customer of that address."
        ),
        max_length=200,
        examples=["mx.example.com"],
    )


class MailConnector(Connector):
    """Mails in as conversations, replies out as mails."""

    name: ClassVar[str] = "email"
    title: ClassVar[str] = N_("E-mail")
    help: ClassVar[str] = N_(
        "Brings the mails of a mailbox and answers them. Create a mailbox of its own for Careline, with IMAP and SMTP, "
        "and an app password where the provider asks for a second factor. Mails stay unread and where they are."
    )
    capabilities: ClassVar[Capabilities] = Capabilities(
        reply=True,
        direct=True,
        threads=True,
        streams=True,
        idempotent=True,  # by its Message-ID, and the Sent folder is searched before a second try
        visibilities=(Visibility.DIRECT,),
        pictures=_PICTURES,
    )
    Settings: ClassVar[type[SettingsModel]] = MailSettings
    Credentials: ClassVar[type[SettingsModel] | None] = MailCredentials

    async def check(self, link: Link) -> Check:
        """Sign in to both servers, and read the newest mail."""
        notices = []
        async with _signed_in(link) as client:
            sample = await newest(client, _folders(link)[0], link.now)
            if IDLE not in client.abilities:
                notices.append(N_("The server does not tell of new mails by itself (IDLE), so it is asked regularly."))
            if await client.special("\\Sent") is None:
                notices.append(N_("The server names no Sent folder, so no copies of replies are kept there."))
        if link.credentials.smtp_host:
            async with submitting(link):
                pass
        else:
            notices.append(N_("The account has no SMTP server, so it cannot reply."))
        address = link.credentials.address
        return Check(
            message=N_("Signed in as %(address)s.") % {"address": address},
            account=IncomingAuthor(f"mailbox:{address}", address, link.credentials.name),
            sample=sample,
            notices=tuple(notices),
        )

    async def fetch(self, link: Link, cursor: Json) -> Batch:
        """Bring the mails behind the cursor, a page of each folder."""
        async with _signed_in(link) as client:
            return await _brought(client, link, cursor)

    async def listen(self, link: Link, cursor: Json) -> AsyncGenerator[Batch, None]:
        """Bring what comes as it comes (IDLE). Ends where the server cannot tell, or has ended the connection."""
        async with _signed_in(link) as client:
            if IDLE not in client.abilities:
                return
            told = False
            while True:
                batch = await _brought(client, link, cursor)
                cursor = batch.cursor
                if batch.posts or batch.rejected or not told:
                    yield batch
                told = True
                if batch.more:
                    continue
                if not await is_behind(client, _folders(link)[0], cursor):
                    await client.idle()

    def prepare(self, link: Link, reply: OutgoingReply) -> Json:
        """The mail but for its pictures. Raises Refused: no address to answer, no server to send by."""
        _ = link.credentials.outbox
        return prepare(reply, link.credentials.address, link.credentials.name)

    async def send(self, link: Link, reply: OutgoingReply) -> Sent:
        """Hand the mail over once, and put a copy into Sent. A second try first looks there for the first one."""
        mail = reply.prepared
        sent = Sent(
            external_id=mail["message_id"],
            posted_at=datetime.fromisoformat(mail["date"]),
            ref={"message_id": mail["message_id"]},
        )
        if reply.attempted_at is not None and await self._stands(link, mail["message_id"]):
            return sent
        message = written(mail, reply.pictures)
        async with submitting(link) as client:
            await hand_over(client, link.credentials.smtp_host, mail["from"], mail["to"], message)
        await self._keep_copy(link, mail["message_id"], message)
        return sent

    async def _stands(self, link: Link, message_id: str) -> bool:
        try:
            async with _signed_in(link) as client:
                return await _in_sent(client, message_id)
        except ConnectorError as error:
            error.delivered = None  # this look failed, the first try may have arrived all the same
            raise

    async def _keep_copy(self, link: Link, message_id: str, message: bytes) -> None:
        """The mail has gone: whatever happens to its copy, it is not sent again for that."""
        try:
            async with asyncio.timeout(_COPY_SECONDS), _signed_in(link) as client:
                folder = await client.special("\\Sent")
                if folder and not await _in_sent(client, message_id):  # some servers keep one by themselves
                    await client.append(folder, message)
        except (ConnectorError, TimeoutError) as error:
            log.warning("no_copy_of_a_sent_mail", message_id=message_id, cause=str(error))


def _signed_in(link: Link) -> AbstractAsyncContextManager[Imap]:
    return imap(link.dial, link.credentials.inbox, link.credentials.login, link.credentials.password.get_secret_value())


def _folders(link: Link) -> list[Folder]:
    """What is read: the chosen folder. Its reader is told who we are, so that no reply ever goes to ourselves."""
    ours = frozenset({link.credentials.address, *link.settings.aliases})
    return [Folder(link.settings.folder, ours, authserv=link.settings.authserv)]


async def _brought(client: Imap, link: Link, cursor: Json) -> Batch:
    """A page of each folder behind the cursor."""
    folders = _folders(link)
    if link.settings.sent and (name := await client.special("\\Sent")):
        folders.append(Folder(name, folders[0].ours, own=True))
    since = (link.now - timedelta(days=link.settings.days)).date()
    return joined([await walked(client, one, cursor, since, link.now) for one in folders], cursor)


async def _in_sent(client: Imap, message_id: str) -> bool:
    """Whether the Sent folder holds this mail; a server without one cannot tell."""
    folder = await client.special("\\Sent")
    if folder is None:
        return False
    await client.select(folder)
    return bool(await client.with_message_id(message_id))
