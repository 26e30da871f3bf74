"""The simulated network's world: posts and stories. Pure: no file, no socket, no clock but the one it is told.

Everything that happens is a row (JSON); a world is what its rows say, so rows written down and read again give the same
world, and the same seed gives the same customers.
"""

import base64
import hashlib
import random
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import islice
from typing import Any

from app.demo.people import CUSTOMERS, SPAMMERS, US, Person
from app.demo.posts import NetChange, NetPost
from app.demo.posts import from_row as read_post
from app.demo.story import (
    Patience,
    Stage,
    Story,
    after,
    answered,
    as_row,
    impatient,
    line_for,
    reacting,
)
from app.demo.story import from_row as read_story
from app.demo.voice import TOPICS, Line, lines

Row = dict[str, Any]

_WEIGHTS = {"late_delivery": 20, "double_charge": 13, "wrong_size": 12, "broken_zip": 14, "app_crash": 11}
_OTHER_WEIGHT = {"praise": 8, "question": 11, "wish_to_buy": 8, "spam": 3}
_CHANCES = tuple((_WEIGHTS | _OTHER_WEIGHT)[topic] for topic in TOPICS)
_PRIVATE = {"double_charge": 0.5, "late_delivery": 0.15, "wrong_size": 0.15, "app_crash": 0.15}
_NAMES_US = 0.6  # chances
_ECHOED = 0.12
_REGRETTED = 0.12  # of the stories whose first post is changed later, or taken back
_OVERHEARD = 0.1  # of the public stories: the first post answers somebody who did not write about us
_TAKEN_BACK = 0.35  # of those
_FAST_START = 8  # the first openings come within seconds: an empty screen explains nothing
_PAUSE = timedelta(minutes=2)  # time in which nobody looked at the world stands still


@dataclass(frozen=True, slots=True)
class Pace:
    """How much goes on. Openings come every `seconds` on average, fewer while `crowd` customers wait."""

    seconds: float = 14
    crowd: int = 40
    patience: Patience = field(default_factory=Patience)


class Gone(Exception):
    """The post that somebody wants to answer does not stand on the network (any more)."""


