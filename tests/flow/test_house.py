"""The rules of the house: which posts are left out before they are stored, and what is told of them."""

from typing import Any

import pytest
from pydantic import ValidationError
from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.connectors.base import IncomingAuthor, IncomingPost, PostKind
from app.flow.configure_feed import change_house
from app.flow.house import Facts, House, Verdict, Why, judge, sift
from app.flow.ingest import ingest
from app.flow.tidy import tidy
from app.models.feed import LeftOut
from app.models.post import Post
from app.queries.house import left_out, newest
from tests.company import make_company, post


def _by(handle: str, followers: int | None = None) -> IncomingAuthor:
    return IncomingAuthor(f"id-{handle}", handle, followers=followers)


CASES: list[tuple[dict[str, Any], IncomingPost, Verdict | None]] = [
    ({}, post(1), None),
    ({"kinds": ["mention"]}, post(1, kind=PostKind.POST), Verdict(Why.KIND, "post")),
    ({"kinds": ["mention", "post"]}, post(1, kind=PostKind.POST), None),
    ({"no_reposts": True}, post(1, repost=True), Verdict(Why.REPOST)),
    ({"blocked": ["@Spam@x.example"]}, post(1, author=_by("spam@x.example")), Verdict(Why.BLOCKED, "spam@x.example")),
    ({"blocked": ["id-spam"]}, post(1, author=_by("renamed")) , None),
    ({"blocked": ["id-renamed"]}, post(1, author=_by("renamed")), Verdict(Why.BLOCKED, "renamed")),
    ({"followers_min": 10}, post(1, author=_by("a", 9)), Verdict(Why.FOLLOWERS, "9")),
    ({"followers_min": 10}, post(1, author=_by("a")), None),
    ({"languages": ["de"]}, post(1, language="en"), Verdict(Why.LANGUAGE, "en")),
    ({"languages": ["de"]}, post(1, language="de-AT"), None),
    ({"languages": ["de"]}, post(1, language=None), None),
    ({"own_domains": ["northwind.example"]}, post(1, author=_by("press@news.northwind.example")), Verdict(Why.DOMAIN, "northwind.example")),
    ({"own_domains": ["https://Northwind.example/blog"]}, post(1, url="https://northwind.example/a"), Verdict(Why.DOMAIN, "northwind.example")),
    ({"own_domains": ["northwind.example"]}, post(1, url="https://notnorthwind.example/a"), None),
    ({"wanted": ["northwind"]}, post(1, "Good tents."), Verdict(Why.WANTED)),
    ({"wanted": ["northwind", "tents?"]}, post(1, "A TENT."), None),
    ({"wanted": ["northwind"]}, post(1, "Good.", title="Northwind"), None),
    ({"unwanted": [r"\bgiveaway\b"]}, post(1, "Giveaway!"), Verdict(Why.UNWANTED, r"\bgiveaway\b")),
    ({"unwanted": ["giveaway"]}, post(1, "give\u200baway"), Verdict(Why.UNWANTED, "giveaway")),
]  # fmt: skip


@pytest.mark.parametrize(("rules", "said", "verdict"), CASES)
def test_each_rule_leaves_out_what_it_names_and_nothing_else(
    rules: dict[str, Any], said: IncomingPost, verdict: Verdict | None
) -> None:
    assert judge(House.model_validate(rules), Facts.of(said)) == verdict


def test_a_pattern_that_re2_does_not_know_is_refused() -> None:
    with pytest.raises(ValidationError, match="not a pattern"):
        House.model_validate({"wanted": ["(unclosed"]})


def test_nobody_is_cut_off_in_the_middle_of_a_conversation() -> None:
    house = House.model_validate({"wanted": ["northwind"], "followers_min": 50, "languages": ["de"]})
    first = post(1, "Dear Northwind", author=_by("a", 60))
    thanks = post(2, "Thanks, but it is torn", author=_by("a", 60), language="en", in_reply_to="post-1")
    answer = post(3, "ok", author=_by("b", 1), in_reply_to="held")
    stranger = post(4, "ok", author=_by("b", 90), in_reply_to="elsewhere")

    stay, out = sift(house, [first, thanks, answer, stranger], ["held"])

    assert [one.external_id for one in stay] == ["post-1", "post-2", "post-3"]
    assert [(one.post.external_id, one.verdict.why) for one in out] == [("post-4", Why.WANTED)]


def test_who_is_blocked_stays_out_of_conversations_too_and_we_never_do() -> None:
    house = House.model_validate({"blocked": ["a"], "kinds": ["mention"]})
    ours = post(1, author=_by("a"), own=True, kind=PostKind.POST)
    notice = post(2, kind=PostKind.NOTICE)
    blocked = post(3, author=_by("a"), in_reply_to="held")

    stay, _out = sift(house, [ours, notice, blocked], ["held"])

    assert [one.external_id for one in stay] == ["post-1", "post-2"]


async def test_what_is_left_out_is_not_stored_and_counted_once_however_often_it_comes(session: AsyncSession) -> None:
    company = await make_company(session)
    await change_house(session, company.feed.id, House.model_validate({"no_reposts": True}))
    batch = [post(1), post(2, repost=True)]

    done = await ingest(session, company.feed, batch)
    again = await ingest(session, company.feed, batch)

    assert (done.posts, again.posts) == (1, 0)
    assert await left_out(session, company.feed.id) == {"repost": 1}
    assert list(await session.scalars(select(Post.external_id))) == ["post-1"]


async def test_what_other_rules_let_in_later_is_stored_and_no_longer_told(session: AsyncSession) -> None:
    company = await make_company(session)
    await change_house(session, company.feed.id, House.model_validate({"wanted": ["northwind"]}))
    await ingest(session, company.feed, [post(1, "tents")])
    await change_house(session, company.feed.id, House.model_validate({"wanted": ["tents"]}))

    done = await ingest(session, company.feed, [post(1, "tents")])

    assert (done.posts, await left_out(session, company.feed.id)) == (1, {})


async def test_the_newest_posts_are_those_that_stand_here_and_those_that_were_left_out(session: AsyncSession) -> None:
    company = await make_company(session)
    await ingest(session, company.feed, [post(1, title="A tent")])
    await change_house(session, company.feed.id, House.model_validate({"wanted": ["northwind"]}))
    await ingest(session, company.feed, [post(2, "so", in_reply_to="post-1", thread_id="thread-1"), post(3, "x\x00y")])

    recent = {(one.facts["text"], one.stored, one.continues) for one in await newest(session, company.feed.id)}

    assert recent == {
        ("A tent\nMy tent arrived torn.", True, False),
        ("so", True, True),
        ("xy", False, False),
    }


async def test_what_was_left_out_is_forgotten_after_a_month(session: AsyncSession) -> None:
    company = await make_company(session)
    await change_house(session, company.feed.id, House.model_validate({"no_reposts": True}))
    await ingest(session, company.feed, [post(1, repost=True), post(2, repost=True)])
    old = func.now() - func.make_interval(0, 0, 0, 31)
    await session.execute(update(LeftOut).where(LeftOut.external_id == "post-1").values(at=old))

    await tidy(session, 30)

    assert list(await session.scalars(select(LeftOut.external_id))) == ["post-2"]
