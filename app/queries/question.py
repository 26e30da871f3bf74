"""What is looked for, as a text query of the index: words one after the other, and marks."""

from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncSession

from app.listening import tokens
from app.listening.marks import heard_mark
from app.models.agent import Agent
from app.queries.asked import EXACT, HEARD, WORDS, Asked, Term
from app.queries.entries import any_mark
from app.queries.names import who


@dataclass(frozen=True, slots=True)
class Question:
    """Text queries. `exact` is what must hold, `loose` a wider question that the index answers alone."""

    exact: str
    loose: str


async def question(session: AsyncSession, me: Agent, asked: Asked) -> Question:
    """What of all that is asked can be asked of the index; either is empty when nothing can."""
    exact, loose = [], []
    for term in asked.of(WORDS, EXACT):
        exact.append(_not(_words(term, " <-> "), term))
        loose += [] if term.negated else [_words(term, " & ")]
    for term in asked.of("from", "channel", "lang", "has", *HEARD):
        marks = any_mark(await _marks(session, me, term))
        exact.append(_not(marks, term))
        loose += [] if term.negated else [marks]
    return Question(" & ".join(exact), " & ".join(loose))


def _not(query: str, term: Term) -> str:
    return f"!({query})" if term.negated else query


def _words(term: Term, joined: str) -> str:
    asked = tokens.asked(term.value, prefix=term.op == WORDS)
    return "(" + joined.join(tokens.quoted(one.text) + (":*" if one.prefix else "") for one in asked) + ")"


async def _marks(session: AsyncSession, me: Agent, term: Term) -> list[str]:
    """The marks of what an operator means; none, when it means nothing."""
    if term.op == "from":
        return await who(session, me, term.value)
    if term.op in HEARD:
        return [heard_mark(term.op, term.value)]
    return [{"channel": f"c:{term.value}", "lang": f"l:{term.value.partition('-')[0]}", "has": "m"}[term.op]]
