"""Lists of topics: those that a feed is about (a category, a tag, an inbox), newest activity first.

Rules: docs.discourse.org ("Get the latest topics", "Get a list of private messages for a user"). Lists take `category`,
`tags[]`, `max_posts` and `page` as well (lib/topic_query.rb, public_valid_options), and name the address of their next page
in `more_topics_url`. They leave out what their user has muted.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from app.connectors.base import Json
from app.connectors.discourse_api import Forum

MOST_PAGES = 10  # of one list, in one call
_PER_PAGE = 100  # the most that a forum gives; older ones give 30 whatever is asked


class Topic(BaseModel):
    """An entry of a list."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    id: int = Field(ge=1)
    created_at: AwareDatetime
    bumped_at: AwareDatetime | None = None
    posts_count: int = 1
    title: str = ""
    pinned: bool = False
    closed: bool = False
    archived: bool = False
    visible: bool = True

    @property
    def active_at(self) -> datetime:
        """When somebody last wrote there."""
        return self.bumped_at or self.created_at


def narrowed(settings: Any) -> bool:
    """Whether a feed is about some topics only."""
    return bool(settings.is_direct or settings.category or settings.tag)


async def active_since(forum: Forum, settings: Any, since: datetime) -> tuple[set[int], bool]:
    """The ids of the feed's topics with activity since then, and whether the lists went that far. Raises ConnectorError."""
    path, asked = _activity(forum, settings)
    found, whole = await listed(forum, path, asked, lambda topic: not topic.pinned and topic.active_at < since)
    return {topic.id for topic in found}, whole


async def listed(
    forum: Forum, path: str, asked: dict[str, Any], enough: Callable[[Topic], bool]
) -> tuple[list[Topic], bool]:
    """The topics of a list down to the page where one is `enough`; whether MOST_PAGES went that far. Raises ConnectorError."""
    found: list[Topic] = []
    answer = await forum.get(path, **asked)
    for page in range(1, MOST_PAGES + 1):
        topics, more = _read(forum, answer)
        found += topics
        if not more or any(enough(topic) for topic in topics):
            return found, True
        if page < MOST_PAGES:
            answer = await forum.follow(more)
    return found, False


def about(settings: Any) -> dict[str, Any]:
    """What narrows a list of public topics."""
    asked: dict[str, Any] = {"per_page": _PER_PAGE}
    asked |= {"category": settings.category} if settings.category else {}
    return asked | ({"tags[]": settings.tag} if settings.tag else {})


def _activity(forum: Forum, settings: Any) -> tuple[str, dict[str, Any]]:
    if not settings.is_direct:
        return "/latest.json", about(settings) | {"order": "activity"}
    if settings.group:
        return f"/topics/private-messages-group/{forum.username}/{settings.group}.json", {}
    return f"/topics/private-messages/{forum.username}.json", {}


def _read(forum: Forum, answer: Json) -> tuple[list[Topic], str]:
    held = answer.get("topic_list")
    listed = held.get("topics") if isinstance(held, dict) else None
    if not isinstance(held, dict) or not isinstance(listed, list):
        raise forum.odd()
    topics = []
    for raw in listed:
        try:
            topics.append(Topic.model_validate(raw))
        except ValidationError as error:
            raise forum.odd() from error  # a topic that cannot be placed must not be left out in silence
    more = held.get("more_topics_url")
    return topics, more if isinstance(more, str) and topics else ""
