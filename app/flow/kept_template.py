"""Texts that a channel has approved, kept as it lists them; and which of them a reply is."""

from collections.abc import Sequence

from sqlalchemy import delete, select, tuple_
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from app.connectors.base import Filled, Template
from app.models.account import Account
from app.models.template import ChannelTemplate, ReplyTemplate


async def keep_templates(session: AsyncSession, account_id: int, templates: Sequence[Template] | None) -> None:
    """Keep what a channel lists for an account, and drop what it lists no more; nothing where it was not asked."""
    if templates is None:
        return
    table = ChannelTemplate
    # Its accounts' feeds take turns: two that list the same templates at once would wait for each other's rows.
    await session.execute(select(Account.id).where(Account.id == account_id).with_for_update(key_share=True))
    listed = [(one.name, one.language) for one in templates]
    gone = delete(table).where(table.account_id == account_id, tuple_(table.name, table.language).not_in(listed))
    await session.execute(gone.execution_options(synchronize_session=False))
    for one in templates:
        said = {
            "body": one.body,
            "header": one.header,
            "footer": one.footer,
            "variables": [*one.variables],
            "named": one.named,
        }
        row = insert(table).values(account_id=account_id, name=one.name, language=one.language, **said)
        await session.execute(
            row.on_conflict_do_update(index_elements=[table.account_id, table.name, table.language], set_=said)
        )


async def template_of(session: AsyncSession, reply_id: int) -> Filled | None:
    """The template that a reply is sent as."""
    found = await session.get(ReplyTemplate, reply_id)
    if found is None:
        return None
    pairs = tuple((str(name), str(value)) for name, value in found.values)
    return Filled(found.name, found.language, pairs, found.named)


async def forget_template(session: AsyncSession, reply_id: int) -> None:
    """A reply that was taken back is words of one's own from then on."""
    await session.execute(delete(ReplyTemplate).where(ReplyTemplate.reply_id == reply_id))
