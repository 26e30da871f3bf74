"""The checks that a connector has to pass, which of them call for which ability, and what a variant is able to.

`@check(...)` names what a check needs: capabilities of the connector (`reply`, `idempotent` ...), or one of `pull` (it
has `fetch`), `receive`, `account` (it has credentials), `strict` (a cut answer can be recognised), `own` (the variant
shows our own posts), `broken` (an unreadable entry can arrive among others), `changes` (what becomes of posts is told),
`rewrite` (the channel lets authors edit), `window` (the channel shows more than two pages), `dated` (a delivery's
signature covers its time), `asks` (posts come by `fetch`, or by deliveries that the variant makes of what arrives),
`parents` (a reply stands under a post, not only in a conversation), `above` (threads are fetched upward), `rename`
(people there can take another handle), `shaped` (the answer to
a send has a shape), `uploads` (pictures are brought before the reply), `pushes` (the variant makes
deliveries of what arrives), `signed` (a delivery's signature covers its body), `backlog` (the channel shows all that was ever written), `settles` (an uncertain send can be settled: `idempotent` or `find_sent`).

`gives=` says which of the things that people expect (`Gives`) it proves. A fake server declares in `cannot_give` which of
them its channel cannot give, and why: those are left out, once it was seen that the declaration is true. Nothing else
is skipped.
"""

from collections.abc import Awaitable, Callable
from contextlib import closing
from dataclasses import dataclass, fields
from typing import TypeAlias

import pytest

from app.connectors.base import Connector
from app.connectors.testing.fake import FakeChannel
from app.connectors.testing.gives import Gives
from app.connectors.testing.steps import fetches

Check: TypeAlias = Callable[[FakeChannel], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class _Registered:
    needs: frozenset[str]
    gives: frozenset[Gives]
    run: Check


_CHECKS: list[_Registered] = []


def check(*needs: str, gives: Gives | tuple[Gives, ...] = ()) -> Callable[[Check], Check]:
    """Register a check, what it needs, and what it proves that a channel gives."""
    proves = frozenset({gives} if isinstance(gives, Gives) else gives)

    def register(run: Check) -> Check:
        _CHECKS.append(_Registered(frozenset(needs), proves, run))
        return run

    return register


def checks_for(fake: FakeChannel) -> list[Check]:
    """The checks that this variant's connector has to pass."""
    declared = frozenset(fake.cannot_give)
    return [one.run for one in _able(fake) if not one.gives or one.gives - declared]


def given(fake: FakeChannel) -> frozenset[Gives]:
    """What the checks of this variant prove that its channel gives."""
    return frozenset().union(*(one.gives for one in _able(fake))) - frozenset(fake.cannot_give)


def unexplained(fake: FakeChannel) -> frozenset[Gives]:
    """What this variant is put to no check for, and does not say why: to be declared in `cannot_give`."""
    return frozenset(Gives) - given(fake) - frozenset(fake.cannot_give)


async def is_true(make: Callable[[], FakeChannel], declared: Gives) -> bool:
    """Whether a variant really cannot give what it declares: no check for it applies, or one that does fails."""
    with closing(make()) as fake:
        checks = [one.run for one in _able(fake) if one.gives == {declared}]
    for run in checks:
        with closing(make()) as fake:
            try:
                await run(fake)
            except (Exception, pytest.fail.Exception):  # noqa: BLE001 - whatever it is, the channel does not give it
                return True
    return not checks


def _able(fake: FakeChannel) -> list[_Registered]:
    have = abilities(fake)
    return [one for one in _CHECKS if one.needs <= have]


def abilities(fake: FakeChannel) -> frozenset[str]:
    """What this variant can be asked for."""
    connector = fake.connector
    declared = {f.name for f in fields(connector.capabilities) if getattr(connector.capabilities, f.name) is True}
    more = {
        "settles": connector.capabilities.idempotent or connector.capabilities.find_sent,
        "pictures": connector.capabilities.pictures is not None,
        "pull": fetches(connector),
        "receive": type(connector).receive is not Connector.receive,
        "account": connector.Credentials is not None,
        "strict": not fake.lenient,
        "changes": connector.capabilities.looks > 0 or fake.tells_changes,
        "rename": type(fake).rename is not FakeChannel.rename,
        "rewrite": type(fake).rewrite is not FakeChannel.rewrite,
        "own": fake.shows_own,
        "broken": fake.broken_arrivals,
        "dated": True,
        "signed": True,
        "asks": type(fake).pushed is not FakeChannel.pushed or type(fake).typed is not FakeChannel.typed,
        "parents": True,
        "uploads": True,
        "shaped": not fake.any_answer,
        "above": connector.capabilities.parents,
        "pushes": type(fake).pushed is not FakeChannel.pushed,
        "backlog": fake.window is None,
        "window": fake.window is None or fake.window > 2 * fake.page_size,
    }
    if not fake.shows_direct:
        declared.discard("direct")
    able = frozenset(declared | {name for name, has in more.items() if has}) - fake.cannot
    return able | {"asks"} if "pull" in able else able
