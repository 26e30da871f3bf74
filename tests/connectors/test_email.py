"""E-mail: cursors over what a mailbox goes through, waiting for mails, and the mails that we write."""

import asyncio
from contextlib import closing
from datetime import timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage

import pytest
from pydantic import SecretStr, ValidationError

from app.connectors.base import Batch, Picture
from app.connectors.mail import MailSettings
from app.connectors.mail_account import MailCredentials
from app.connectors.mail_tls import Security
from app.connectors.mail_tokens import from_utf7, to_utf7
from app.connectors.testing.fake import Trouble
from app.connectors.testing.steps import answer, asked, drain, fetch, send, tried
from app.errors import Blocked, Malformed, RateLimited, Refused, Unauthorized
from app.settings import Settings
from app.transport import guarded_client
from tests.connectors.fakes.email import FakeMail, FakeSentMail


def last(fake: FakeMail) -> EmailMessage:
    return message_from_bytes(fake.taken[-1], policy=policy.default)


async def test_a_mailbox_whose_numbers_began_anew_is_read_again_without_a_gap() -> None:
    with closing(FakeMail()) as fake:
        old = fake.arrive("before")
        _, cursor = await drain(fake, {})
        box = fake.folders["INBOX"]
        box.validity, box.next, box.mails = 78, 1, []
        new = fake.arrive("after the move")
        found, cursor = await drain(fake, cursor)
        assert set(found) == {new}
        assert old not in found
        assert not (await drain(fake, cursor))[0]


async def test_a_mailbox_put_back_to_yesterday_is_read_again() -> None:
    with closing(FakeMail()) as fake:
        for number in range(3):
            fake.arrive(f"mail {number}")
        _, cursor = await drain(fake, {})
        box = fake.folders["INBOX"]
        box.mails, box.next = box.mails[:1], 2  # the backup
        new = fake.arrive("since then")
        assert new in (await drain(fake, cursor))[0]


async def test_old_mails_are_left_alone_at_first() -> None:
    with closing(FakeMail()) as fake:
        fake.arrive("long ago")
        fake.tick(timedelta(days=40))
        assert not (await drain(fake, {}))[0]
        new = fake.arrive("today")
        assert set((await drain(fake, {}))[0]) == {new}


async def test_a_poll_without_news_asks_for_no_list() -> None:
    with closing(FakeMail()) as fake:
        fake.arrive("one")
        _, cursor = await drain(fake, {})
        fake.requests.clear()
        await fetch(fake, cursor)
        assert "/UID-SEARCH" not in [request.url.path for request in fake.requests]


async def test_a_mail_deleted_while_it_is_read_is_left_out_and_one_that_is_not_given_is_not() -> None:
    with closing(FakeMail()) as fake:
        gone, stays = fake.arrive("deleted"), fake.arrive("stays")
        box = fake.folders["INBOX"]

        def expunge() -> None:
            if fake.requests[-1].url.path == "/UID-FETCH":
                box.mails = [mail for mail in box.mails if mail.uid != 1]

        fake.between_requests = expunge
        assert set((await drain(fake, {}))[0]) == {stays}
        assert gone
        fake.between_requests = None
        fake.trouble(Trouble.NULL, after=7)  # the mail itself
        with pytest.raises(Malformed):
            await fetch(fake, {})


