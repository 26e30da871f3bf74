"""The rules of the house on a feed's page: their form, what they left out, and a look at what others would do."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from app.connectors import forms
from app.connectors.forms import FormField
from app.flow.house import Facts, House, Why, judge
from app.i18n import _
from app.queries.house import left_out, newest, newest_left_out
from app.web.forms import Form, Refused

OWN = "h-"  # the names of its fields on the page
KINDS = "kinds"


@dataclass(frozen=True, slots=True)
class Judged:
    """A post, and why it would be left out; empty: it would stay."""

    handle: str
    text: str
    posted_at: datetime
    why: str


@dataclass(frozen=True, slots=True)
class Preview:
    """How the newest posts would fare."""

    judged: tuple[Judged, ...]
    out: int


def fields() -> list[FormField]:
    """The fields of the form, but for the kinds, which are boxes to tick."""
    return [replace(one, name=OWN + one.name) for one in forms.fields(House) if one.name != KINDS]


def shown(house: House) -> tuple[dict[str, str | bool], dict[str, list[str]]]:
    """What stands in the fields, and which boxes are ticked."""
    values = {OWN + name: value for name, value in forms.shown(house).items() if name != KINDS}
    return values, {OWN + KINDS: [str(one) for one in house.kinds]}


def read(form: Form) -> House | None:
    """The rules that the form stands for; None, with the fields' errors, when they are not acceptable."""
    own = Form(values={k.removeprefix(OWN): v for k, v in form.values.items() if k.startswith(OWN)})
    own.values = {**own.values, KINDS: "\n".join(form.chosen(OWN + KINDS))}
    try:
        return own.read(House)
    except Refused:
        form.errors.update({OWN + name if name else "": said for name, said in own.errors.items()})
        form.status = own.status
        return None


def why(reason: str, detail: str) -> str:
    """Why a post is left out, in words."""
    told = {
        Why.KIND: _("Not of the kinds that are brought"),
        Why.REPOST: _("Only passed on"),
        Why.BLOCKED: _("Blocked author"),
        Why.DOMAIN: _("From our own domain"),
        Why.FOLLOWERS: _("Too few followers"),
        Why.LANGUAGE: _("In another language"),
        Why.WANTED: _("Says none of the words"),
        Why.UNWANTED: _("Says an unwanted word"),
    }[Why(reason)]
    return f"{told} ({detail})" if detail and reason not in {Why.KIND, Why.BLOCKED} else told


async def told(db: AsyncSession, feed_id: int) -> Mapping[str, Any]:
    """What the rules left out lately: counts in words, and the newest."""
    counts = {why(reason, ""): count for reason, count in (await left_out(db, feed_id)).items()}
    last = [Judged(one.handle, one.text, one.posted_at, why(one.why, one.detail)) for one in
            await newest_left_out(db, feed_id)]  # fmt: skip
    return {"counts": counts, "last": last}


async def preview(db: AsyncSession, feed_id: int, house: House) -> Preview:
    """How the newest posts of the feed would fare under these rules."""
    judged = []
    for one in await newest(db, feed_id):
        facts = Facts(**one.facts)
        verdict = judge(house, facts, continues=one.continues)
        said = why(verdict.why, verdict.detail) if verdict else ""
        judged.append(Judged(facts.handle, facts.text, one.posted_at, said))
    return Preview(tuple(judged), Counter(bool(one.why) for one in judged)[True])