class World:
    """All posts and stories. `advance` lets customers act; whatever changes anything returns its rows."""

    def __init__(self, seed: int = 1, rows: Iterable[Row] = (), pace: Pace | None = None) -> None:
        """Build the world that the rows tell of."""
        self.seed = seed
        self.pace = pace or Pace()
        self.posts: dict[int, NetPost] = {}
        self.stories: dict[int, Story] = {}
        self.order: list[int] = []  # ids of the posts that stand, ascending
        self.acting: dict[int, Story] = {}  # stories that go on by themselves
        self.by_key: dict[str, int] = {}
        self.ours: set[int] = set()  # ids of all that we ever wrote, gone or not
        self.changes: list[NetChange] = []
        self.pictures: dict[str, bytes] = {}  # ours, by their content's name
        self.last_id = 0
        self.told = 0
        self.opened: Counter[tuple[str, str]] = Counter()
        self.next_opening: datetime | None = None
        self.last_at: datetime | None = None
        for row in rows:
            self._take(row)

    # -- what customers do

    def advance(self, now: datetime) -> list[Row]:
        """Everything that customers do up to now, in the order of time."""
        self._wake(now)
        rows: list[Row] = []
        while (due := self._next_due(now)) is not None:
            moment, story = due
            rows += self._open(moment) if story is None else self._go_on(story, moment)
        self.last_at = now
        return rows

    def _wake(self, now: datetime) -> None:
        """After a pause everybody goes on as if it had not been, or a week's nudges would come at once."""
        if self.last_at is not None and now - self.last_at > _PAUSE:
            gap = now - self.last_at
            for story in list(self.acting.values()):
                self._tell(
                    replace(
                        story,
                        due=_later(story.due, gap),
                        echo=_later(story.echo, gap),
                        regret=_later(story.regret, gap),
                    )
                )
            self.next_opening = None
        if self.next_opening is None:
            self.next_opening = now + timedelta(seconds=1)

    def _next_due(self, now: datetime) -> tuple[datetime, Story | None] | None:
        moments: list[tuple[datetime, Story | None]] = []
        for story in self.acting.values():
            moments += [(when, story) for when in (story.due, story.echo, story.regret) if when and when <= now]
        if self.next_opening and self.next_opening <= now:
            moments.append((self.next_opening, None))
        return min(moments, key=lambda pair: (pair[0], pair[1].thread if pair[1] else 0), default=None)

    def _open(self, at: datetime) -> list[Row]:
        """Somebody who has nothing open writes about something new, unless too many wait already."""
        chance = self._chance("open")
        few = len(self.opened) and self.opened.total() >= _FAST_START
        self.next_opening = at + timedelta(seconds=self.pace.seconds * chance.uniform(0.6, 1.4) if few else 2)
        if sum(story.stage is Stage.WAITING for story in self.acting.values()) >= self.pace.crowd:
            return []
        topic = chance.choices(TOPICS, _CHANCES)[0]
        busy = {story.handle for story in self.acting.values()}
        free = [one for one in (SPAMMERS if topic == "spam" else CUSTOMERS) if one.handle not in busy]
        return self._opening(chance.choice(free), topic, at, chance) if free else []

    def _opening(self, who: Person, topic: str, at: datetime, chance: random.Random) -> list[Row]:
        line = self._fresh_line(who.language, topic)
        order = f"NW-{chance.randrange(10_000, 99_999)}"
        direct = chance.random() < _PRIVATE.get(topic, 0.0)
        text = line.text.format(order=order)
        if not direct and chance.random() < _NAMES_US:
            text = f"@{US.handle} {text}"
        rows = [] if direct or topic == "spam" else self._talk(who, at)
        patient = topic in {"praise", "spam"}
        story = Story(
            thread=self.last_id + 1,
            handle=who.handle,
            topic=topic,
            language=who.language,
            order=order,
            stage=Stage.DONE if patient else Stage.WAITING,
            direct=direct,
            due=None if patient else after(chance, at, self.pace.patience.nudge),
            echo=after(chance, at, self.pace.patience.echo) if self._echoes(topic, chance, direct=direct) else None,
            regret=self._regret(at) if topic != "spam" else None,
        )
        above = self.posts[self.last_id] if rows else None
        return rows + self._say(
            who.handle, text, at, language=who.language, direct=direct, parent=above, line=line, story=story
        )

    def _talk(self, who: Person, at: datetime) -> list[Row]:
        """Now and then somebody else asks around, and the customer's story begins with an answer to that."""
        chance = self._chance("talk")
        others = [one for one in CUSTOMERS if one.language == who.language and one.handle != who.handle]
        if chance.random() >= _OVERHEARD:
            return []
        text = line_for(who.language, "aside", chance).text
        return self._say(chance.choice(others).handle, text, at, language=who.language, aside=True)

    def _regret(self, at: datetime) -> datetime | None:
        chance = self._chance("regret")
        return after(chance, at, self.pace.patience.regret) if chance.random() < _REGRETTED else None

    @staticmethod
    def _echoes(topic: str, chance: random.Random, *, direct: bool) -> bool:
        return not direct and topic in {"late_delivery", "app_crash", "broken_zip"} and chance.random() < _ECHOED

    def _fresh_line(self, language: str, topic: str) -> Line:
        """Each line of a topic once, in an order of its own, before any comes again."""
        said = lines(language, topic)
        round_, index = divmod(self.opened[topic, language], len(said))
        order = list(range(len(said)))
        random.Random(f"{self.seed}/{topic}/{language}/{round_}").shuffle(order)  # noqa: S311 - a play, no secret
        return said[order[index]]

    def _go_on(self, story: Story, at: datetime) -> list[Row]:
        chance = self._chance("go on")
        if story.echo and story.echo <= at:
            return self._echo(replace(story, echo=None), at, chance)
        if story.regret and story.regret <= at:
            return self._think_again(replace(story, regret=None), at, chance)
        act = reacting if story.stage is Stage.ANSWERED else impatient
        turn, changed = act(story, at, chance, self.pace.patience)
        text = line_for(story.language, turn, chance).text.format(order=story.order)
        parent = self._last_in(story.thread, ours=story.stage is Stage.ANSWERED)
        if parent is None:  # its posts were deleted: nothing to go on with
            return self._note(replace(story, stage=Stage.DONE, due=None, echo=None))
        return self._say(story.handle, text, at, language=story.language, parent=parent, story=changed)

    def _echo(self, story: Story, at: datetime, chance: random.Random) -> list[Row]:
        others = [one for one in CUSTOMERS if one.language == story.language and one.handle != story.handle]
        parent = self.posts.get(story.thread)
        if parent is None:
            return self._note(story)
        text = line_for(story.language, "echo", chance).text
        return self._say(chance.choice(others).handle, text, at, language=story.language, parent=parent, story=story)

    def _think_again(self, story: Story, at: datetime, chance: random.Random) -> list[Row]:
        """Take the first post back as long as nobody answered it, or add the number of the order to it."""
        post = self.posts.get(story.thread)
        if post is None:
            return self._note(story)
        alone = story.rounds == 0 and self._last_in(story.thread, ours=False) == post
        if alone and chance.random() < _TAKEN_BACK:
            over = replace(story, stage=Stage.DONE, due=None, echo=None)
            return self.remove(post.id, at) + self._note(over)
        if story.order in post.text:
            return self._note(story)
        return self.edit(post.id, f"{post.text} ({story.order})", at) + self._note(story)

    def _last_in(self, thread: int, *, ours: bool) -> NetPost | None:
        standing = [post for post in self.posts.values() if post.thread == thread]
        wanted = [post for post in standing if post.ours == ours]
        return max(wanted or standing, key=lambda post: post.id, default=None)

    def _chance(self, what: str) -> random.Random:
        return random.Random(f"{self.seed}/{what}/{self.told}/{self.opened.total()}")  # noqa: S311 - a play, no secret

    # -- what we do

    def reply(
        self,
        now: datetime,
        key: str,
        text: str,
        in_reply_to: int,
        *,
        direct: bool,
        media: tuple[tuple[str, str], ...] = (),
    ) -> tuple[NetPost, list[Row]]:
        """Our answer under that post; the same key again gives the same post and no row. Raises Gone."""
        if key and key in self.by_key:
            return self.posts[self.by_key[key]], []
        parent = self.posts.get(in_reply_to)
        if parent is None:
            raise Gone
        story = self.stories.get(parent.thread)
        if story is not None:
            story = answered(story, text, now, self._chance("answered"), self.pace.patience)
        rows = self._say(
            US.handle,
            text,
            now,
            language="",
            direct=direct or parent.direct,
            parent=parent,
            story=story,
            key=key,
            media=media,
        )
        return self.posts[self.last_id], rows

    def keep_picture(self, content: bytes) -> tuple[str, list[Row]]:
        """A picture of ours, called by its content: the same again is no row."""
        name = hashlib.sha256(content).hexdigest()[:32]
        if name in self.pictures:
            return name, []
        row: Row = {"picture": {"id": name, "content": base64.b64encode(content).decode()}}
        self._take(row)
        return name, [row]

    def speak(
        self,
        now: datetime,
        handle: str,
        text: str,
        *,
        parent: int | None = None,
        direct: bool = False,
        aside: bool = False,
        language: str = "",
    ) -> tuple[NetPost, list[Row]]:
        """Somebody says something that is in no story: a visitor of the network's page, or a test."""
        above = self.posts[parent] if parent else None
        rows = self._say(handle, text, now, language=language, direct=direct, aside=aside, parent=above)
        return self.posts[self.last_id], rows

    def remove(self, number: int, at: datetime | None = None) -> list[Row]:
        """An author takes a post back, now or at that time."""
        row: Row = {"removed": number, "at": (at or self.last_at or self.posts[number].at).isoformat()}
        self._take(row)
        return [row]

    def edit(self, number: int, text: str, at: datetime) -> list[Row]:
        """An author changes what a post says."""
        row: Row = {"edited": number, "text": text, "at": at.isoformat()}
        self._take(row)
        return [row]

    # -- rows

    def _say(
        self,
        handle: str,
        text: str,
        at: datetime,
        *,
        language: str,
        direct: bool = False,
        aside: bool = False,
        parent: NetPost | None = None,
        line: Line | None = None,
        story: Story | None = None,
        key: str = "",
        media: tuple[tuple[str, str], ...] = (),
    ) -> list[Row]:
        number = self.last_id + 1
        post = NetPost(
            id=number,
            thread=parent.thread if parent and not parent.aside else number,
            handle=handle,
            text=text,
            at=at,
            language=language,
            in_reply_to=parent.id if parent else None,
            direct=direct or bool(parent and parent.direct),
            picture=line.picture if line else "",
            alt=line.alt if line else "",
            key=key,
            aside=aside,
            media=media,
        )
        row: Row = {"post": post.as_row()}
        if story is not None:
            row["story"] = as_row(story)
        self._take(row)
        return [row]

    def _note(self, story: Story) -> list[Row]:
        row: Row = {"story": as_row(story)}
        self._take(row)
        return [row]

    def _take(self, row: Row) -> None:
        """The only place where the world changes its posts and stories."""
        self.told += 1
        if "post" in row:
            self._stand(read_post(row["post"]))
        if "story" in row:
            self._tell(read_story(row["story"]))
        if "picture" in row:
            self.pictures[row["picture"]["id"]] = base64.b64decode(row["picture"]["content"])
        if "removed" in row:
            gone = self.posts.pop(row["removed"], None)
            self.order = list(self.posts)
            if gone is not None and "at" in row:
                self._change(gone.id, None, row["at"])
        if "edited" in row and (post := self.posts.get(row["edited"])) is not None:
            self.posts[post.id] = replace(post, text=row["text"])
            self._change(post.id, row["text"], row["at"])

    def _change(self, post: int, text: str | None, at: str) -> None:
        self.changes.append(NetChange(len(self.changes) + 1, post, text, datetime.fromisoformat(at)))

    def _tell(self, story: Story) -> None:
        if story.thread not in self.stories:
            self.opened[story.topic, story.language] += 1
        self.stories[story.thread] = story
        self.acting.pop(story.thread, None)
        if story.due or story.echo or story.regret:
            self.acting[story.thread] = story

    def _stand(self, post: NetPost) -> None:
        self.posts[post.id] = post
        if post.ours:
            self.ours.add(post.id)
        self.order.append(post.id)
        self.last_id = max(self.last_id, post.id)
        self.last_at = max(self.last_at or post.at, post.at)
        if post.key:
            self.by_key[post.key] = post.id

    # -- what can be read

    def since(self, number: int, limit: int) -> tuple[list[NetPost], bool]:
        """Posts after that one that may concern us, oldest first, and whether there are more."""
        waiting = (self.posts[one] for one in self.order[bisect_right(self.order, number) :])
        found = list(islice((post for post in waiting if not post.aside), limit + 1))
        return found[:limit], len(found) > limit

    def above(self, number: int) -> list[NetPost]:
        """The posts above that one, the topmost first, up to one that is gone."""
        chain: list[NetPost] = []
        post = self.posts.get(number)
        while post is not None and (post := self.posts.get(post.in_reply_to or 0)) is not None:
            chain.insert(0, post)
        return chain

    def changed_since(self, number: int, limit: int) -> tuple[list[NetChange], bool]:
        """Changes after that one, oldest first, and whether there are more."""
        return self.changes[number : number + limit], len(self.changes) > number + limit


def _later(when: datetime | None, gap: timedelta) -> datetime | None:
    return when + gap if when else None
