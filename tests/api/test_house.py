"""/feeds/{id}/house: a feed's rules of the house, for programs of an admin."""

from collections.abc import Awaitable, Callable

import httpx

Program = Callable[..., Awaitable[httpx.AsyncClient]]


async def test_an_admin_reads_and_changes_the_rules_of_a_feed(feed_id: int, program: Program) -> None:
    admin = await program("admin")

    changed = await admin.put(f"/feeds/{feed_id}/house", json={"wanted": ["northwind"], "followers_min": 5})
    read = (await admin.get(f"/feeds/{feed_id}/house")).json()

    assert (changed.status_code, read["house"]["wanted"], read["house"]["followers_min"]) == (200, ["northwind"], 5)
    assert read["left_out"] == {}


async def test_what_is_not_acceptable_is_refused_by_name(feed_id: int, program: Program) -> None:
    admin = await program("admin")

    assert (await admin.put(f"/feeds/{feed_id}/house", json={"wanted": ["("]})).status_code == 422
    assert (await admin.put(f"/feeds/{feed_id}/house", json={"wishes": []})).status_code == 422
    assert (await admin.put("/feeds/999/house", json={})).status_code == 404


async def test_nobody_else_does(feed_id: int, program: Program) -> None:
    agent, reading = await program("agent"), await program("admin", writes=False)

    assert (await agent.get(f"/feeds/{feed_id}/house")).status_code == 403
    assert (await agent.put(f"/feeds/{feed_id}/house", json={})).status_code == 403
    assert (await reading.put(f"/feeds/{feed_id}/house", json={})).status_code == 403
