"""The form's replies: mails in our words only, once, and refused where nobody can be answered."""

from contextlib import closing
from dataclasses import replace
from datetime import timedelta

import pytest
from pydantic import ValidationError

from app.connectors.base import IncomingPost, PostKind
from app.connectors.form import FormSettings, Submission, post_of
from app.connectors.testing.fake import FOREVER, Trouble
from app.connectors.testing.steps import answer, assert_sound, send, tried
from app.errors import MaybeSent, RateLimited, Refused, Unauthorized
from tests.connectors.fakes.form import FakeForm
from tests.connectors.test_email import last


def submitted(fake: FakeForm, **more: str) -> IncomingPost:
    given = Submission("ABCD-EFGH-IJKL", "My tent is torn", "", "Ada", "ada@cust.test", "", fake.now)
    return post_of(replace(given, **more), "Write to Brand")  # type: ignore[arg-type]


def test_what_was_filled_in_is_a_direct_post_of_a_conversation_of_its_own() -> None:
    with closing(FakeForm()) as fake:
        post = submitted(fake)
        assert_sound(post)
        assert (post.kind, post.text, post.author.handle) == (PostKind.DIRECT, "My tent is torn", "ada@cust.test")
        assert post.thread_id != submitted(fake, reference="MNOP-QRST-UVWX").thread_id


async def test_a_reply_is_a_mail_that_quotes_nothing_and_names_the_reference() -> None:
    with closing(FakeForm()) as fake:
        sent = await send(fake, answer(fake, submitted(fake, name="CHEAP WATCHES", text="CHEAP WATCHES")))
        [standing] = fake.ledger()
        assert standing.external_id == sent.external_id
        assert last(fake)["subject"] == "Re: Write to Brand [ABCD-EFGH-IJKL]"
        assert last(fake)["in-reply-to"] is None
        assert b"CHEAP" not in fake.taken[0]


async def test_a_repeat_is_the_same_mail() -> None:
    with closing(FakeForm()) as fake:
        reply = answer(fake, submitted(fake))
        fake.trouble(Trouble.ANSWER_LOST, sends_only=True)
        with pytest.raises(MaybeSent):
            await send(fake, reply)
        fake.tick(timedelta(minutes=1))
        await send(fake, tried(fake, reply))
        assert len(fake.ledger()) == 1
        assert fake.taken[0] == fake.taken[1]


async def test_nobody_is_answered_without_an_address_or_an_account() -> None:
    with closing(FakeForm()) as fake:
        with pytest.raises(Refused, match="no address"):
            answer(fake, submitted(fake, address=""))
        reply = answer(fake, submitted(fake))
        with pytest.raises(Refused, match="no mail account"):
            fake.connector.prepare(fake.link(credentials=None), reply)


@pytest.mark.parametrize(
    ("trouble", "error"), [(Trouble.EXPIRED, Unauthorized), (Trouble.RATE_LIMITED, RateLimited)], ids=str
)
async def test_trouble_of_the_server_is_told_and_nothing_was_sent(trouble: Trouble, error: type[Exception]) -> None:
    with closing(FakeForm()) as fake:
        fake.trouble(trouble, times=FOREVER)
        with pytest.raises(error):
            await send(fake, answer(fake, submitted(fake)))
        assert not fake.ledger()


async def test_the_connection_is_tested_with_and_without_an_account() -> None:
    with closing(FakeForm()) as fake:
        assert (await fake.connector.check(fake.link())).message == "Answers go out as care@brand.test."
        assert (await fake.connector.check(fake.link(credentials=None))).notices


@pytest.mark.parametrize("site", ["https://a.test/path", "javascript:x", "https://a.test; script-src *", "*", "a.test"])
def test_only_origins_may_show_the_form(site: str) -> None:
    with pytest.raises(ValidationError):
        FormSettings(title="x", sites=[site])


def test_an_origin_is_kept_without_its_slash() -> None:
    assert FormSettings(title="x", sites=["https://Shop.test/"]).sites == ["https://shop.test"]
