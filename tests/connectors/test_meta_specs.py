"""Edges, parameters and fields that are asked of Meta stand in Meta's own specification."""

import json
import re
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.connectors.base import KnownPost, Visibility
from app.connectors.testing.fake import FakeChannel
from app.connectors.testing.steps import answer, asked, drain, placed, send, tried
from app.errors import ConnectorError
from tests.connectors.fakes.facebook import PEOPLE, FakeAll, FakeComments, FakeMessenger, FakePage, FakeWall
from tests.connectors.fakes.instagram import FakeIgComments, FakeIgTags, FakeInstagram
from tests.connectors.fakes.meta import IG, PAGE

SPECS = Path(__file__).parents[3] / "shared" / "specs" / "meta"
ALWAYS = {"fields", "limit", "after", "appsecret_proof"}  # of any edge
BESIDE = {"replies", "comments"}  # edges that are asked for as fields
pytestmark = pytest.mark.skipif(not SPECS.is_dir(), reason="the published specifications are not at hand")


def spec(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((SPECS / f"{name}.json").read_text())
    return found


def edges(name: str) -> dict[tuple[str, str], set[str]]:
    """Method and edge (`#get` and the like: the object itself) to the parameters that it takes."""
    return {
        (one["method"], one.get("endpoint") or one["name"]): {param["name"] for param in one["params"]}
        for one in spec(name)["apis"]
    }


def kind_of(fake: FakePage, name: str) -> str:
    """The specification of the object with this id."""
    if name in {PAGE, IG}:
        return "Page" if name == PAGE else "IGUser"
    if name.startswith("t_"):
        return "UnifiedThread"
    kinds = {"post": "PagePost", "comment": "Comment", "media": "IGMedia", "igcomment": "IGComment"}
    return kinds[fake.things[name]["_kind"]]


def top_level(fields: str) -> set[str]:
    """`id,from{id},replies.limit(5){id}` -> id, from, replies."""
    while (flat := re.sub(r"\{[^{}]*\}|\([^()]*\)|\.[a-z_]+(?=[,.{(]|$)", "", fields)) != fields:
        fields = flat
    return set(fields.split(","))


def known_person(name: str) -> bool:
    return name in PEOPLE.values()  # the User Profile API: not in the specification


async def work(fake: FakeChannel) -> None:
    """Whatever a feed of this variant does."""
    await fake.connector.check(fake.link())
    await drain(fake, {})
    post = await asked(fake)
    reply = answer(fake, post) if fake.connector.able(post.ref).reply else None
    if reply is not None:
        sent = await send(fake, reply)
        await fake.connector.find_sent(fake.link(), tried(fake, reply))
        await fake.connector.look_again(fake.link(), [KnownPost(post.external_id, post.ref)])
        if fake.connector.hideable(post.ref):
            await fake.connector.hide(fake.link(), KnownPost(post.external_id, post.ref), hidden=True)
        if post.visibility is Visibility.PUBLIC:
            await send(fake, answer(fake, post, visibility=Visibility.DIRECT))
            await fake.connector.delete(fake.link(), placed(sent, reply, fake))


@pytest.mark.parametrize(
    "make", [FakeComments, FakeWall, FakeMessenger, FakeAll, FakeIgComments, FakeIgTags, FakeInstagram]
)
async def test_every_request_is_one_of_the_specification(make: type[FakePage]) -> None:
    fake = make()
    before = dict(fake.things)
    try:
        await work(fake)
    except ConnectorError as error:
        pytest.fail(error.message)
    fake.things = before | fake.things
    for request in fake.requests:
        _require_known(fake, request)


def _require_known(fake: FakePage, request: httpx.Request) -> None:
    name, _, edge = request.url.path.split("/", 2)[2].partition("/")
    if known_person(name) or (name not in fake.things and name not in {PAGE, IG} and not name.startswith("t_")):
        return
    kind = kind_of(fake, name)
    own = {"GET": "#get", "POST": "#update", "DELETE": "#delete"}[request.method]
    takes = edges(kind)
    assert (request.method, edge or own) in takes, f"{request.method} {kind}/{edge}"
    body = json.loads(request.content) if request.content else {}
    given = {*request.url.params, *body} - ALWAYS
    assert given <= takes[request.method, edge or own], f"{kind}/{edge} takes no {given}"
    if not edge and "fields" in request.url.params:
        assert top_level(request.url.params["fields"]) <= {one["name"] for one in spec(kind)["fields"]} | BESIDE


LISTED = {"feed": "PagePost", "visitor_posts": "PagePost", "tagged": "PagePost", "media": "IGMedia", "tags": "IGMedia"}


async def test_the_fields_of_listed_objects_are_those_of_the_specification() -> None:
    for make in (FakeAll, FakeIgComments, FakeIgTags):
        fake = make()
        await drain(fake, {})
        for request in fake.requests:
            edge = request.url.path.rpartition("/")[2]
            kind = LISTED.get(edge) or {"comments": "Comment" if make is FakeAll else "IGComment"}.get(edge)
            if kind is not None:
                known = {one["name"] for one in spec(kind)["fields"]} | BESIDE | {"attachments"}
                assert top_level(request.url.params["fields"]) <= known
