"""POST /feeds/{id}/posts: a program brings posts with its token, and is told of each what became of it."""

from collections import Counter

from fastapi import APIRouter

from app.api.door import AdminWriter, Db
from app.api.schemas import PushAsked, PushedGiven, PushGiven
from app.flow.push import Outcome, push
from app.telemetry import posts_ingested

router = APIRouter(prefix="/feeds/{feed_id}/posts", tags=["feeds"])


@router.post("")
async def pushed(db: Db, _me: AdminWriter, feed_id: int, asked: PushAsked) -> PushGiven:
    """Bring posts, and changes of posts, to a feed of the channel Webhook; for tokens of an admin.

    Each entry has its own result, in the order given; one that is not acceptable hinders no other. The same `id` again
    is the same post, so a request may be repeated.
    """
    results = await push(db, feed_id, asked.posts, quiet=asked.history)
    counts = Counter(one.outcome for one in results)
    posts_ingested.labels(channel="webhook").inc(counts[Outcome.NEW])
    return PushGiven(counts=dict(counts), results=[PushedGiven.model_validate(one) for one in results])
