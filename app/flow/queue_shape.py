"""The shape of a queue: what an admin sets of it, besides what it belongs to and leads to."""

from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field

from app.connectors.base import SettingsModel
from app.errors import Invalid
from app.flow.counts import as_lines, parse_counts, write_counts
from app.i18n import N_, _
from app.models.queue import Order, Policy
from app.routing.hours import read_date, read_zone
from app.routing.hours_text import EXAMPLE, parse_hours, show_hours
from app.routing.raises import EXAMPLES, Raise, parse, write

DAY = 86_400
HEAVIEST = 100  # weight of one item


def checked_hours(text: str) -> str:
    """The hours in the one way they are shown. Raises ValueError, naming the part that makes no sense."""
    try:
        return show_hours(parse_hours(text))
    except Invalid as error:
        raise ValueError(error.message) from None


def checked_zone(name: str) -> str:
    """The name, if there is such a time zone. Raises ValueError."""
    try:
        return read_zone(name).key
    except Invalid as error:
        raise ValueError(error.message) from None


def checked_dates(days: tuple[str, ...]) -> tuple[str, ...]:
    """The dates in order, each once. Raises ValueError for what is none."""
    try:
        return tuple(sorted({str(read_date(day)) for day in days}))
    except Invalid as error:
        raise ValueError(error.message) from None


def unix_lines(text: str) -> str:
    """Line ends as LF: a form sends CR LF, which a channel would count twice."""
    return text.replace("\r\n", "\n")


def read_weights(lines: tuple[str, ...]) -> dict[str, int]:
    """Channel to weight. Raises Invalid, naming the line."""
    return parse_counts(lines, 1, HEAVIEST, "channel_weights")


def checked_weights(lines: tuple[str, ...]) -> tuple[str, ...]:
    """The lines in the one way they are shown. Raises ValueError, naming the line."""
    try:
        return write_counts(read_weights(lines))
    except Invalid as error:
        raise ValueError(error.message) from None


def read_raises(lines: tuple[str, ...]) -> tuple[Raise, ...]:
    """The signals of the lines. Raises Invalid, naming the line; also for a signal that stands there twice."""
    found: dict[str, Raise] = {}
    for line in lines:
        one = parse(line)
        if one.name in found:
            raise Invalid(_("'%(line)s': this signal stands there twice. Keep one of them.") % {"line": line}, "raises")
        found[one.name] = one
    return tuple(found.values())


def checked_raises(lines: tuple[str, ...]) -> tuple[str, ...]:
    """The lines in the one way they are shown. Raises ValueError, naming the line."""
    try:
        return tuple(write(one) for one in read_raises(lines))
    except Invalid as error:
        raise ValueError(error.message) from None


Lines = Annotated[tuple[str, ...], BeforeValidator(as_lines)]
Message = Annotated[str, AfterValidator(unix_lines), Field(max_length=2000)]


