"""What the suite asks of every channel. A fake server declares what its channel cannot give, and why."""

from enum import StrEnum


class Gives(StrEnum):
    """One thing that people expect of a channel, as the table in docs/connectors.md names it."""

    FORWARD = "pages forward"
    BACKWARD = "pages back"
    RESTARTS = "survives restarts"
    LIMITS = "says how long to wait"
    EXPIRY = "token ends in mid-page"
    STORMS = "storms of 5xx"
    HTML = "HTML for JSON"
    CUT = "cut answers"
    UNKNOWN = "unknown fields"
    DUPLICATES = "no duplicates"
    SKEW = "clock skew"
    ECHOES = "knows our own"
    DELETIONS = "tells deletions"
    EDITS = "tells edits"
    ONCE = "sends once"

    @property
    def meaning(self) -> str:
        """In a sentence."""
        return MEANINGS[self]


MEANINGS = {
    Gives.FORWARD: "what arrives between two fetches, two pages or during the first sync is brought",
    Gives.BACKWARD: "a backlog of several pages is brought whole while new posts arrive",
    Gives.RESTARTS: "another process goes on from the stored cursor, in mid-walk too",
    Gives.LIMITS: "a limit is told as one, with the channel's own wait",
    Gives.EXPIRY: "credentials refused in mid-page ask for a person, or are renewed, and nothing is lost",
    Gives.STORMS: "server errors of any number, at any page, are called the channel's, and nothing is lost",
    Gives.HTML: "a page of HTML with status 200 is taken for what it is",
    Gives.CUT: "an answer that ends too early is noticed",
    Gives.UNKNOWN: "fields that nobody documented change nothing",
    Gives.DUPLICATES: "a post has one name, however often and through whichever feed it comes",
    Gives.SKEW: "nothing is missed and no send is doubled when our clock and the channel's disagree",
    Gives.ECHOES: "what we wrote ourselves comes back as ours, or not at all",
    Gives.DELETIONS: "a post that its author deleted is told",
    Gives.EDITS: "a post that its author edited is told, with what it says now",
    Gives.ONCE: "a send that crashes at any request stands once when it is settled",
}
