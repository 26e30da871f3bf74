"""Configure listening: the words of others who are called the same, and how order numbers look."""

from pydantic import Field
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.connectors.base import SettingsModel
from app.errors import Invalid
from app.flow.configured import must_be_fresh
from app.flow.rehear import start_over
from app.i18n import N_, _
from app.listening.patterns import compiled
from app.models.signal import Listening

MOST_NAMESAKES = 200
LONGEST_WORD = 80


class ListeningSettings(SettingsModel):
    """What a company tells of itself, so that its posts are heard rightly."""

    namesakes: tuple[str, ...] = Field(
        (),
        title=N_("Words that mean others of our name"),
        description=N_("One a line, such as a band's or a ship's. A post that says one is noise."),
        max_length=MOST_NAMESAKES,
    )
    order_pattern: str = Field(
        "",
        title=N_("Our order numbers look like"),
        description=N_("An RE2 pattern, such as NW-\\d{6}. What fits it is masked like other personal data."),
        max_length=200,
    )


def settings_of(row: Listening) -> ListeningSettings:
    """The settings as they are stored."""
    return ListeningSettings(namesakes=tuple(row.namesakes), order_pattern=row.order_pattern)


async def listening(session: AsyncSession) -> Listening:
    """The one row."""
    return (await session.scalars(select(Listening).execution_options(populate_existing=True))).one()


async def configure_listening(session: AsyncSession, settings: ListeningSettings, seen: str | None = None) -> None:
    """Change what the company tells of itself; posts of before are gone over again in the background.

    Raises:
        Invalid: the pattern is none, or matches nothing at all.
        Conflict: somebody else changed it meanwhile.
    """
    locked = select(Listening).with_for_update()
    row = (await session.scalars(locked.execution_options(populate_existing=True))).one()
    must_be_fresh(settings_of(row), seen, _("Listening"))
    _check(settings)
    if settings == settings_of(row):
        return
    row.namesakes = list(dict.fromkeys(settings.namesakes))
    row.order_pattern = settings.order_pattern
    await session.flush()
    await start_over(session)


def _check(settings: ListeningSettings) -> None:
    if any(len(word) > LONGEST_WORD or not word.strip() for word in settings.namesakes):
        raise Invalid(_("A word has 1 to %d characters.") % LONGEST_WORD, "namesakes")
    if not settings.order_pattern:
        return
    try:
        pattern = compiled(settings.order_pattern)
    except ValueError as error:
        raise Invalid(str(error), "order_pattern") from error
    if pattern.search("") is not None:
        raise Invalid(_("This pattern fits everything. Name what stands in every order number."), "order_pattern")
