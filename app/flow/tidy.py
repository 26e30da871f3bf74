"""Tidy: drop what nobody needs any more. Called every minute, so each time it is little."""

from datetime import timedelta

from sqlalchemy import delete, func, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.flow import left_out, notices, viewing, watch
from app.flow.ending import tell_ending
from app.flow.hear import drop_old_likeness
from app.flow.import_file import drop_drafts
from app.flow.parents import TROUBLE_KEPT
from app.models.agent import SignIn, Throttle
from app.models.assignment import Offer
from app.models.bulk import BulkRun
from app.models.change import PostLook
from app.models.context import ParentFetch
from app.models.feed import Delivery

DELIVERIES_KEPT = timedelta(days=7)  # far longer than the five minutes in which a signed delivery is taken
SIGN_INS_KEPT = timedelta(days=1)  # after their end
THROTTLES_KEPT = timedelta(days=1)
LOOKS_KEPT = timedelta(days=2)  # posts of open items are looked at every few minutes
BULK_KEPT = timedelta(days=7)  # what was done to many items, so that a form sent twice does it once
MOST_WIPED = 500  # deleted posts in one go
MOST_EMPTIED = 5_000  # decisions in one go

# The post's row stays, so that it is known when a feed brings it again, and so does who wrote it, and when.
_WIPE = text(
    """
    WITH due AS (
        SELECT id, channel, external_id FROM post_change
        WHERE deleted AND wiped_at IS NULL AND seen_at <= now() - CAST(:kept AS interval)
        ORDER BY seen_at LIMIT :most FOR UPDATE SKIP LOCKED
    ), emptied AS (
        UPDATE post p SET text = '', title = '', html = NULL, media = '[]', payload = '{}'
        FROM due d WHERE p.channel = d.channel AND p.external_id = d.external_id
    ), above AS (
        UPDATE context_post p SET text = '', title = '', html = NULL, media = '[]'
        FROM due d WHERE p.channel = d.channel AND p.external_id = d.external_id
    ), forgotten AS (
        DELETE FROM translation t USING post p, due d
        WHERE p.channel = d.channel AND p.external_id = d.external_id AND t.post_id = p.id
    ), unheard AS (
        DELETE FROM signal s USING post p, due d
        WHERE p.channel = d.channel AND p.external_id = d.external_id AND s.post_id = p.id
    ), thrown_away AS (
        DELETE FROM post_file f USING post p, due d
        WHERE p.channel = d.channel AND p.external_id = d.external_id AND f.post_id = p.id
    )
    UPDATE post_change c
    SET text = '', title = NULL, html = NULL, media = NULL, wiped_at = CASE WHEN c.deleted THEN now() END
    FROM due d WHERE c.channel = d.channel AND c.external_id = d.external_id
    """
)


async def tidy(session: AsyncSession, why_days: int, wipe_days: int | None = None) -> None:
    """Drop deliveries, files never imported, sign-ins, failed tries, notices and watches that are long over, and empty decisions older than `why_days`.

    What deleted posts had said is wiped `wipe_days` after we learned of the deletion; None keeps it as history.
    """
    for old in (
        delete(Delivery).where(Delivery.received_at < func.now() - DELIVERIES_KEPT),
        delete(SignIn).where(SignIn.expires_at < func.now() - SIGN_INS_KEPT),
        delete(PostLook).where(PostLook.looked_at < func.now() - LOOKS_KEPT),
        delete(ParentFetch).where(ParentFetch.asked_at < func.now() - TROUBLE_KEPT),
        delete(BulkRun).where(BulkRun.done_at < func.now() - BULK_KEPT),
        delete(Throttle).where(Throttle.last_at < func.now() - THROTTLES_KEPT),
    ):
        await session.execute(old.execution_options(synchronize_session=False))
    await notices.drop_old(session)
    await left_out.drop_old(session)
    await drop_drafts(session)
    await tell_ending(session)
    await watch.drop_over(session)
    await viewing.drop_gone(session)
    await drop_old_likeness(session)
    await _empty_decisions(session, timedelta(days=why_days))
    if wipe_days is not None:
        await session.execute(_WIPE, {"kept": timedelta(days=wipe_days), "most": MOST_WIPED})


async def _empty_decisions(session: AsyncSession, kept: timedelta) -> None:
    """Offers stay as history, without why they went to whom. Those still open are never touched."""
    told = text("why <> '{}' AND outcome IS NOT NULL")  # the words of the index
    old = select(Offer.id).where(told, Offer.ended_at < func.now() - kept).order_by(Offer.ended_at).limit(MOST_EMPTIED)
    emptied = update(Offer).where(Offer.id.in_(old.with_for_update(skip_locked=True))).values(why={})
    await session.execute(emptied.execution_options(synchronize_session=False))
