"""Translate: keep what a machine made of a post, beside the post, which stays as it arrived."""

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

# Nothing is kept of a post that was deleted while the translator worked: it may have been wiped already.
_KEEP = text(
    """
    INSERT INTO translation (post_id, language, digest, source, text)
    SELECT p.id, :language, :digest, :source, :text FROM post p
    WHERE p.id = :post_id AND NOT EXISTS (
        SELECT FROM post_change c WHERE c.channel = p.channel AND c.external_id = p.external_id AND c.deleted)
    ON CONFLICT (post_id, language) DO UPDATE
    SET digest = excluded.digest, source = excluded.source, text = excluded.text, made_at = now()
    """
)


async def keep_translation(
    session: AsyncSession, post_id: int, language: str, *, digest: bytes, source: str, text: str
) -> None:
    """Keep the translation of a version of a post (`digest`), in place of an older version's."""
    told = {"post_id": post_id, "language": language, "digest": digest, "source": source, "text": text}
    await session.execute(_KEEP, told)
