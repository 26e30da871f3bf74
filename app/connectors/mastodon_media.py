"""Pictures go ahead of the status that carries them. One whose status is never posted is dropped by the server in a day.

Rules: docs.joinmastodon.org/methods/media (v2 answers 202 while a file is processed, GET answers 206 until it is done).
"""

import asyncio
from collections.abc import Sequence

from app.connectors.base import Json, Picture
from app.connectors.mastodon_api import Gone, Server
from app.connectors.wire import uploading
from app.errors import ChannelDown, Malformed
from app.i18n import N_

_LOOKS = 10
_PAUSE = 1.0  # seconds between two looks


async def uploaded(server: Server, pictures: Sequence[Picture]) -> Json:
    """What a status says of its pictures, once they are there; empty without any."""
    with uploading():
        ids = [await _upload(server, picture, number) for number, picture in enumerate(pictures, 1)]
    return {"media_ids": ids} if ids else {}


async def _upload(server: Server, picture: Picture, number: int) -> str:
    name = f"picture-{number}.{picture.kind.rpartition('/')[2]}"
    file, told = {"file": (name, picture.content, picture.kind)}, {"description": picture.alt}
    try:
        taken = await server.upload("/api/v2/media", file, told)
    except Gone:
        taken = await server.upload("/api/v1/media", file, told)  # other makes, and servers of before 2020
    known = taken.get("id")
    if not isinstance(known, str | int):
        raise Malformed(N_("%(host)s took a picture but did not say how it is called.") % {"host": server.host})
    if taken.get("url") is None:
        await _processed(server, str(known))
    return str(known)


async def _processed(server: Server, name: str) -> None:
    for _ in range(_LOOKS):
        if (await server.get_object(f"/api/v1/media/{name}")).get("url") is not None:
            return
        await asyncio.sleep(_PAUSE)
    raise ChannelDown(
        N_("%(host)s has not finished with a picture yet. It is tried again later.") % {"host": server.host}
    )
