"""Pictures of a reply: what is taken, what is left out of them, and that what was sent never changes."""

from io import BytesIO
from typing import Any
from uuid import uuid4

import pytest
from PIL import Image
from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.connectors.base import Pictures
from app.errors import Conflict, Invalid, NotFound
from app.flow import outbox
from app.flow.attach import attach, describe, detach
from app.flow.claim import claim
from app.flow.draft import load_draft, save_draft
from app.flow.ingest import ingest
from app.flow.picture import Cleaned, cleaned
from app.flow.reply import reply, undo
from app.models.agent import Agent, Team
from app.models.item import Item
from app.models.reply import Attachment, Reply
from app.queries.attachments import content_of
from tests.company import Company, add_agent, items, make_company, post

RULES = Pictures(most=4, bytes=60_000, pixels=1_000_000, alt=100)


def file(kind: str = "JPEG", size: tuple[int, int] = (40, 30), mode: str = "RGB", **how: Any) -> bytes:
    out = BytesIO()
    Image.effect_noise(size, 90).convert(mode).save(out, kind, **how)
    return out.getvalue()


def test_where_and_when_a_picture_was_taken_is_left_out() -> None:
    exif = Image.Exif()
    exif[0x010E], exif[0x0132] = "my kitchen", "2026:11:01 08:00:00"
    exif.get_ifd(0x8825)[1] = "N"
    made = cleaned(file(exif=exif, comment=b"secret place"), RULES)
    assert Image.open(BytesIO(made.content)).getexif() == {}
    assert b"my kitchen" not in made.content
    assert b"secret place" not in made.content


def test_a_picture_stands_as_its_camera_was_held() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    made = cleaned(file(size=(40, 30), exif=exif), RULES)
    assert (made.width, made.height) == (30, 40)


def test_a_picture_that_is_too_heavy_for_the_channel_is_made_smaller() -> None:
    made = cleaned(file("PNG", (900, 700)), RULES)
    assert len(made.content) <= RULES.bytes
    assert made.kind == "image/jpeg"
    assert Image.open(BytesIO(made.content)).size == (made.width, made.height)


def test_a_drawing_with_clear_parts_stays_as_it_is() -> None:
    made = cleaned(file("PNG", (20, 20), "RGBA"), RULES)
    assert (made.kind, Image.open(BytesIO(made.content)).mode) == ("image/png", "RGBA")


@pytest.mark.parametrize("content", [b"", b"GIF89a", b"<svg onload='alert(1)'/>", file()[:90], b"\x00" * 5000])
def test_what_is_no_picture_is_refused_whatever_it_is_called(content: bytes) -> None:
    with pytest.raises(Invalid, match="cannot be read as a picture"):
        cleaned(content, RULES)


def test_a_picture_that_would_unfold_to_a_giant_is_not_unfolded() -> None:
    bomb = BytesIO()
    Image.new("1", (20_000, 20_000)).save(bomb, "PNG")
    assert len(bomb.getvalue()) < 100_000
    with pytest.raises(Invalid):
        cleaned(bomb.getvalue(), RULES)


def test_moving_pictures_are_refused_in_words() -> None:
    out = BytesIO()
    frames = [Image.new("L", (8, 8), shade) for shade in (0, 90, 180)]
    frames[0].save(out, "GIF", save_all=True, append_images=frames[1:])
    with pytest.raises(Invalid, match="Moving pictures"):
        cleaned(out.getvalue(), RULES)


SHOT = Cleaned("image/png", 2, 1, b"\x89PNG\r\n\x1a\npixels")


async def held(session: AsyncSession) -> tuple[Company, Item]:
    company = await make_company(session)
    await ingest(session, company.feed, [post(1)])
    [item] = await items(session)
    return company, await claim(session, company.ayumi, item.id)


async def put(session: AsyncSession, company: Company, item: Item, **more: Any) -> int:
    values = {"name": "tent.png", "key": uuid4(), "visibility": "public", **more}
    draft = await attach(session, company.ayumi, item.id, SHOT, **values)
    newest = select(func.max(Attachment.id)).where(Attachment.reply_id == draft.id)
    return (await session.scalar(newest)) or 0


async def pictures_of(session: AsyncSession, reply_id: int) -> list[tuple[int, str]]:
    found = select(Attachment.id, Attachment.alt).where(Attachment.reply_id == reply_id).order_by(Attachment.id)
    return [(row[0], row[1]) for row in await session.execute(found)]


