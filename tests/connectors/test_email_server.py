"""The mail connector against dovecot and OpenSMTPD on loopback: `make peers` (or `tools/peers/mail.sh start` before)."""

import asyncio
import smtplib
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from pydantic import SecretStr

from app.connectors.base import IncomingPost, Link, OutgoingReply, Picture, PostKind, SettingsModel, Visibility
from app.connectors.mail import MailConnector, MailSettings
from app.connectors.mail_account import MailCredentials
from app.connectors.mail_tls import Security
from app.errors import Blocked, Refused, Unauthorized
from app.settings import Settings
from app.transport import guarded_client
from tests.connectors.test_email_reading import BOUNCE, MIXED

pytestmark = [pytest.mark.peer, pytest.mark.timeout(120)]
TOOL = Path(__file__).resolve().parents[2] / "tools" / "peers" / "mail.sh"
CERTIFICATE = Path("/var/lib/careline-peers/mail/cert.pem")
CONNECTOR = MailConnector()


@pytest.fixture(scope="module", autouse=True)
def _servers(request: pytest.FixtureRequest) -> Iterator[None]:
    if "peer" not in request.config.getoption("markexpr"):
        pytest.skip("needs real mail servers: make peers")
    there = subprocess.run([TOOL, "status"], check=False, capture_output=True).returncode == 0
    if not there:
        subprocess.run([TOOL, "start"], check=True)
    yield
    if not there:
        subprocess.run([TOOL, "stop"], check=True)


async def _keep(_credentials: SettingsModel) -> None:
    pytest.fail("mail credentials are never refreshed")


def credentials(**more: Any) -> MailCredentials:
    given = {
        "address": "care@brand.test",
        "name": "Brand Care",
        "password": SecretStr("hunter22"),
        "imap_host": "localhost",
        "imap_port": 1993,
        "smtp_host": "localhost",
        "smtp_port": 2587,
        "smtp_security": Security.STARTTLS,
        "authority": CERTIFICATE.read_text().replace("\n", " "),  # as a field of one line gives it
    }
    return MailCredentials(**(given | more))


def link(http: httpx.AsyncClient, settings: MailSettings | None = None, **more: Any) -> Link:
    client: Any = http
    return Link(settings or MailSettings(), credentials(**more), http, datetime.now(UTC), _keep, dial=client.dial)


def client() -> Any:
    return guarded_client(Settings(allow_hosts="localhost"), timeout=10)


def deliver(raw: str, sender: str = "ana@cust.test") -> None:
    with smtplib.SMTP("127.0.0.1", 2525) as smtp:
        smtp.sendmail(sender, ["care@brand.test"], raw.replace("\n", "\r\n").encode())


def mail(mail_id: str, body: str = "Where is it?", head: str = "") -> str:
    return (
        f"From: Ana <ana@cust.test>\nTo: care@brand.test\nMessage-ID: <{mail_id}>\nSubject: My order\n{head}\n{body}\n"
    )


async def until(line: Link, cursor: dict[str, Any], mail_id: str) -> tuple[IncomingPost, dict[str, Any]]:
    """Fetch until the mail is there: delivery takes a moment."""
    while True:
        batch = await CONNECTOR.fetch(line, cursor)
        cursor = batch.cursor
        for post in batch.posts:
            if post.external_id == mail_id:
                return post, cursor
        await asyncio.sleep(0.05)


def reply_to(post: IncomingPost, **more: Any) -> OutgoingReply:
    return OutgoingReply(
        key=str(uuid4()),
        text="We are on it.\n\n.\nTwo dots do no harm.",
        visibility=Visibility.DIRECT,
        to=post.ref,
        to_external_id=post.external_id,
        created_at=datetime.now(UTC),
        **more,
    )