class QueueShape(SettingsModel):
    """What an admin sets of a queue, besides its team and the queue it overflows to. Times in seconds, boosts in minutes."""

    name: str = Field(title=N_("Name"), min_length=1, max_length=80, examples=["Billing"])
    target: int = Field(3600, title=N_("Answer within"), description=N_("Seconds from arrival."), ge=1, le=30 * DAY)
    target_share: int = Field(80, title=N_("Goal"), description=N_("Per cent to be answered in time."), ge=1, le=100)
    served_by: Order = Field(
        Order.RANK,
        title=N_("Served by"),
        description=N_("Rank: time of waiting and priority. Due: whose time is up first."),
    )
    boosts: tuple[int, int, int, int, int] = Field(
        (240, 60, 0, -60, -240),
        title=N_("What a priority is worth"),
        description=N_(
            "Minutes of waiting for priorities 1 to 5. How long that lets others overtake stands below the queues."
        ),
    )
    policy: Policy = Field(
        Policy.LONGEST,
        title=N_("Who gets an item"),
        description=N_("Among those who could take it now. Ties go to who has been free the longest."),
    )
    weight: int = Field(
        1, title=N_("Weight"), description=N_("How much one item counts in an agent's capacity."), ge=1, le=HEAVIEST
    )
    channel_weights: Annotated[Lines, AfterValidator(checked_weights)] = Field(
        (),
        title=N_("Weight by channel"),
        description=N_("Where it is another one: a channel and a weight a line."),
        examples=["mastodon: 2"],
    )
    raises: Annotated[Lines, AfterValidator(checked_raises)] = Field(
        (),
        title=N_("Signals that raise an item"),
        description=(
            N_(
                "A signal and minutes a line. An item counts as if it had waited so much longer. There are: %(examples)s."
            )
            % {"examples": "; ".join(EXAMPLES)}
        ),
        examples=["followers 10000: 60"],
        max_length=50,
    )
    emergency_over: bool = Field(
        False,
        title=N_("Emergencies go above capacity"),
        description=N_(
            "An item of an emergency rule may be given to an agent who is full: one above capacity, no more."
        ),
    )
    auto_accept: bool = Field(
        False,
        title=N_("Accept by itself"),
        description=N_("An offer becomes the agent's work at once, without being asked."),
    )
    prefer_seconds: int = Field(
        0,
        title=N_("Wait for who knows the customer"),
        description=N_("Seconds an item is kept for the agent who answered this customer last. 0: not at all."),
        ge=0,
        le=7 * DAY,
    )
    overflow_after: int | None = Field(
        None,
        title=N_("Overflow after"),
        description=N_("Seconds of waiting after which an item goes on to the other queue. Empty: not by waiting."),
        ge=1,
        le=30 * DAY,
    )
    overflow_when_nobody: bool = Field(
        False,
        title=N_("Overflow when nobody is in"),
        description=N_("An item goes on when nobody who could take it here is signed in, but somebody there is."),
    )
    offer_seconds: int = Field(30, title=N_("Offer lasts"), description=N_("Seconds to accept an offer."), ge=5, le=600)
    reoffer_after: int = Field(
        300,
        title=N_("Offer again after"),
        description=N_("Seconds before the same agent is offered the item again."),
        ge=0,
    )
    misses_limit: int = Field(
        2, title=N_("Missed offers"), description=N_("So many in a row set the agent to not ready."), ge=1, le=100
    )
    undo_seconds: int = Field(10, title=N_("Undo window"), description=N_("Seconds a reply is held."), ge=0, le=600)
    sign_replies: bool = Field(
        False,
        title=N_("Sign replies"),
        description=N_("With the agent's initials (^FE). Who has set a signature of their own signs with that."),
    )
    reopen_within: int = Field(
        7 * DAY, title=N_("Reopen within"), description=N_("Seconds in which a new post reopens a closed item."), ge=0
    )
    hours: Annotated[str, AfterValidator(checked_hours)] = Field(
        "",
        title=N_("Open hours"),
        description=N_("Time outside does not count. Empty: always open."),
        examples=[EXAMPLE],
    )
    timezone: Annotated[str, AfterValidator(checked_zone)] = Field(
        "UTC", title=N_("Time zone"), description=N_("Of the open hours."), examples=["Europe/Berlin"]
    )
    holidays: Annotated[tuple[str, ...], AfterValidator(checked_dates)] = Field(
        (), title=N_("Holidays"), description=N_("Dates on which it is closed, one a line."), examples=["2027-01-01"]
    )
    closed_reply: Message = Field(
        "",
        title=N_("Reply when closed"),
        description=N_("Sent once a conversation that begins outside the open hours. Empty: none."),
    )
    wrap_up: int = Field(
        0, title=N_("Wrap-up"), description=N_("Seconds for the after-work of a closed item. 0: none."), ge=0, le=3600
    )
    wrap_up_most: int = Field(
        600, title=N_("Longest wrap-up"), description=N_("Seconds, with all extensions."), ge=0, le=4 * 3600
    )
    return_after: int = Field(
        900,
        title=N_("Take back after"),
        description=N_("Seconds after which the items of an agent whose desk is gone go back to the queue."),
        ge=60,
        le=7 * DAY,
    )
    take_over_after: int = Field(
        600,
        title=N_("Take over after"),
        description=N_(
            "Seconds that a holder is away or silent before a colleague may take the item over without asking. 0: at once."
        ),
        ge=0,
        le=7 * DAY,
    )
    park_close_after: int | None = Field(
        None,
        title=N_("Close parked items after"),
        description=N_("Seconds without an answer of the customer that an item is parked for. Empty: never."),
        ge=60,
        le=90 * DAY,
    )
    park_close_reply: Message = Field(
        "", title=N_("Last message"), description=N_("Sent before such an item closes. Empty: none.")
    )
    active: bool = Field(True, title=N_("Active"), description=N_("Rules may send items here."))
