"""Database refusals in words that a person can use."""

from sqlalchemy.exc import DBAPIError

from app.i18n import N_


def in_words(refusal: DBAPIError) -> str:
    """What the database would not take, without the statement and without the post's text."""
    diagnosis = getattr(refusal.orig, "diag", None)
    primary = getattr(diagnosis, "message_primary", None) or type(refusal.orig).__name__
    told: str = N_("The database did not take this post: %(cause)s.") % {"cause": primary}
    return told
