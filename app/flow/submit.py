"""Submit: what somebody wrote on a form becomes a post, and they may get a receipt by mail.

The receipt's words are ours alone, and an address gets one an hour at most: whoever types somebody else's address can
neither say anything to them nor fill their mailbox.
"""

from datetime import timedelta
from hashlib import sha256

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.connectors.base import Batch
from app.connectors.form import FormSettings, Submission, post_of
from app.flow.deliver import deliver
from app.flow.patience import take_turn
from app.flow.say import say, way_to
from app.i18n import _
from app.models.feed import Feed
from app.models.item import OPEN_STATES, Item
from app.models.post import Post

SUBMISSIONS = 5  # from one network address in a row
WITHIN = timedelta(minutes=15)
RECEIPT_EVERY = timedelta(hours=1)


async def may_submit(session: AsyncSession, feed_id: int, address: str) -> timedelta | None:
    """None when somebody at this network address may submit now, else how long they have to wait."""
    return await take_turn(session, f"form:{feed_id}:{address}", SUBMISSIONS, WITHIN)


async def submit(session: AsyncSession, feed: Feed, given: Submission) -> None:
    """Store what was filled in, once for each reference, and send the receipt."""
    settings = FormSettings.model_validate(feed.settings)
    post = post_of(given, settings.title)
    done = await deliver(session, feed, Batch(posts=(post,), delivery_id=given.reference))
    if done.new and settings.receipt and given.address and feed.account_id is not None:
        await _send_receipt(session, feed, given)


async def _send_receipt(session: AsyncSession, feed: Feed, given: Submission) -> None:
    named = sha256(given.address.encode()).hexdigest()
    if await take_turn(session, f"receipt:{named}", 1, RECEIPT_EVERY) is not None:
        return
    asked = (
        select(Item)
        .join(Post, Post.conversation_id == Item.conversation_id)
        .where(Post.channel == feed.channel, Post.external_id == f"form:{given.reference}")
        .where(Item.state.in_(OPEN_STATES))
    )
    item = await session.scalar(asked)
    way = await way_to(session, item) if item is not None else None
    if item is not None and way is not None:
        await say(session, item, way, receipt_words(given.reference))


def receipt_words(reference: str) -> str:
    """What a receipt says, in the reader's language."""
    return _(
        "We have received your message and will answer to this address. Its reference is %(reference)s.\n\n"
        "If you did not write to us, somebody gave your address by mistake; there is nothing you need to do."
    ) % {"reference": reference}
