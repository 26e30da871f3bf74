"""Two versions of a text side by side: which pieces of each the other does not have."""

import re
from dataclasses import dataclass
from difflib import SequenceMatcher

MOST_PIECES = 2_000  # of each text; longer ones are shown whole, as changed
_PIECE = re.compile(r"\w+|\s+|.", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Run:
    """A stretch of a text; `changed` when the other version does not have it."""

    text: str
    changed: bool


def compared(mine: str, theirs: str) -> tuple[list[Run], list[Run]]:
    """Both texts in runs, word by word."""
    left, right = _PIECE.findall(mine), _PIECE.findall(theirs)
    if max(len(left), len(right)) > MOST_PIECES:
        return [Run(mine, changed=True)], [Run(theirs, changed=True)]
    matcher = SequenceMatcher(None, left, right, autojunk=False)
    ours, others = [], []
    for kind, start, end, other_start, other_end in matcher.get_opcodes():
        changed = kind != "equal"
        ours.append(Run("".join(left[start:end]), changed))
        others.append(Run("".join(right[other_start:other_end]), changed))
    return [run for run in ours if run.text], [run for run in others if run.text]