@pytest.mark.parametrize(
    ("port", "security"), [(1993, Security.TLS), (1143, Security.STARTTLS), (1143, Security.NONE)], ids=str
)
async def test_a_mail_is_brought_however_the_connection_is_protected(port: int, security: Security) -> None:
    name = f"{uuid4()}@cust.test"
    async with client() as http:
        line = link(http, imap_port=port, imap_security=security)
        deliver(mail(name))
        post, cursor = await until(line, {}, name)
        assert (post.text, post.author.external_id) == ("Where is it?", "ana@cust.test")
        assert not (await CONNECTOR.fetch(line, cursor)).posts


async def test_a_reply_arrives_threaded_and_a_second_try_sends_nothing() -> None:
    name = f"{uuid4()}@cust.test"
    async with client() as http:
        deliver(mail(name))
        post, _ = await until(link(http), {}, name)
        draft = reply_to(post, pictures=(Picture("image/png", 1, 1, "One pixel", b"\x89PNG\r\n\x1a\n"),))
        reply = OutgoingReply(**{**_fields(draft), "prepared": CONNECTOR.prepare(link(http), draft)})
        sent = await CONNECTOR.send(link(http), reply)
        again = OutgoingReply(**{**_fields(reply), "attempted_at": datetime.now(UTC)})
        assert (await CONNECTOR.send(link(http), again)).external_id == sent.external_id
        theirs = link(http, address="ana@cust.test")
        arrived, cursor = await until(theirs, {}, sent.external_id)
        assert arrived.in_reply_to == name
        assert arrived.text == reply.text
        assert [one.description for one in arrived.media] == ["One pixel"]
        assert sent.external_id not in [one.external_id for one in (await CONNECTOR.fetch(theirs, cursor)).posts]
        own, _ = await until(link(http, MailSettings(folder="Sent")), {}, sent.external_id)
        assert own.text == reply.text


def _fields(reply: OutgoingReply) -> dict[str, Any]:
    return {name: getattr(reply, name) for name in OutgoingReply.__dataclass_fields__}


async def test_odd_mails_come_through_real_servers() -> None:
    async with client() as http:
        names = [f"{uuid4()}@cust.test" for _ in range(2)]
        deliver(MIXED.replace("2@cust.test", names[0]))
        deliver(BOUNCE.replace("b1@mx.brand.test", names[1]), sender="")
        mixed, _ = await until(link(http), {}, names[0])
        bounce, _ = await until(link(http), {}, names[1])
        assert (len(mixed.media), mixed.text) == (4, "See the picture.")
        assert (bounce.kind, bounce.in_reply_to) == (PostKind.NOTICE, "our-reply@brand.test")


async def test_a_mail_is_told_of_the_moment_it_comes() -> None:
    async with client() as http:
        first, second = f"{uuid4()}@cust.test", f"{uuid4()}@cust.test"
        deliver(mail(first))
        _, cursor = await until(link(http), {}, first)
        stream = CONNECTOR.listen(link(http), cursor)
        assert (await asyncio.wait_for(anext(stream), 20)).posts == ()  # the connection stands
        waiting = asyncio.ensure_future(anext(stream))
        await asyncio.sleep(1)  # dovecot knows by then that somebody waits
        deliver(mail(second))
        batch = await asyncio.wait_for(waiting, 20)
        assert [post.external_id for post in batch.posts] == [second]
        await stream.aclose()


async def test_the_connection_is_tested_with_both_servers() -> None:
    async with client() as http:
        said = await CONNECTOR.check(link(http))
        assert said.message == "Signed in as care@brand.test."
        assert not said.notices
        for wrong in ({"password": SecretStr("wrong")}, {"authority": ""}):
            with pytest.raises(Unauthorized):
                await CONNECTOR.check(link(http, **wrong))
    async with guarded_client(Settings()) as http:
        with pytest.raises(Blocked, match="CARELINE_ALLOW_HOSTS"):
            await CONNECTOR.check(link(http))


async def test_a_folder_that_is_not_there_is_named() -> None:
    async with client() as http:
        with pytest.raises(Refused, match="Nowhere"):
            await CONNECTOR.fetch(link(http, MailSettings(folder="Nowhere")), {})
