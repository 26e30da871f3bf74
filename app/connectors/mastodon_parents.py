"""The statuses above one: docs.joinmastodon.org/methods/statuses/#context.

Mastodon gives them in one call. Some other makes give an empty context; there the way leads parent by parent.
"""

from urllib.parse import quote

from pydantic import ValidationError

from app.connectors.base import MOST_PARENTS, IncomingAuthor, IncomingPost, Json
from app.connectors.mastodon_api import Gone, Server
from app.connectors.mastodon_posts import read_post
from app.connectors.mastodon_threads import Placed

CLIMB = 5  # levels where each is a call of its own


async def above(server: Server, path: str, me: IncomingAuthor | None) -> tuple[IncomingPost, ...]:
    """The posts above the status that the server keeps under this path, the topmost first. Raises ConnectorError."""
    try:
        found = (await server.get_object(f"{path}/context")).get("ancestors")
        chain = [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []
        chain = chain or await _climbed(server, path)
    except Gone:
        return ()  # the status itself went
    posts, parent = list[IncomingPost](), None
    for raw in chain[-MOST_PARENTS:]:
        try:
            post = read_post(raw, Placed(str(raw.get("uri")), parent), me, server.host)
        except ValidationError:
            continue  # some makes answer with less than the API promises
        posts.append(post)
        parent = post.external_id
    return tuple(posts)


async def _climbed(server: Server, path: str) -> list[Json]:
    """Parent by parent, the topmost first; one that is gone ends the way."""
    chain: list[Json] = []
    lowest = await server.get_object(path)
    for _ in range(CLIMB):
        parent = (chain[0] if chain else lowest).get("in_reply_to_id")
        if not parent:
            break
        try:
            chain.insert(0, await server.get_object(f"/api/v1/statuses/{quote(str(parent), safe='')}"))
        except Gone:
            break
    return chain
