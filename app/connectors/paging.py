"""Reading a list page by page, a few pages a call."""

from collections.abc import Awaitable, Callable, Iterable

from app.connectors.base import IncomingPost
from app.errors import ConnectorError


def oldest_first(posts: Iterable[IncomingPost]) -> tuple[IncomingPost, ...]:
    """In the order of a batch; those of one moment always in the same order."""
    return tuple(sorted(posts, key=lambda post: (post.posted_at, post.external_id)))


async def read_pages(
    page: Callable[[], Awaitable[None]],
    most: int,
    enough: Callable[[], bool],
    forgiven: Callable[[ConnectorError], bool] = lambda _: False,
) -> None:
    """Read at most so many pages, until it is enough. Raises what the first page meets, unless that is forgiven.

    What a later one meets ends the reading: what was read is paid for and kept, and the next call meets the same trouble
    first.
    """
    for number in range(most):
        try:
            await page()
        except ConnectorError as error:
            if number == 0 and not forgiven(error):
                raise
            return
        if enough():
            return
