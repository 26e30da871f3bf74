"""Pictures go ahead of the post that carries them; one that is never posted is dropped by X within a day.

Rules: docs.x.com, "Upload media" (one request for images up to 5 MB, in parts above `_WHOLE`), "Media metadata".
"""

import asyncio
from typing import Any

from app.connectors.base import Picture
from app.connectors.wire import uploading
from app.connectors.x_api import Api
from app.errors import ChannelDown, Malformed, Refused
from app.i18n import N_

_WHOLE = 1_000_000  # bytes that go in one request; more goes in parts, so that a slow line loses less
_PART = 1_000_000  # bytes of a part; X takes up to 5 MB
_LOOKS = 10
_LONGEST_PAUSE = 5.0  # seconds between two looks


async def uploaded(api: Api, pictures: tuple[Picture, ...], *, direct: bool) -> list[str]:
    """The ids of the pictures, once they are there."""
    with uploading():
        return [await _upload(api, picture, "dm_image" if direct else "tweet_image") for picture in pictures]


async def _upload(api: Api, picture: Picture, category: str) -> str:
    if len(picture.content) <= _WHOLE:
        file = {"media": ("picture", picture.content, picture.kind)}
        told = {"media_category": category, "media_type": picture.kind}
        answer = await api.upload("/2/media/upload", files=file, data=told)
    else:
        answer = await _in_parts(api, picture, category)
    name = _id(answer)
    await _processed(api, name, answer)
    if picture.alt:
        await api.upload("/2/media/metadata", json={"id": name, "metadata": {"alt_text": {"text": picture.alt}}})
    return name


async def _in_parts(api: Api, picture: Picture, category: str) -> Any:
    begun = {"media_category": category, "media_type": picture.kind, "total_bytes": len(picture.content)}
    name = _id(await api.upload("/2/media/upload/initialize", json=begun))
    for number, start in enumerate(range(0, len(picture.content), _PART)):
        part = {"media": ("part", picture.content[start : start + _PART], "application/octet-stream")}
        await api.upload(f"/2/media/upload/{name}/append", files=part, data={"segment_index": number})
    return await api.upload(f"/2/media/upload/{name}/finalize")


async def _processed(api: Api, name: str, answer: Any) -> None:
    """Wait until X has worked on the picture, where it says that it does."""
    for _ in range(_LOOKS):
        data = answer.get("data")
        info = data.get("processing_info") if isinstance(data, dict) else None
        state = info.get("state") if isinstance(info, dict) else "succeeded"
        if state == "succeeded":
            return
        if state == "failed":
            raise Refused(N_("X cannot use one of the pictures. Try another one."))
        pause = info.get("check_after_secs") if isinstance(info, dict) else None
        await asyncio.sleep(min(pause if isinstance(pause, int | float) else 1.0, _LONGEST_PAUSE))
        answer = await api.get("media", "/2/media/upload", {"media_id": name, "command": "STATUS"})
    raise ChannelDown(N_("X has not finished with a picture yet. It is tried again later."))


def _id(answer: Any) -> str:
    data = answer.get("data")
    name = data.get("id") if isinstance(data, dict) else None
    if not isinstance(name, str) or not name:
        raise Malformed(N_("X took a picture but did not say how it is called."))
    return name
