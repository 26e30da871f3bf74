"""The admin pages: who gets in, what was typed is kept, each error stands beside its field."""

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute
from sqlalchemy import func, insert, select
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from app.flow.first_run import first_run_code
from app.models.account import Account
from app.models.agent import Agent, Skill
from app.models.feed import Feed, Quarantine
from app.models.queue import Queue
from app.models.rule import Rule
from app.vault import Vault
from app.web.admin.router import router
from tests.web.conftest import Browser, House

SignIn = Callable[[str], Awaitable[Browser]]
Sessions = async_sessionmaker[AsyncSession]
BLOG = {"channel": "rss", "name": "Blog", "s-url": "https://blog.example.com/feed.xml", "enabled": "on"}
INTERVALS = {"min_interval": "15", "max_interval": "300"}


def routes() -> list[tuple[str, str]]:
    """Every admin route, with ids filled in."""
    found = []
    waiting: list[Any] = list(router.routes)
    while waiting:
        route = waiting.pop()
        if isinstance(route, APIRoute):
            path = re.sub(r"\{[a-z_]+\}", "1", route.path)
            found += [(method, path) for method in sorted(route.methods or ())]
        else:
            waiting += route.original_router.routes
    return found


async def test_there_are_admin_routes_to_try() -> None:
    assert len(routes()) > 35


@pytest.mark.parametrize("who", ["agent", "supervisor"])
async def test_every_admin_route_is_closed_to_who_is_no_admin(sign_in: SignIn, who: str) -> None:
    browser = await sign_in(who)

    for method, path in routes():
        headers = {"x-csrf": browser.csrf}
        answer = await browser.http.request(method, path, headers=headers)
        assert answer.status_code == 403, (method, path)


async def test_every_admin_route_sends_a_stranger_to_the_sign_in_page(sign_in: SignIn) -> None:
    nobody = await sign_in("")

    for method, path in routes():
        answer = await nobody.http.request(method, path)
        assert answer.status_code == 303, (method, path)
        assert answer.headers["location"].startswith("/login"), (method, path)


async def test_no_admin_route_changes_anything_without_the_pages_token(sign_in: SignIn) -> None:
    browser = await sign_in("admin")

    for method, path in routes():
        if method != "GET":
            answer = await browser.http.request(method, path)
            assert answer.status_code == 403, (method, path)
            elsewhere = {"x-csrf": browser.csrf, "sec-fetch-site": "cross-site"}
            answer = await browser.http.request(method, path, headers=elsewhere)
            assert answer.status_code == 403, (method, path)


async def test_every_page_draws(sign_in: SignIn) -> None:
    admin = await sign_in("admin")

    for path in ("feeds", "feeds/new", "feeds/new?channel=rss", "feeds/new?channel=mastodon", "feeds/new?channel=bluesky",
                 "feeds/new?channel=webhook", "accounts", "accounts/new?channel=bluesky", "accounts/new?channel=mastodon",
                 "accounts/new?channel=webhook", "rules", "rules/new", "queues", "queues/new", "skills", "teams", "reasons", "agents",
                 "agents/new"):  # fmt: skip
        answer = await admin.get(f"/admin/{path}")
        assert answer.status_code == 200, (path, answer.text)
    assert (await admin.get("/admin")).headers["location"] == "/admin/feeds"


async def test_what_does_not_exist_is_not_found(sign_in: SignIn) -> None:
    admin = await sign_in("admin")

    for path in (
        "feeds/99",
        "accounts/99",
        "rules/99",
        "queues/99",
        "skills/99",
        "teams/99",
        "reasons/99",
        "agents/99",
        "feeds/new?channel=no",
    ):
        assert (await admin.get(f"/admin/{path}")).status_code == 404, path


async def test_a_skill_is_made_renamed_and_removed_without_script(sign_in: SignIn, sessions: Sessions) -> None:
    admin = await sign_in("admin")

    assert (await admin.send("/admin/skills", {"name": "German"})).status_code == 303
    async with sessions() as session:
        skill = (await session.scalars(select(Skill))).one()
    page = await admin.get(f"/admin/skills/{skill.id}")
    assert (
        await admin.send(f"/admin/skills/{skill.id}", {"name": "Deutsch", "seen": _seen(page)}, "PUT")
    ).status_code == 303
    stale = await admin.send(f"/admin/skills/{skill.id}", {"name": "Allemand", "seen": _seen(page)}, "PUT")
    assert stale.status_code == 409
    assert "Somebody else changed Deutsch" in stale.text
    assert (await admin.send(f"/admin/skills/{skill.id}", method="DELETE")).status_code == 303
    async with sessions() as session:
        assert (await session.scalars(select(Skill))).all() == []