async def test_a_mail_that_is_too_large_is_set_aside(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.connectors.mail_walk.LARGEST", 2000)
    with closing(FakeMail()) as fake:
        fake.arrive("x" * 5000)
        fine = fake.arrive("fine")
        batch = await fetch(fake, {})
        assert [post.external_id for post in batch.posts] == [fine]
        assert "larger" in batch.rejected[0].reason


async def test_a_mail_is_brought_the_moment_it_comes() -> None:
    with closing(FakeMail()) as fake:
        fake.patience = 5.0
        first = fake.arrive("there already")
        stream = fake.connector.listen(fake.link(), {})
        assert [post.external_id for post in (await anext(stream)).posts] == [first]
        waiting = asyncio.ensure_future(anext(stream))
        await fake.waits.wait()
        second = fake.arrive("just now")
        batch: Batch = await waiting
        assert [post.external_id for post in batch.posts] == [second]
        assert not (await drain(fake, batch.cursor))[0]
        await stream.aclose()


async def test_a_server_that_cannot_tell_ends_the_listening_and_leaves_all_to_the_polls() -> None:
    with closing(FakeMail()) as fake:
        fake.abilities = b"IMAP4rev1 AUTH=PLAIN"
        fake.arrive("one")
        assert not [batch async for batch in fake.connector.listen(fake.link(), {})]


async def test_a_reply_is_threaded_says_who_we_are_and_carries_text_and_html() -> None:
    with closing(FakeMail()) as fake:
        root = fake.arrive("My tent is torn")
        child = fake.arrive("Hello?", under=root)
        found, _ = await drain(fake, {})
        await send(fake, answer(fake, found[child], "See https://brand.test/a?b=1&c=2\n\n<b>Sorry</b>"))
        mail = last(fake)
        assert mail["in-reply-to"] == f"<{child}>"
        assert mail["references"] == f"<{root}> <{child}>"
        assert (mail["subject"], mail["from"], mail["to"]) == (
            "Re: My order",
            "Brand Care <care@brand.test>",
            "ada@cust.test",
        )
        html = mail.get_body(("html",))
        assert html is not None
        assert "&lt;b&gt;Sorry&lt;/b&gt;" in html.get_content()
        assert '<a href="https://brand.test/a?b=1&amp;c=2">' in html.get_content()
        assert mail["auto-submitted"] is None


async def test_a_repeat_is_the_same_mail_to_the_byte_and_its_id_gives_no_key_away() -> None:
    with closing(FakeMail()) as fake:
        fake.names_sent = False  # nowhere to look, so it is handed over again
        reply = answer(
            fake, await asked(fake), pictures=(Picture("image/png", 2, 1, "Two pixels", b"\x89PNG\r\n\x1a\n"),)
        )
        await send(fake, reply)
        await send(fake, tried(fake, reply))
        assert fake.taken[0] == fake.taken[1]
        assert reply.key not in fake.taken[0].decode()


async def test_a_copy_of_a_reply_is_kept_in_sent_once() -> None:
    for fake in (FakeMail(), FakeSentMail()):
        with closing(fake):
            await send(fake, answer(fake, await asked(fake)))
            assert len(fake.folders["Sent"].mails) == 1


async def test_a_second_try_looks_into_sent_and_hands_nothing_over_again() -> None:
    with closing(FakeSentMail()) as fake:
        reply = answer(fake, await asked(fake))
        fake.trouble(Trouble.ANSWER_LOST, sends_only=True)
        with pytest.raises(Exception, match="may have taken"):
            await send(fake, reply)
        await send(fake, tried(fake, reply))
        assert len(fake.taken) == 1


async def test_a_copy_that_cannot_be_kept_does_not_send_the_mail_again() -> None:
    with closing(FakeMail()) as fake:
        post = await asked(fake)
        reply = answer(fake, post)
        fake.trouble(Trouble.DOWN, after=8)  # greeting, EHLO, AUTH, MAIL, RCPT, DATA, the mail, QUIT, then IMAP
        assert (await send(fake, reply)).external_id == reply.prepared["message_id"]
        assert not fake.folders["Sent"].mails


async def test_a_server_that_refuses_a_recipient_is_quoted() -> None:
    with closing(FakeMail()) as fake:
        reply = answer(fake, await asked(fake))
        fake.gone.add("ada@cust.test")
        with pytest.raises(Refused, match=r"550 5\.1\.1 There is no such user here"):
            await send(fake, reply)


async def test_careline_says_by_itself_that_it_does_and_never_to_a_list() -> None:
    with closing(FakeMail()) as fake:
        post = await asked(fake)
        await send(fake, answer(fake, post, automatic=True))
        assert last(fake)["auto-submitted"] == "auto-replied"
        post.ref["listed"] = True
        with pytest.raises(Refused):
            answer(fake, post, automatic=True)


@pytest.mark.parametrize(
    ("subject", "answered"),
    [
        ("Zelt", "Re: Zelt"),
        ("RE: Zelt", "RE: Zelt"),
        ("Aw: Zelt", "Aw: Zelt"),
        ("", "Re:"),
        ("a\r\nBcc: x@y", "Re: a Bcc: x@y"),
    ],
)
async def test_a_subject_gets_one_re_and_no_header_of_its_own(subject: str, answered: str) -> None:
    with closing(FakeMail()) as fake:
        post = await asked(fake)
        post.ref["subject"] = subject
        await send(fake, answer(fake, post))
        assert (last(fake)["subject"], last(fake)["bcc"]) == (answered, None)


async def test_without_an_smtp_server_nothing_is_answered() -> None:
    with closing(FakeMail()) as fake:
        post = await asked(fake)
        credentials = fake.credentials().model_copy(update={"smtp_host": ""})
        with pytest.raises(Refused, match="no SMTP server"):
            fake.connector.prepare(fake.link(credentials=credentials), answer(fake, post))


async def test_a_busy_server_is_not_taken_for_a_wrong_password() -> None:
    with closing(FakeMail()) as fake:
        fake.trouble(Trouble.RATE_LIMITED, after=2)
        with pytest.raises(RateLimited):
            await fetch(fake, {})
        fake.trouble(Trouble.EXPIRED, after=2)
        with pytest.raises(Unauthorized, match="Authentication failed"):
            await fetch(fake, {})


async def test_what_a_colleague_sends_from_the_mailbox_joins_the_conversation() -> None:
    with closing(FakeSentMail()) as fake:
        asked_ = fake.arrive("Where is it?")
        fake.folders["Sent"].add(fake.composed("On its way.", "care@brand.test", "c@brand.test", asked_), fake.tick())
        found, _ = await drain(fake, {})
        assert (found["c@brand.test"].own, found["c@brand.test"].in_reply_to) == (True, asked_)


async def test_a_mail_server_in_a_private_network_is_reached_only_by_leave_of_the_operator() -> None:
    async def at_home(_host: str, _port: int) -> list[str]:
        return ["127.0.0.1"]

    server = await asyncio.start_server(lambda _reader, writer: writer.close(), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server:
        async with guarded_client(Settings(), resolve=at_home) as http:
            with pytest.raises(Blocked, match="CARELINE_ALLOW_HOSTS"):
                await http.dial("mail.office.test", port)
        async with guarded_client(Settings(allow_hosts="mail.office.test"), resolve=at_home) as http:
            (await http.dial("mail.office.test", port)).close()


def test_an_open_connection_is_only_for_this_machine_and_addresses_are_checked() -> None:
    with pytest.raises(ValidationError, match="certificate"):
        _credentials(authority="no certificate")
    with pytest.raises(ValidationError, match="address"):
        _credentials(address="care")
    with pytest.raises(ValidationError, match="address"):
        MailSettings(aliases=["a b@brand.test"])
    assert _credentials(address=" Care@Brand.test ").address == "care@brand.test"


def _credentials(**more: str) -> MailCredentials:
    given = {"address": "care@brand.test", "password": SecretStr("x"), "imap_host": "imap.brand.test"} | more
    return MailCredentials(**given, imap_security=Security.TLS)


@pytest.mark.parametrize(("name", "wire"), [("Entwürfe", "Entw&APw-rfe"), ("A&B", "A&-B"), ("台北", "&U,BTFw-")])
def test_folders_of_any_script_have_a_name_on_the_wire(name: str, wire: str) -> None:
    assert to_utf7(name) == wire
    assert from_utf7(wire.encode()) == name
