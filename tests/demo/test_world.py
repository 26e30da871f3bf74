"""Customers write, wait, get impatient, answer back and thank; the world survives a restart. The clock is simulated."""

import itertools
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from app.demo.people import CUSTOMERS
from app.demo.posts import NetPost
from app.demo.story import Stage, Story
from app.demo.voice import lines
from app.demo.world import Gone, Pace, Row, World

START = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)
SECOND = timedelta(seconds=1)


class Lived:
    """A world and the time in it, with everything written down."""

    def __init__(self, seed: int = 7, **pace: Any) -> None:
        self.now = START
        self.pace = Pace(**pace)
        self.rows: list[Row] = []
        self.world = World(seed, (), self.pace)

    def live(self, **span: float) -> None:
        until = self.now + timedelta(**span)
        while self.now < until:
            self.now += SECOND
            self.rows += self.world.advance(self.now)

    def reply(
        self, post: NetPost, text: str = "Sorry to hear that, a new one is on its way.", key: str = ""
    ) -> NetPost:
        answer, rows = self.world.reply(self.now, key or f"k{len(self.rows)}", text, post.id, direct=False)
        self.rows += rows
        return answer

    def restarted(self) -> World:
        written = [json.loads(json.dumps(row)) for row in self.rows]
        return World(self.world.seed, written, self.pace)

    def openings(self) -> Iterator[datetime]:
        """When stories began, those included whose first post was taken back."""
        for row in self.rows:
            if "post" in row and row.get("story", {}).get("thread") == row["post"]["id"]:
                yield datetime.fromisoformat(row["post"]["at"])

    def in_thread(self, thread: int) -> list[NetPost]:
        return [post for post in self.world.posts.values() if post.thread == thread]

    def waiting(self, *topics: str) -> Story:
        """Somebody who waits for an answer, alone in their thread, about one of the topics."""
        while True:
            self.live(seconds=1)
            for story in self.world.stories.values():
                alone = len(self.in_thread(story.thread)) == 1 and not story.echo
                if story.stage is Stage.WAITING and alone and (not topics or story.topic in topics):
                    return story


def said_on(occasion: str, story: Story) -> set[str]:
    return {line.text.format(order=story.order) for line in lines(story.language, occasion)}


def test_the_first_posts_come_at_once_and_then_it_is_calm() -> None:
    lived = Lived()
    lived.live(seconds=30)
    assert len(lived.world.posts) >= 8
    lived.live(minutes=5)
    openings = list(lived.openings())[8:]
    gaps = [(b - a).total_seconds() for a, b in itertools.pairwise(openings)]
    assert 8 <= min(gaps) <= max(gaps) <= 20


def test_the_pace_can_be_set() -> None:
    fast, slow = Lived(seconds=3), Lived(seconds=60)
    for lived in (fast, slow):
        lived.live(minutes=3)
    assert len(fast.world.stories) > 2 * len(slow.world.stories)


def test_an_unanswered_customer_writes_again_less_kindly_and_leaves_with_the_last_straw() -> None:
    lived = Lived()
    story = lived.waiting()
    lived.live(minutes=60)
    own = [post for post in lived.in_thread(story.thread) if post.handle == story.handle]
    assert len(own) == 4
    for post, occasion in zip(own[1:], ("nudge", "nudge_again", "last_straw"), strict=True):
        assert post.text in said_on(occasion, story)
        assert post.in_reply_to is not None
    gaps = [b.at - a.at for a, b in itertools.pairwise(own)]
    assert gaps[0] >= timedelta(seconds=150)
    assert lived.world.stories[story.thread].stage is Stage.DONE


def test_an_answered_customer_thanks_under_our_answer_and_is_content() -> None:
    lived = Lived()
    story = lived.waiting("question")
    answer = lived.reply(lived.world.posts[story.thread], "Three seasons; for snow take the Skarv 4.")
    lived.live(minutes=30)
    (thanks,) = [post for post in lived.in_thread(story.thread) if post.id > answer.id and post.handle == story.handle]
    assert thanks.text in said_on("thanks", story)
    assert thanks.in_reply_to == answer.id
    assert timedelta(seconds=15) <= thanks.at - answer.at <= timedelta(seconds=71)


def test_a_customer_whom_we_ask_gives_the_detail_and_waits_again() -> None:
    lived = Lived()
    found = set()
    for _ in range(12):
        story = lived.waiting("wrong_size", "broken_zip", "late_delivery")
        answer = lived.reply(lived.world.posts[story.thread], "Could you tell us the order number, please?")
        lived.live(seconds=75)
        after = [post for post in lived.in_thread(story.thread) if post.id > answer.id and post.handle == story.handle]
        if after and after[0].text in said_on("detail", story):
            assert lived.world.stories[story.thread].stage is Stage.WAITING
            assert story.order in after[0].text
            found.add("detail")
    assert found == {"detail"}


def test_some_customers_are_not_helped_by_the_first_answer_and_all_are_by_the_third() -> None:
    lived = Lived(seconds=4)
    turns: set[str] = set()
    for _ in range(60):
        lived.live(seconds=15)
        for story in list(lived.world.stories.values()):
            if not (said := lived.in_thread(story.thread)):
                continue  # taken back by who wrote it
            last = said[-1]
            turns |= {turn for turn in ("thanks", "not_solved") if last.text in said_on(turn, story)}
            if story.stage is Stage.WAITING:
                lived.reply(last)
    assert turns == {"thanks", "not_solved"}
    assert max(story.rounds for story in lived.world.stories.values()) <= 3