async def test_a_form_with_errors_keeps_what_was_typed_and_says_each_beside_its_field(
    sign_in: SignIn, sessions: Sessions
) -> None:
    admin = await sign_in("admin")

    answer = await admin.send(
        "/admin/queues",
        {"name": "", "team_id": "", "target": "soon", "target_share": "101", "boosts": ["1", "2", "3", "4", "5"]},
    )

    assert answer.status_code == 422
    assert 'value="soon"' in answer.text
    assert 'value="101"' in answer.text
    assert answer.text.count("aria-invalid") == 4
    assert "This is needed." in answer.text
    assert "At most 100." in answer.text
    async with sessions() as session:
        assert await session.scalar(select(func.count()).select_from(Queue)) == 2


async def test_a_refused_verb_leaves_nothing_behind(sign_in: SignIn, house: House, sessions: Sessions) -> None:
    """The queue would be made before its members are found wanting: nothing of it may stay."""
    admin = await sign_in("admin")
    page = await admin.get("/admin/queues/new")
    assert 'value="240"' in page.text

    answer = await admin.send("/admin/queues", _queue("Returns", house) | {"members": ["999"]})

    assert answer.status_code == 422
    assert "One of the members has left" in answer.text
    async with sessions() as session:
        assert set(await session.scalars(select(Queue.name))) == {"Billing", "Orders"}


async def test_a_queue_is_made_and_changed(sign_in: SignIn, house: House, sessions: Sessions) -> None:
    admin = await sign_in("admin")

    assert (await admin.send("/admin/queues", _queue("Returns", house))).status_code == 303
    async with sessions() as session:
        queue = (await session.scalars(select(Queue).where(Queue.name == "Returns"))).one()
    page = await admin.get(f"/admin/queues/{queue.id}")
    changed = _queue("Returns", house) | {"target": "60", "seen": _seen(page), "members": [str(house.ids["agent"])]}
    assert (await admin.send(f"/admin/queues/{queue.id}", changed, "PUT")).status_code == 303
    assert "checked" in (await admin.get(f"/admin/queues/{queue.id}")).text
    async with sessions() as session:
        assert (await session.get_one(Queue, queue.id)).target == 60


async def test_how_a_queue_routes_is_set_in_lines_and_a_bad_line_is_named(
    sign_in: SignIn, house: House, sessions: Sessions
) -> None:
    admin = await sign_in("admin")
    routing = _queue("Returns", house) | {
        "policy": "skilled", "channel_weights": "mastodon: 2\r\n", "raises": "followers 10000: 60\r\nsays down: 5",
        "overflow_queue_id": str(house.billing), "overflow_after": "60", "prefer_seconds": "30",
    }  # fmt: skip

    bad = await admin.send("/admin/queues", routing | {"channel_weights": "mastodon: two"})
    assert bad.status_code == 422
    assert "&#39;mastodon: two&#39;: write a channel" in bad.text
    assert (await admin.send("/admin/queues", routing)).status_code == 303
    async with sessions() as session:
        queue = (await session.scalars(select(Queue).where(Queue.name == "Returns"))).one()
    page = await admin.get(f"/admin/queues/{queue.id}")
    assert "followers 10000: 60\nsays down: 5</textarea>" in page.text
    assert f'<option value="{house.billing}" selected>Billing</option>' in page.text
    assert f'<option value="{queue.id}"' not in page.text  # never to itself
    assert (queue.channel_weights, queue.overflow_after, queue.prefer_seconds) == ({"mastodon": 2}, 60, 30)


