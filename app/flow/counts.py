"""Numbers by channel as people write them, one a line: `mastodon: 2`. In the configuration file also as a mapping."""

from collections.abc import Iterable, Mapping
from re import IGNORECASE, fullmatch
from typing import Any

from app.connectors import registry
from app.errors import Invalid
from app.i18n import _


def as_lines(given: Any) -> Any:
    """Mappings, which YAML makes of `a: 1`, as the lines that were meant; all else as it is."""
    if isinstance(given, Mapping):
        return [f"{name}: {number}" for name, number in given.items()]
    if isinstance(given, list | tuple):
        return [line for one in given for line in (as_lines(one) if isinstance(one, Mapping) else [one])]
    return given


def parse_counts(lines: Iterable[str], least: int, most: int, field: str) -> dict[str, int]:
    """Channel to number. Raises Invalid, naming the line and what is wrong with it."""
    counts: dict[str, int] = {}
    for line in lines:
        match = fullmatch(r"\s*([a-z0-9][a-z0-9_.-]*)\s*:\s*(\d{1,9})\s*", line, IGNORECASE)
        if match is None:
            raise Invalid(
                _("'%(line)s': write a channel, a colon and a number, as in mastodon: 2.") % {"line": line}, field
            )
        channel, number = match[1].lower(), int(match[2])
        if not least <= number <= most:
            raise Invalid(
                _("'%(line)s': the number is %(least)s to %(most)s.") % {"line": line, "least": least, "most": most},
                field,
            )
        if channel in counts:
            raise Invalid(
                _("'%(line)s': %(channel)s stands there twice. Keep one of them.") % {"line": line, "channel": channel},
                field,
            )
        counts[channel] = number
    return counts


def write_counts(counts: Mapping[str, int]) -> tuple[str, ...]:
    """The lines that `parse_counts` reads as these."""
    return tuple(f"{channel}: {number}" for channel, number in sorted(counts.items()))


def check_channels(lines: Iterable[str], field: str) -> None:
    """Refuse a line about a channel that no connector brings. Raises Invalid."""
    known = registry.all()
    for line in lines:
        channel = line.partition(":")[0]
        if channel not in known:
            raise Invalid(
                _("'%(line)s': there is no channel %(channel)s. There are: %(known)s.")
                % {"line": line, "channel": channel, "known": ", ".join(known)},
                field,
            )
