"""Search: what an agent waits for an answer among 1,000,000 posts in six scripts.

`app.queries.search.search` is called as the page calls it, by people who see all, and by one who sees a queue with one
item in five hundred. The questions are a mix with the worst of each kind among them: a word of every third post, the
same with a mark that hardly any post has, two common words that never stand together, two characters of Japanese, a
phrase, only what is not, a name with a mistake, an old page. Each counts the same in the 95th percentile. The twin,
taken by turns with them, is one bare query by the same index for a rare word.
"""

import random
import statistics
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import psycopg
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from app.db import create_engine, sessionmaker
from app.flow.enter_search import enter_search
from app.models.agent import Agent, Role, Team, TeamMember
from app.models.queue import Queue
from app.queries.asked import parse
from app.queries.search import Place, search
from bench.harness import Company, Result, connect, make_company, percentile, settle, spread

GOAL_MS = 200.0  # 95th percentile
GOAL = 1.0  # of that
AT_ONCE = 5_000
RARE = "quizzaciously"  # one post in fifty thousand
SHARE = 500  # one item in so many is in the queue of the one who sees little
COMMON = {
    "en": [
        "my",
        "tent",
        "arrived",
        "torn",
        "refund",
        "please",
        "order",
        "late",
        "parcel",
        "still",
        "waiting",
        "nobody",
        "answers",
        "thanks",
        "again",
    ],
    "de": [
        "mein",
        "Zelt",
        "kam",
        "zerrissen",
        "an",
        "bitte",
        "erstatten",
        "Bestellung",
        "Paket",
        "wartet",
        "niemand",
        "antwortet",
        "Frühjahr",
        "danke",
    ],
    "ja": ["テントが", "破れて", "届きました", "返金", "交換", "をお願いします", "注文番号", "箱", "まだ待っています"],
    "th": ["เต็นท์", "ขาด", "ขอเงินคืน", "คำสั่งซื้อ", "ยังรอ", "ขอบคุณ"],
    "ar": ["خيمتي", "وصلت", "ممزقة", "أريد", "استرداد", "المال", "الطلب", "متأخر", "شكرا"],
    "ko": ["텐트가", "찢어진", "채로", "왔어요", "환불해", "주세요", "주문", "아직", "기다려요"],
}
SPOKEN = ["en"] * 10 + ["de"] * 4 + ["ja"] * 3 + ["th", "ar", "ko"]
FIRST = ["lena", "ada", "marta", "finn", "ayumi", "diego", "camille", "gareth", "sofia", "amira", "jonas", "priya"]
LAST = ["brandt", "lovelace", "nowak", "eriksen", "sato", "ruiz", "roy", "pugh", "prieto", "haddad", "weber", "shah"]

_PEOPLE = """
    WITH people AS (
        INSERT INTO customer (name) SELECT initcap(w.first || ' ' || w.last) FROM named w ORDER BY n RETURNING id, name
    )
    INSERT INTO author (channel, external_id, customer_id, handle, name)
    SELECT 'webhook', 'seeded-' || id, id, '@' || lower(replace(name, ' ', '_')) || id, name FROM people
"""
_SAID = """
    WITH given AS (
        SELECT s.*, (SELECT min(id) FROM author) + s.n %% {authors} AS author_id, now() - make_interval(secs => {posts} - n) AS at,
               CASE WHEN n %% {share} = 0 THEN {small} ELSE {queue} END AS queue_id
        FROM said s
    ), rooms AS (
        INSERT INTO conversation (id, channel, external_id, customer_id, feed_id) OVERRIDING SYSTEM VALUE
        SELECT n, 'webhook', 'seeded-' || n, author_id, {feed} FROM given
    ), posts AS (
        INSERT INTO post (channel, external_id, conversation_id, author_id, feed_id, kind, visibility, text, language,
                          media, posted_at, received_at)
        SELECT 'webhook', 'seeded-' || n, n, author_id, {feed}, 'mention', 'public', text, language,
               CASE WHEN n %% 20000 = 7 THEN '[{{"kind": "image", "url": "https://example.com/a.jpg"}}]'::jsonb ELSE '[]' END, at, at
        FROM given ORDER BY n RETURNING id, conversation_id, author_id, posted_at
    )
    INSERT INTO item (conversation_id, author_id, customer_id, channel, language, opened_at, state, queue_id, priority,
                      lane, rank, ready_at, due_at, post_id, ended_at)
    SELECT p.conversation_id, p.author_id, p.author_id, 'webhook', g.language, p.posted_at,
           CASE WHEN g.n %% 20 = 0 THEN 'queued' ELSE 'closed' END, g.queue_id, 3, g.queue_id::text, p.posted_at,
           p.posted_at, p.posted_at, p.id, p.posted_at
    FROM posts p JOIN given g ON g.n = p.conversation_id
"""