async def test_an_agent_is_made_given_a_password_and_switched_off(
    sign_in: SignIn, house: House, sessions: Sessions
) -> None:
    admin = await sign_in("admin")
    who = {"name": "Ayumi", "email": "ayumi@example.com", "role": "agent", "capacity": "3", "language": "en",
           "timezone": "Asia/Tokyo", "active": "on", "teams": [str(house.care)]}  # fmt: skip

    short = await admin.send("/admin/agents", who | {"password": "short"})
    assert short.status_code == 422
    assert "8 to 200 characters" in short.text
    assert 'value="ayumi@example.com"' in short.text
    assert (await admin.send("/admin/agents", who | {"password": "battery staple"})).status_code == 303
    async with sessions() as session:
        agent = (await session.scalars(select(Agent).where(Agent.email == "ayumi@example.com"))).one()
    assert (await admin.send(f"/admin/agents/{agent.id}/password", {"password": "x"}, "PUT")).status_code == 422
    assert (await admin.send(f"/admin/agents/{agent.id}/password", {"password": "new horse"}, "PUT")).status_code == 303
    page = await admin.get(f"/admin/agents/{agent.id}")
    off = who | {"active": "", "seen": _seen(page)}
    assert (await admin.send(f"/admin/agents/{agent.id}", off, "PUT")).status_code == 303
    nobody = await sign_in("")
    answer = await nobody.http.post("/login", data={"email": "ayumi@example.com", "password": "new horse"})
    assert answer.status_code == 401


async def test_the_last_admin_cannot_lock_everybody_out(sign_in: SignIn, house: House) -> None:
    admin = await sign_in("admin")
    who = {"name": "Admin", "email": "admin@example.com", "role": "agent", "capacity": "5", "language": "en",
           "timezone": "UTC", "active": "on"}  # fmt: skip

    answer = await admin.send(f"/admin/agents/{house.ids['admin']}", who, "PUT")

    assert answer.status_code == 409  # no `seen`: an empty one is stale
    page = await admin.get(f"/admin/agents/{house.ids['admin']}")
    answer = await admin.send(f"/admin/agents/{house.ids['admin']}", who | {"seen": _seen(page)}, "PUT")
    assert answer.status_code == 422
    assert "Admin is the last admin" in answer.text


async def test_a_rule_is_made_moved_switched_off_and_removed(sign_in: SignIn, house: House, sessions: Sessions) -> None:
    admin = await sign_in("admin")
    queue = str(house.billing)

    for name in ("First", "Second"):
        sent = {"name": name, "enabled": "on", "priority": "2", "queue_id": queue, "languages": "de, fr",
                "contains": "invoice\nRechnung", "kinds": ["mention", "direct"], "tags": "money"}  # fmt: skip
        assert (await admin.send("/admin/rules", sent)).status_code == 303
    async with sessions() as session:
        first, second, last = (await session.scalars(select(Rule).order_by(Rule.position))).all()
    assert first.conditions == {
        "kinds": ["mention", "direct"], "contains": ["invoice", "Rechnung"], "languages": ["de", "fr"]
    }  # fmt: skip
    assert (await admin.send(f"/admin/rules/{second.id}/position", {"step": "up", "seen": "2"})).status_code == 303
    stale = await admin.send(f"/admin/rules/{second.id}/position", {"step": "up", "seen": "2"})
    assert stale.status_code == 409
    assert (await admin.send(f"/admin/rules/{last.id}", method="DELETE")).status_code == 409
    page = await admin.get("/admin/rules")
    assert "French" in page.text
    seen = re.search(rf'/admin/rules/{first.id}/enabled.*?name="seen" value="(\w+)"', page.text, re.DOTALL)
    assert seen is not None
    off = await admin.send(f"/admin/rules/{first.id}/enabled", {"enabled": "", "seen": seen[1]}, "PUT")
    assert off.status_code == 303
    assert (await admin.send(f"/admin/rules/{first.id}", method="DELETE")).status_code == 303
    async with sessions() as session:
        assert (await session.scalars(select(Rule.name).order_by(Rule.position))).all() == ["Second", "Everything else"]


