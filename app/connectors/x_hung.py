"""What hangs on a post of X beside pictures and cards: the post that it quotes, and its poll.

Shapes: OpenAPI of the X API v2, `Poll` and the expansions `referenced_tweets.id` and `attachments.poll_ids`.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime

from app.connectors.base import IncomingAuthor, Json, Media, Poll, Quote


def polls_of(attachments: Json, polls: Mapping[str, Json]) -> Iterator[Media]:
    """The polls that came along with a page, of those that a post names."""
    names = attachments.get("poll_ids")
    for name in names if isinstance(names, list) else ():
        told = polls.get(str(name), {}).get("options")
        options = [one for one in told if isinstance(one, dict)] if isinstance(told, list) else []
        votes = [one["votes"] for one in options if isinstance(one.get("votes"), int)]
        if options:
            labels = tuple(str(one.get("label") or "") for one in options)
            yield Media("poll", "", poll=Poll(labels, tuple(votes) if len(votes) == len(options) else ()))


def quote_of(author: IncomingAuthor, text: str, url: str, at: datetime, language: str | None) -> Media:
    """A post that another one quotes."""
    return Media("quote", url, text, None, author.name or author.handle, quote=Quote(author.handle, at, language))