async def test_a_picture_leaves_with_the_reply_that_it_stood_beside(session: AsyncSession) -> None:
    company, item = await held(session)
    key = uuid4()
    one = await put(session, company, item, key=key)
    await describe(session, company.ayumi, item.id, {one: "A torn tent"})
    sent = await reply(session, company.ayumi, item.id, "Like this?", "public", key=key, pictures=[one])
    assert await pictures_of(session, sent.id) == [(one, "A torn tent")]
    await session.execute(update(Reply).values(due_at=func.now()))
    errand = await outbox.errand(session, sent.id)
    assert errand is not None
    [going] = outbox.outgoing(errand).pictures
    assert (going.alt, going.content, going.width) == ("A torn tent", SHOT.content, 2)


async def test_what_was_sent_is_neither_described_anew_nor_taken_away(session: AsyncSession) -> None:
    company, item = await held(session)
    key = uuid4()
    one = await put(session, company, item, key=key)
    sent = await reply(session, company.ayumi, item.id, "Like this?", "public", key=key, pictures=[one])
    await describe(session, company.ayumi, item.id, {one: "Something else"})
    with pytest.raises(NotFound):
        await detach(session, company.ayumi, one)
    assert await pictures_of(session, sent.id) == [(one, "")]


async def test_a_reply_never_leaves_with_pictures_that_its_writer_did_not_see(session: AsyncSession) -> None:
    company, item = await held(session)
    key = uuid4()
    one = await put(session, company, item, key=key)
    await put(session, company, item)
    with pytest.raises(Conflict, match="another window"):
        await reply(session, company.ayumi, item.id, "Like this?", "public", key=key, pictures=[one])


async def test_a_reply_never_leaves_without_a_picture_that_its_writer_saw(session: AsyncSession) -> None:
    company, item = await held(session)
    key = uuid4()
    one = await put(session, company, item, key=key)
    await detach(session, company.ayumi, one)
    with pytest.raises(Conflict, match="another window"):
        await reply(session, company.ayumi, item.id, "Like this?", "public", key=key, pictures=[one])


async def test_pictures_that_another_window_attached_leave_with_the_window_that_shows_them(
    session: AsyncSession,
) -> None:
    company, item = await held(session)
    one = await put(session, company, item)
    sent = await reply(session, company.ayumi, item.id, "Like this?", "public", key=uuid4(), pictures=[one])
    assert await pictures_of(session, sent.id) == [(one, "")]
    assert await load_draft(session, company.ayumi, item.id) is None


async def test_undo_brings_the_pictures_back_beside_what_was_attached_since(session: AsyncSession) -> None:
    company, item = await held(session)
    key = uuid4()
    one = await put(session, company, item, key=key)
    sent = await reply(session, company.ayumi, item.id, "Like this?", "public", key=key, pictures=[one])
    two = await put(session, company, item)
    await undo(session, company.ayumi, sent.id)
    assert [name for name, _ in await pictures_of(session, sent.id)] == [one, two]


async def test_there_are_no_more_pictures_than_the_channel_takes(session: AsyncSession) -> None:
    company, item = await held(session)
    for _ in range(4):
        await put(session, company, item)
    with pytest.raises(Invalid, match="takes 4 pictures"):
        await put(session, company, item)


async def test_a_description_is_as_long_as_the_channel_takes(session: AsyncSession) -> None:
    company, item = await held(session)
    one = await put(session, company, item)
    with pytest.raises(Invalid, match="at most 2000"):
        await describe(session, company.ayumi, item.id, {one: "x" * 2001})


async def test_a_colleagues_draft_shows_its_pictures_to_nobody_else_and_a_reply_to_who_sees_the_item(
    session: AsyncSession,
) -> None:
    company, item = await held(session)
    await save_draft(session, company.finn, item.id, "", "note")
    one = await put(session, company, item)
    assert await content_of(session, company.finn, one) is None
    with pytest.raises(NotFound):
        await detach(session, company.finn, one)
    await describe(session, company.finn, item.id, {one: "Not mine"})
    await reply(session, company.ayumi, item.id, "Like this?", "public", pictures=[one])
    assert await content_of(session, company.finn, one) == ("image/png", SHOT.content)
    assert await content_of(session, await outsider(session), one) is None


async def outsider(session: AsyncSession) -> Agent:
    team = Team(name="Elsewhere")
    session.add(team)
    await session.flush()
    return await add_agent(session, team, "Stranger")


async def test_who_does_not_hold_the_item_attaches_nothing(session: AsyncSession) -> None:
    company, item = await held(session)
    with pytest.raises(Conflict, match="Ayumi holds"):
        await attach(session, company.finn, item.id, SHOT, name="x", key=uuid4(), visibility="public")