async def test_a_rule_relaxes_by_lines_and_says_so_in_its_sentence(
    sign_in: SignIn, house: House, sessions: Sessions
) -> None:
    admin = await sign_in("admin")
    await admin.send("/admin/skills", {"name": "German <b>"})
    async with sessions() as session:
        skill = (await session.scalars(select(Skill))).one().id
    sent = {"name": "German", "enabled": "on", "priority": "2", "queue_id": str(house.billing), f"skill-{skill}": "3",
            "emergency": "on", "steps": "after 2 min German <b> 2\r\nafter 5 min without German <b>"}  # fmt: skip

    unneeded = await admin.send("/admin/rules", sent | {f"skill-{skill}": ""})
    assert unneeded.status_code == 422
    assert "the rule does not need German &lt;b&gt;" in unneeded.text
    assert (await admin.send("/admin/rules", sent)).status_code == 303
    page = (await admin.get("/admin/rules")).text
    words = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", "", page))
    assert "needs German &lt;b&gt; ≥ 3, after 2 min German &lt;b&gt; 2 is enough, after 5 min without German" in words
    assert "as an emergency" in words
    async with sessions() as session:
        rule = (await session.scalars(select(Rule).where(Rule.name == "German"))).one()
    form = await admin.get(f"/admin/rules/{rule.id}")
    assert "after 2 min German &lt;b&gt; 2\nafter 5 min without German" in form.text
    again = sent | {"steps": "after 3 min German <b> 1", "emergency": "", "seen": _seen(form)}
    assert (await admin.send(f"/admin/rules/{rule.id}", again, "PUT")).status_code == 303
    async with sessions() as session:
        rule = await session.get_one(Rule, rule.id)
    assert (rule.steps, rule.emergency) == ([{"after": 180, "skill": str(skill), "level": 1}], False)


async def test_bounds_and_dangers_stand_on_the_pages_where_they_are_made(sign_in: SignIn, house: House) -> None:
    admin = await sign_in("admin")
    calm = await admin.get("/admin/queues")
    assert "How long an item can be overtaken" in calm.text
    assert "Deadlock." not in calm.text
    await admin.send("/admin/skills", {"name": "German"})
    page = await admin.get("/admin/rules/new")
    skill = re.search(r'name="skill-(\d+)"', page.text)
    assert skill is not None
    sent = {"name": "<b>German", "enabled": "on", "priority": "2", "queue_id": str(house.billing),
            f"skill-{skill[1]}": "3"}  # fmt: skip
    assert (await admin.send("/admin/rules", sent)).status_code == 303

    for path in ("queues", "rules"):
        text = (await admin.get(f"/admin/{path}")).text
        assert "Deadlock." in text
        assert "could ever take what rule &#39;&lt;b&gt;German&#39; sends to Billing: it needs German 3" in text
        assert "Give an agent of the queue what is missing" in text


async def test_an_agent_carries_so_many_of_a_channel(sign_in: SignIn, house: House, sessions: Sessions) -> None:
    admin = await sign_in("admin")
    page = await admin.get(f"/admin/agents/{house.ids['agent']}")
    who = {"name": "Agent", "email": "agent@example.com", "role": "agent", "capacity": "5", "language": "en",
           "timezone": "UTC", "active": "on", "seen": _seen(page), "channel_caps": "bluesky: 1\r\nRSS: 0"}  # fmt: skip
    where = f"/admin/agents/{house.ids['agent']}"

    bad = await admin.send(where, who | {"channel_caps": "pigeon: 1"}, "PUT")
    assert bad.status_code == 422
    assert "there is no channel pigeon" in bad.text
    assert (await admin.send(where, who, "PUT")).status_code == 303
    assert "bluesky: 1\nrss: 0</textarea>" in (await admin.get(where)).text
    async with sessions() as session:
        assert (await session.get_one(Agent, house.ids["agent"])).channel_caps == {"bluesky": 1, "rss": 0}


async def test_a_bad_pattern_is_told_in_re2s_words_and_kept_in_the_field(sign_in: SignIn, house: House) -> None:
    admin = await sign_in("admin")

    answer = await admin.send(
        "/admin/rules", {"name": "Late", "queue_id": str(house.billing), "priority": "1", "matches": "(late"}
    )

    assert answer.status_code == 422
    assert "is not a pattern that RE2 knows: missing ): (late" in answer.text
    assert 'value="(late"' in answer.text


async def test_markup_in_names_and_patterns_is_shown_not_run(sign_in: SignIn, house: House) -> None:
    admin = await sign_in("admin")
    evil = "<script>alert(1)</script>"

    await admin.send("/admin/skills", {"name": evil})
    sent = {
        "name": evil,
        "enabled": "on",
        "priority": "1",
        "queue_id": str(house.billing),
        "author": evil,
        "tags": evil,
    }
    assert (await admin.send("/admin/rules", sent)).status_code == 303

    for path in ("skills", "rules", "rules/new"):
        page = (await admin.get(f"/admin/{path}")).text
        assert "<script>alert" not in page
        assert "&lt;script&gt;alert" in page


