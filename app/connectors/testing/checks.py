"""The checks that a connector has to pass, which of them call for which ability, and what a variant is able to.

`@check(...)` names what a check needs: capabilities of the connector (`reply`, `idempotent` ...), or one of `pull` (it
has `fetch`), `receive`, `account` (it has credentials), `strict` (a cut answer can be recognised), `own` (the variant
shows our own posts), `broken` (an unreadable entry can arrive among others), `changes` (what becomes of posts is told),
`rewrite` (the channel lets authors edit), `window` (the channel shows more than two pages), `dated` (a delivery's
signature covers its time), `asks` (posts come by `fetch`, or by deliveries that the variant makes of what arrives),
`parents` (a reply stands under a post, not only in a conversation), `above` (threads are fetched upward), `rename`
(people there can take another handle). Nothing else is skipped.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, fields
from typing import TypeAlias

from app.connectors.base import Connector
from app.connectors.testing.fake import FakeChannel

Check: TypeAlias = Callable[[FakeChannel], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class _Registered:
    needs: frozenset[str]
    run: Check


_CHECKS: list[_Registered] = []


def check(*needs: str) -> Callable[[Check], Check]:
    """Register a check and what it needs."""

    def register(run: Check) -> Check:
        _CHECKS.append(_Registered(frozenset(needs), run))
        return run

    return register


def checks_for(fake: FakeChannel) -> list[Check]:
    """The checks that this variant's connector has to pass."""
    have = abilities(fake)
    return [one.run for one in _CHECKS if one.needs <= have]


def abilities(fake: FakeChannel) -> frozenset[str]:
    """What this variant can be asked for."""
    connector = fake.connector
    declared = {f.name for f in fields(connector.capabilities) if getattr(connector.capabilities, f.name) is True}
    more = {
        "pictures": connector.capabilities.pictures is not None,
        "pull": type(connector).fetch is not Connector.fetch,
        "receive": type(connector).receive is not Connector.receive,
        "account": connector.Credentials is not None,
        "strict": not fake.lenient,
        "changes": connector.capabilities.looks > 0 or connector.name == "demo",
        "rename": type(fake).rename is not FakeChannel.rename,
        "rewrite": type(fake).rewrite is not FakeChannel.rewrite,
        "own": fake.shows_own,
        "broken": fake.broken_arrivals,
        "dated": True,
        "asks": type(fake).pushed is not FakeChannel.pushed,
        "parents": True,
        "above": connector.capabilities.parents,
        "window": fake.window is None or fake.window > 2 * fake.page_size,
    }
    if not fake.shows_direct:
        declared.discard("direct")
    able = frozenset(declared | {name for name, has in more.items() if has}) - fake.cannot
    return able | {"asks"} if "pull" in able else able
