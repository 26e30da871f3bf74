"""How a feed is, in plain words: a shape, a word, why, and the one thing to do."""

from dataclasses import dataclass
from datetime import UTC, datetime

from app.i18n import _, retold
from app.queries.feeds import Condition, FeedLine
from app.web.admin.ending import ending


@dataclass(frozen=True, slots=True)
class Told:
    """`state` is the status shape (ok, risk, over, hold). `fix` is empty where nothing is to be done."""

    state: str
    word: str
    why: str = ""
    fix: str = ""
    link: str = ""  # where the fix is
    label: str = ""  # of that link


def told(feed: FeedLine) -> Told:
    """The words for a feed."""
    near = ending(feed.ends_at, datetime.now(UTC))
    page = f"/admin/feeds/{feed.id}"
    words = {
        Condition.OFF: Told("hold", _("Off")),
        Condition.WAITING: Told(
            "hold", _("New"), _("It has not been fetched yet. The first poll comes within seconds.")
        ),
        Condition.LISTENING: Told(
            "hold", _("Listening"), _("Nothing was delivered yet."),
            _("Give the sending system the address and the signing secret."), page, _("Address"),
        ),
        Condition.OK: Told("ok", _("Live")),
        Condition.STREAMS: Told("ok", _("Live"), _("Posts come the moment they are written.")),
        Condition.DEGRADED: Told("risk", _("Works in part"), retold(feed.trouble)),
        Condition.FAILING: Told(
            "risk", _("Failing"), retold(feed.trouble),
            _("Nothing is lost: it is tried again by itself, and what was missed is fetched then."), page, _("Look"),
        ),
        Condition.RECONNECT: Told(
            "over", _("Signed out"), retold(feed.trouble),
            _("Enter the account's credentials again. What was missed is fetched at once."),
            f"/admin/accounts/{feed.account_id}", _("Account"),
        ),
        Condition.STOPPED: Told(
            "over", _("Stopped"), retold(feed.trouble),
            _("Correct the settings and save, or ask for a poll once the cause is gone."), page, _("Correct"),
        ),
        Condition.ENDING: Told(
            "risk", _("Ends soon"), near.words if near else "",
            _("Sign in again or enter new credentials. Nothing is lost, and every feed goes on where it was."),
            f"/admin/accounts/{feed.account_id}", _("Account"),
        ),
        Condition.UNATTENDED: Told(
            "over", _("Not polled"), _("It should have been polled some minutes ago, and nobody came."),
            _("Start a worker with `careline work`; `careline doctor` says more."),
        ),
    }  # fmt: skip
    return words[feed.condition]