async def test_a_feed_is_drawn_from_its_model_made_and_switched_off(sign_in: SignIn, sessions: Sessions) -> None:
    admin = await sign_in("admin")

    form = (await admin.get("/admin/feeds/new?channel=rss")).text
    assert "Feed address" in form
    bad = await admin.send("/admin/feeds", BLOG | INTERVALS | {"s-url": "blog.example.com"})
    assert bad.status_code == 422
    assert "starts with https" in bad.text
    assert 'value="blog.example.com"' in bad.text
    made = await admin.send("/admin/feeds", BLOG | INTERVALS)
    assert made.status_code == 303
    where = made.headers["location"]
    page = await admin.get(where)
    assert "It has not been fetched yet" in page.text
    for live in (await admin.get(where + "/health"), await admin.get("/admin/feeds/health")):
        assert "It has not been fetched yet" in live.text
        assert "<form" not in live.text
    renamed = BLOG | INTERVALS | {"name": "Our blog", "seen": _seen(page)}
    assert (await admin.send(where, renamed, "PUT")).status_code == 303
    assert (await admin.send(where + "/polls")).status_code == 303
    assert (await admin.send(where + "/enabled", {"enabled": ""}, "PUT")).status_code == 303
    off = await admin.send(where + "/polls")
    assert off.status_code == 409
    assert "Switch it on first" in off.text
    async with sessions() as session:
        feed = (await session.scalars(select(Feed))).one()
    assert (feed.name, feed.enabled) == ("Our blog", False)


async def test_credentials_go_in_and_never_come_out_but_a_secret_we_made_is_shown_once(
    sign_in: SignIn, sessions: Sessions
) -> None:
    admin = await sign_in("admin")

    made = await admin.send("/admin/accounts", {"channel": "webhook", "account": "Shop"})
    assert made.status_code == 201
    secret = re.search(r"whsec_[A-Za-z0-9+/=]+", made.text)
    assert secret is not None
    async with sessions() as session:
        account = (await session.scalars(select(Account))).one()
    for path in ("accounts", f"accounts/{account.id}", "feeds/new?channel=webhook"):
        assert "whsec_" not in (await admin.get(f"/admin/{path}")).text.replace("whsec_ followed", "")
    kept = {"channel": "webhook", "account": "The shop", "reply_url": "https://shop.example.com/in"}
    assert (await admin.send(f"/admin/accounts/{account.id}", kept, "PUT")).status_code == 303
    page = (await admin.get(f"/admin/accounts/{account.id}")).text
    assert "https://shop.example.com/in" in page
    bad = await admin.send(f"/admin/accounts/{account.id}", {"account": "", "secret": "tooshortasecret"}, "PUT")
    assert bad.status_code == 422
    assert "tooshortasecret" not in bad.text
    assert (await admin.send(f"/admin/accounts/{account.id}", method="DELETE")).status_code == 303


async def test_quarantine_lists_retries_and_drops(sign_in: SignIn, sessions: Sessions) -> None:
    admin = await sign_in("admin")
    where = (await admin.send("/admin/feeds", BLOG | INTERVALS)).headers["location"]
    async with sessions.begin() as session:
        feed = (await session.scalars(select(Feed))).one()
        rows = [
            {"feed_id": feed.id, "external_id": x, "reason": f"No date in {x}.", "payload": {"a": "<b>"}} for x in "xy"
        ]
        await session.execute(insert(Quarantine), rows)
        ids = list(await session.scalars(select(Quarantine.id).order_by(Quarantine.id)))

    assert "No date in x." in (await admin.get(where)).text
    assert (await admin.send(f"{where}/quarantine/{ids[0]}/retry")).status_code == 303
    assert (await admin.send(f"{where}/quarantine/{ids[1]}", method="DELETE")).status_code == 303
    assert "Nothing is in quarantine" in (await admin.get(where)).text
    assert (await admin.send(f"{where}/quarantine/{ids[1]}", method="DELETE")).status_code == 404


async def test_the_first_run_page_is_dead_once_there_is_an_admin(sign_in: SignIn) -> None:
    nobody = await sign_in("")

    assert (await nobody.get("/first-run")).status_code == 404
    assert (await nobody.send("/first-run", {"name": "Eve"})).status_code == 404


