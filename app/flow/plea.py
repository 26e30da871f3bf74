"""Plea: ask the author, in their language, to delete what everybody can read and to write to us privately instead.

Put before whatever stands in the agent's draft; the agent reads it, changes it, and sends it like any reply.
"""

from uuid import uuid4

from sqlalchemy.ext.asyncio import AsyncSession

from app.errors import Conflict
from app.flow.answerable import answerable
from app.flow.draft import NOTE, load_draft, save_draft
from app.flow.visibility import held_item
from app.i18n import LANGUAGES, N_, _, primary, reader_of
from app.models.agent import Agent
from app.models.item import Item, State
from app.models.reply import Reply

WORDS = N_(
    "Please delete your post: everybody can read your personal data in it. Then write to us privately, and we will help you there."
)


def plea_in(language: str | None) -> str:
    """The words in a language that Careline speaks; in English for all others."""
    spoken = primary(language)
    return reader_of(spoken if spoken in LANGUAGES else "en", "UTC").catalogue.gettext(WORDS)


async def plead(session: AsyncSession, agent: Agent, item_id: int) -> Reply:
    """Put the plea into the agent's draft on an item that they hold.

    Raises:
        NotFound, Forbidden: see `held_item`.
        Conflict: the item is not in progress, or cannot be answered.
    """
    item = await held_item(session, agent, item_id)
    if item.state != State.ACTIVE:
        raise Conflict(_("Claim this item to answer it."))
    words = plea_in(item.language)
    draft = await load_draft(session, agent, item_id)
    said = draft.text.strip() if draft else ""
    if said.startswith(words) and draft is not None:
        return draft
    visibility = draft.visibility if draft and said and draft.visibility != NOTE else await _usual(session, item)
    saved = await save_draft(session, agent, item_id, f"{words}\n\n{said}" if said else words, visibility)
    saved.key = uuid4()  # another key is another composer: the page shows the new words in place of what stood there
    await session.flush()
    return saved


async def _usual(session: AsyncSession, item: Item) -> str:
    way = await answerable(session, item)
    return way.visibility if way.visibility in way.visibilities else way.visibilities[0]