def test_a_customer_who_has_thanked_says_nothing_more() -> None:
    lived = Lived()
    story = lived.waiting("praise", "question")
    lived.reply(lived.world.posts[story.thread])
    lived.live(minutes=5)
    before = len(lived.in_thread(story.thread))
    lived.reply(lived.in_thread(story.thread)[-1], "You are welcome!")
    lived.live(minutes=30)
    assert len(lived.in_thread(story.thread)) == before + 1


def test_a_reply_stands_once_however_often_its_key_comes() -> None:
    lived = Lived()
    post = lived.world.posts[lived.waiting().thread]
    first = lived.reply(post, key="one")
    lived.live(minutes=10)
    assert lived.reply(post, "another text", key="one") == first
    assert lived.restarted().reply(lived.now, "one", "again", post.id, direct=False) == (first, [])
    assert sum(row["post"]["key"] == "one" for row in lived.rows if "post" in row) == 1


def test_a_reply_to_a_post_that_was_taken_back_is_gone() -> None:
    lived = Lived()
    post = lived.world.posts[lived.waiting().thread]
    lived.rows += lived.world.remove(post.id)
    with pytest.raises(Gone):
        lived.reply(post)
    lived.live(minutes=60)


def test_an_answer_to_a_direct_message_is_direct_and_so_is_everything_in_its_thread() -> None:
    lived = Lived()
    while not (story := lived.waiting("double_charge")).direct:
        lived.reply(lived.world.posts[story.thread])
    lived.reply(lived.world.posts[story.thread])
    lived.live(minutes=10)
    assert len(lived.in_thread(story.thread)) >= 3
    assert all(post.direct for post in lived.in_thread(story.thread))


def test_a_world_that_is_read_again_is_the_same_and_goes_on_the_same() -> None:
    lived = Lived()
    for _ in range(6):
        lived.reply(lived.world.posts[lived.waiting().thread])
    again = lived.restarted()
    assert (again.posts, again.stories, again.by_key) == (lived.world.posts, lived.world.stories, lived.world.by_key)
    again.next_opening = lived.world.next_opening
    for second in range(1, 600):
        at = lived.now + second * SECOND
        assert again.advance(at) == lived.world.advance(at)


def test_after_a_night_off_nobody_shouts_at_once() -> None:
    lived = Lived()
    lived.live(minutes=10)
    again = lived.restarted()
    morning = lived.now + timedelta(hours=12)
    assert len(again.advance(morning)) <= 1
    minute = [row for second in range(60) for row in again.advance(morning + second * SECOND)]
    assert 0 < len(minute) < 25


def test_the_crowd_stays_within_its_bound_when_nobody_answers_for_a_day() -> None:
    lived = Lived(crowd=15)
    lived.live(hours=6)
    waiting = [story for story in lived.world.stories.values() if story.stage is Stage.WAITING]
    assert len(waiting) <= 15
    assert len(lived.world.posts) < 6 * 3600 / 14


def test_the_same_seed_gives_the_same_customers_and_another_gives_others() -> None:
    worlds = [Lived(seed) for seed in (3, 3, 4)]
    for lived in worlds:
        lived.live(minutes=10)
    one, same, other = (lived.world.posts for lived in worlds)
    assert one == same
    assert one != other


def test_no_line_comes_again_before_its_topic_is_used_up_and_nobody_has_two_matters_at_once() -> None:
    lived = Lived(seconds=2, crowd=60)
    lived.live(minutes=20)
    said: dict[tuple[str, str], list[str]] = {}
    for story in lived.world.stories.values():
        if story.thread not in lived.world.posts:
            continue  # taken back
        text = lived.world.posts[story.thread].text.removeprefix("@northwindhelp ").replace(story.order, "{order}")
        said.setdefault((story.language, story.topic), []).append(text)
    for (language, topic), texts in said.items():
        first_round = texts[: len(lines(language, topic))]
        assert len(set(first_round)) == len(first_round)
    active = [story.handle for story in lived.world.acting.values() if story.stage is not Stage.DONE]
    assert len(active) == len(set(active)) <= len(CUSTOMERS)


def test_the_network_speaks_many_languages_in_public_and_in_private_with_pictures_and_company() -> None:
    lived = Lived(seconds=5, crowd=60)
    for _ in range(60):
        lived.live(minutes=1)
        for story in list(lived.world.stories.values()):
            if story.stage is Stage.WAITING and story.nudges:
                lived.reply(lived.in_thread(story.thread)[-1])
    posts = list(lived.world.posts.values())
    assert {post.language for post in posts if not post.ours} >= {"en", "de", "es", "fr", "ja"}
    assert any(post.direct for post in posts)
    assert any(post.picture and post.alt for post in posts)
    asides = [post for post in posts if post.aside]
    assert any(post.in_reply_to == asides[0].id for post in posts)
    told = [post for post in posts if not (post.ours or post.aside)]
    assert any(post.handle != lived.world.stories[post.thread].handle for post in told)
    assert {story.topic for story in lived.world.stories.values()} >= {"praise", "spam", "question", "late_delivery"}