@dataclass(frozen=True, slots=True)
class Size:
    """How much is measured."""

    posts: int = 1_000_000
    authors: int = 100_000
    rounds: int = 9
    repeats: int = 2  # of each question in a round


TINY = Size(posts=300, authors=30, rounds=2, repeats=1)


@dataclass(frozen=True, slots=True)
class People:
    """Who looks."""

    admin: Agent
    agent: Agent
    limited: Agent  # sees one item in SHARE


@dataclass(slots=True)
class Round:
    """Milliseconds of each question, and of the bare query."""

    ours: dict[str, list[float]] = field(default_factory=dict)
    bare: list[float] = field(default_factory=list)

    @property
    def all(self) -> list[float]:
        """Of all questions together."""
        return [one for times in self.ours.values() for one in times]


def questions(people: People) -> dict[str, tuple[Agent, str]]:
    """What is asked, and by whom."""
    return {
        "a rare word": (people.agent, RARE),
        "a common word": (people.agent, "tent"),
        "a common word, seeing all": (people.admin, "tent"),
        "a common word, seeing little": (people.limited, "tent"),
        "a rare word, seeing little": (people.limited, RARE),
        "three common words": (people.agent, "refund order thanks"),
        "two common words that never meet": (people.agent, "tent Zelt"),
        "a common word with rare media": (people.agent, "tent has:media"),
        "a common word in a language it is not in": (people.agent, "tent lang:ko"),
        "a common word by somebody": (people.agent, "tent from:lena_brandt"),
        "a beginning": (people.agent, "ref"),
        "two characters of Japanese": (people.agent, "返金"),
        "one character of Japanese": (people.agent, "箱"),
        "six characters of Japanese": (people.agent, "お願いします"),
        "two characters of Japanese, seeing little": (people.limited, "返金"),
        "Thai": (people.agent, "เงินคืน"),
        "Arabic": (people.agent, "استرداد المال"),
        "a common phrase": (people.agent, '"arrived torn"'),
        "a phrase that nobody said": (people.agent, '"torn tent my"'),
        "only what is not": (people.agent, "-tent"),
        "a common word that waits": (people.agent, "tent state:queued"),
        "a common word in a state nobody is in": (people.agent, "tent state:parked"),
        "a common word, long ago": (people.agent, "tent before:2026-11-15"),
        "a queue alone": (people.agent, "queue:small"),
        "a name": (people.agent, "lena brandt"),
        "a name with a mistake": (people.agent, "lenna brant"),
        "a name with a mistake, seeing little": (people.limited, "garet pugh"),
    }


async def measure(url: str, size: Size | None = None) -> Result:
    """Fill the database at `url` (migrated and empty) and measure."""
    size = size or Size()
    engine = create_engine(url, pool_size=2)
    raw = await connect(url)
    try:
        sessions = sessionmaker(engine)
        people = await _seed(raw, sessions, size)
        began = time.perf_counter()
        await _enter(sessions)
        print(f"search: {size.posts / (time.perf_counter() - began):.0f} posts a second were entered")
        await settle(url)
        rounds = [await _round(raw, sessions, people, size) for _ in range(size.rounds + 1)][1:]  # the first warms up
    finally:
        await raw.close()
        await engine.dispose()
    return _told(rounds)


def _told(rounds: list[Round]) -> Result:
    for name in rounds[0].ours:
        times = [one for each in rounds for one in each.ours[name]]
        print(f"search: {name}: median {statistics.median(times):.0f} ms, p95 {percentile(times, 0.95):.0f} ms")
    p95 = [percentile(each.all, 0.95) for each in rounds]
    bare = [statistics.median(each.bare) for each in rounds]
    ratios = [statistics.median(each.all) / statistics.median(each.bare) for each in rounds]
    print(f"search: p95 of all {spread(p95, 0)} ms, goal {GOAL_MS:.0f}; bare query {spread(bare, 1)} ms")
    print(f"search: the median question over the bare query {spread(ratios, 1)}")
    return Result("search", statistics.median(p95) / GOAL_MS, GOAL, at_least=False)


