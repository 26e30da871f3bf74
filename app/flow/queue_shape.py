"""The shape of a queue: what an admin sets of it, besides what it belongs to and leads to."""

from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field

from app.connectors.base import SettingsModel
from app.errors import Invalid
from app.flow.counts import as_lines, parse_counts, write_counts
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
            raise Invalid(f"'{line}': this signal stands there twice. Keep one of them.", "raises")
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

    name: str = Field(title="Name", min_length=1, max_length=80, examples=["Billing"])
    target: int = Field(3600, title="Answer within", description="Seconds from arrival.", ge=1, le=30 * DAY)
    target_share: int = Field(80, title="Goal", description="Per cent to be answered in time.", ge=1, le=100)
    served_by: Order = Field(
        Order.RANK, title="Served by", description="Rank: time of waiting and priority. Due: whose time is up first."
    )
    boosts: tuple[int, int, int, int, int] = Field(
        (240, 60, 0, -60, -240),
        title="What a priority is worth",
        description="Minutes of waiting for priorities 1 to 5. How long that lets others overtake stands below the queues.",
    )
    policy: Policy = Field(
        Policy.LONGEST,
        title="Who gets an item",
        description="Among those who could take it now. Ties go to who has been free the longest.",
    )
    weight: int = Field(
        1, title="Weight", description="How much one item counts in an agent's capacity.", ge=1, le=HEAVIEST
    )
    channel_weights: Annotated[Lines, AfterValidator(checked_weights)] = Field(
        (),
        title="Weight by channel",
        description="Where it is another one: a channel and a weight a line.",
        examples=["mastodon: 2"],
    )
    raises: Annotated[Lines, AfterValidator(checked_raises)] = Field(
        (),
        title="Signals that raise an item",
        description=(
            "A signal and minutes a line. An item counts as if it had waited so much longer. There are: "
            f"{'; '.join(EXAMPLES)}."
        ),
        examples=["followers 10000: 60"],
        max_length=50,
    )
    emergency_over: bool = Field(
        False,
        title="Emergencies go above capacity",
        description="An item of an emergency rule may be given to an agent who is full: one above capacity, no more.",
    )
    auto_accept: bool = Field(
        False, title="Accept by itself", description="An offer becomes the agent's work at once, without being asked."
    )
    prefer_seconds: int = Field(
        0,
        title="Wait for who knows the customer",
        description="Seconds an item is kept for the agent who answered this customer last. 0: not at all.",
        ge=0,
        le=7 * DAY,
    )
    overflow_after: int | None = Field(
        None,
        title="Overflow after",
        description="Seconds of waiting after which an item goes on to the other queue. Empty: not by waiting.",
        ge=1,
        le=30 * DAY,
    )
    overflow_when_nobody: bool = Field(
        False,
        title="Overflow when nobody is in",
        description="An item goes on when nobody who could take it here is signed in, but somebody there is.",
    )
    offer_seconds: int = Field(30, title="Offer lasts", description="Seconds to accept an offer.", ge=5, le=600)
    reoffer_after: int = Field(
        300, title="Offer again after", description="Seconds before the same agent is offered the item again.", ge=0
    )
    misses_limit: int = Field(
        2, title="Missed offers", description="So many in a row set the agent to not ready.", ge=1, le=100
    )
    undo_seconds: int = Field(10, title="Undo window", description="Seconds a reply is held.", ge=0, le=600)
    reopen_within: int = Field(
        7 * DAY, title="Reopen within", description="Seconds in which a new post reopens a closed item.", ge=0
    )
    hours: Annotated[str, AfterValidator(checked_hours)] = Field(
        "", title="Open hours", description="Time outside does not count. Empty: always open.", examples=[EXAMPLE]
    )
    timezone: Annotated[str, AfterValidator(checked_zone)] = Field(
        "UTC", title="Time zone", description="Of the open hours.", examples=["Europe/Berlin"]
    )
    holidays: Annotated[tuple[str, ...], AfterValidator(checked_dates)] = Field(
        (), title="Holidays", description="Dates on which it is closed, one a line.", examples=["2027-01-01"]
    )
    closed_reply: Message = Field(
        "",
        title="Reply when closed",
        description="Sent once a conversation that begins outside the open hours. Empty: none.",
    )
    wrap_up: int = Field(
        0, title="Wrap-up", description="Seconds for the after-work of a closed item. 0: none.", ge=0, le=3600
    )
    wrap_up_most: int = Field(
        600, title="Longest wrap-up", description="Seconds, with all extensions.", ge=0, le=4 * 3600
    )
    return_after: int = Field(
        900,
        title="Take back after",
        description="Seconds after which the items of an agent whose desk is gone go back to the queue.",
        ge=60,
        le=7 * DAY,
    )
    park_close_after: int | None = Field(
        None,
        title="Close parked items after",
        description="Seconds without an answer of the customer that an item is parked for. Empty: never.",
        ge=60,
        le=90 * DAY,
    )
    park_close_reply: Message = Field(
        "", title="Last message", description="Sent before such an item closes. Empty: none."
    )
    active: bool = Field(True, title="Active", description="Rules may send items here.")