async def test_the_first_run_page_asks_for_the_code_makes_the_admin_and_dies(app: FastAPI) -> None:
    code = first_run_code(Vault.load(app.state.settings))
    who = {
        "name": "Ruth",
        "email": "ruth@example.com",
        "timezone": "Europe/Berlin",
        "queue": "Care",
        "password": "correct horse",
    }
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1:8000") as http:
        assert (await http.get("/first-run")).status_code == 200
        wrong = await http.post("/first-run", data=who | {"code": "AAAA-AAAA-AAAA"})
        assert wrong.status_code == 422
        assert "That is not the code" in wrong.text
        assert 'value="ruth@example.com"' in wrong.text
        made = await http.post("/first-run", data=who | {"code": code, "role": "agent"})
        assert made.status_code == 303
        assert (await http.get("/first-run")).status_code == 404
        signed = await http.post("/login", data={"email": "ruth@example.com", "password": "correct horse"})
        assert signed.status_code == 303
        assert (await http.get("/admin/rules")).status_code == 200


def _seen(page: httpx.Response) -> str:
    return page.text.rpartition('name="seen" value="')[2].partition('"')[0]


def _queue(name: str, house: House) -> dict[str, str | list[str]]:
    return {
        "name": name, "team_id": str(house.care), "target": "900", "target_share": "80", "active": "on",
        "served_by": "rank", "boosts": ["240", "60", "0", "-60", "-240"], "weight": "1", "offer_seconds": "30",
        "reoffer_after": "300", "misses_limit": "2", "undo_seconds": "10", "reopen_within": "604800",
    }  # fmt: skip


FEED = b"""<?xml version="1.0"?><rss version="2.0"><channel><title>Northwind blog</title>
<item><guid>urn:one</guid><title>New tents &lt;b&gt;</title><description>They are here.</description></item></channel></rss>"""


@pytest.fixture
async def blog() -> AsyncIterator[str]:
    """A little web server on loopback with one feed."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked = (await reader.readuntil(b"\r\n\r\n")).split(b" ")[1]
        found = asked == b"/feed.xml"
        head = b"HTTP/1.1 200 OK" if found else b"HTTP/1.1 404 Not Found"
        body = FEED if found else b"no"
        writer.write(head + b"\r\nContent-Type: application/rss+xml\r\nConnection: close\r\n")
        writer.write(b"Content-Length: %d\r\n\r\n" % len(body) + body)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def test_a_connection_is_tried_with_what_was_typed_and_nothing_is_kept(
    sign_in: SignIn, sessions: Sessions, blog: str
) -> None:
    admin = await sign_in("admin")
    asked = BLOG | INTERVALS | {"do": "check"}

    works = await admin.send("/admin/feeds", asked | {"s-url": f"{blog}/feed.xml"})
    fails = await admin.send("/admin/feeds", asked | {"s-url": f"{blog}/gone.xml"})

    assert "Northwind blog can be read. Entries: 1." in works.text
    assert "They are here." in works.text
    assert "The connection does not work." in fails.text
    assert "There is no feed at" in fails.text
    assert f'value="{blog}/gone.xml"' in fails.text
    async with sessions() as session:
        assert (await session.scalars(select(Feed))).all() == []


async def test_a_stored_feeds_connection_is_tried(sign_in: SignIn, blog: str) -> None:
    admin = await sign_in("admin")
    where = (await admin.send("/admin/feeds", BLOG | INTERVALS | {"s-url": f"{blog}/feed.xml"})).headers["location"]

    answer = await admin.send(f"{where}/check")

    assert answer.status_code == 200
    assert "The connection works" in answer.text
    assert "New tents" in answer.text


async def test_a_private_address_is_not_reached_unless_the_operator_allows_it(
    sign_in: SignIn, app: FastAPI, blog: str
) -> None:
    admin = await sign_in("admin")
    app.state.settings = app.state.settings.model_copy(update={"allow_hosts": ""})

    answer = await admin.send("/admin/feeds", BLOG | INTERVALS | {"do": "check", "s-url": f"{blog}/feed.xml"})

    assert "CARELINE_ALLOW_HOSTS" in answer.text
    assert "They are here." not in answer.text