async def _round(
    raw: psycopg.AsyncConnection[Any], sessions: async_sessionmaker[AsyncSession], people: People, size: Size
) -> Round:
    found = Round()
    for name, (who, typed) in questions(people).items():
        for _ in range(size.repeats):
            found.ours.setdefault(name, []).append(await _ask(sessions, who, typed))
            found.bare.append(await _bare(raw))
    found.ours["the fifth page"] = [await _ask(sessions, people.agent, "tent", pages=5)]
    return found


async def _ask(sessions: async_sessionmaker[AsyncSession], who: Agent, typed: str, pages: int = 1) -> float:
    """Milliseconds of a question; of its last page, when it is asked for several."""
    after: Place | None = None
    took = 0.0
    for _ in range(pages):
        begin = time.perf_counter()
        async with sessions.begin() as session:
            after = (await search(session, who, parse(typed), after)).after
        took = time.perf_counter() - begin
    return took * 1000


async def _bare(raw: psycopg.AsyncConnection[Any]) -> float:
    begin = time.perf_counter()
    found = await raw.execute(
        "SELECT e.ref_id, e.at, p.text FROM search_entry e JOIN post p ON p.id = e.ref_id "
        "WHERE e.words @@ %s::tsquery ORDER BY e.at DESC LIMIT 31",
        [f"'{RARE}'"],
        prepare=True,
    )
    await found.fetchall()
    return (time.perf_counter() - begin) * 1000


async def _seed(raw: psycopg.AsyncConnection[Any], sessions: async_sessionmaker[AsyncSession], size: Size) -> People:
    async with sessions() as session:
        company = await make_company(session, agents=3)
        people, small = await _people(session, company)
        await session.commit()
    async with raw.transaction():
        await raw.execute("SET LOCAL session_replication_role = replica")
        await raw.execute("CREATE TEMP TABLE named (n int, first text, last text)")
        async with raw.cursor().copy("COPY named FROM STDIN") as copy:
            for n in range(size.authors):
                await copy.write_row((n, random.choice(FIRST), random.choice(LAST)))
        await raw.execute(_PEOPLE)
        await raw.execute("CREATE TEMP TABLE said (n int, text text, language text)")
        async with raw.cursor().copy("COPY said FROM STDIN") as copy:
            for row in _said(size.posts):
                await copy.write_row(row)
        known = {
            "authors": size.authors, "posts": size.posts, "share": SHARE, "small": small, "queue": company.queue_ids[0],
            "feed": company.feed_id,
        }  # fmt: skip
        await raw.execute(_SAID.format(**known).replace("%%", "%"))
        await raw.execute("INSERT INTO search_pending (kind, ref_id) SELECT 'person', id FROM author")
        await raw.execute("INSERT INTO search_pending (kind, ref_id) SELECT 'post', id FROM post ORDER BY id")
    return people


async def _people(session: AsyncSession, company: Company) -> tuple[People, int]:
    """The three who look, and the queue of the one who sees little."""
    team = Team(name="Small")
    session.add(team)
    await session.flush()
    queue = Queue(name="Small", team_id=team.id)
    session.add(queue)
    await session.flush()
    admin, agent, limited = [await session.get_one(Agent, key) for key in company.agent_ids]
    admin.role = Role.ADMIN
    await session.execute(text("DELETE FROM team_member WHERE agent_id = :id"), {"id": limited.id})
    session.add(TeamMember(team_id=team.id, agent_id=limited.id))
    session.add(TeamMember(team_id=team.id, agent_id=agent.id))
    await session.flush()
    return People(admin, agent, limited), queue.id


def _said(posts: int) -> Iterator[tuple[int, str, str]]:
    """Posts of a dozen words: most of them common in their language, some of a long tail."""
    for n in range(1, posts + 1):
        language = random.choice(SPOKEN)
        joined = "" if language in {"ja", "th"} else " "
        words = random.choices(COMMON[language], k=9)
        words += [f"{language}{random.randrange(50_000)}", str(n)]
        said = joined.join(words) + (f" {RARE}" if n % 50_000 == 9 else "")
        yield n, said, language


async def _enter(sessions: async_sessionmaker[AsyncSession]) -> None:
    entered = 1
    while entered:
        async with sessions.begin() as session:
            entered = await enter_search(session, AT_ONCE)
