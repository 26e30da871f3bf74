"""The network's memory: one file, one JSON object a line, only ever appended to."""

import json
import os
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Identity:
    """What makes this network this one: its name in every id, the token of our account, the customers' seed."""

    network: str
    token: str
    seed: int


class Memory(Protocol):
    """What a network remembers by: the rows it wakes up with, and who it is."""

    rows: list[Row]
    identity: Identity

    def append(self, rows: Iterable[Row]) -> None:
        """Keep these rows, in this order, before the caller goes on."""


class Ledger:
    """Rows on disk. A row stands before the caller goes on, so a killed process forgets nothing that it answered."""

    def __init__(self, path: Path) -> None:
        """Open the ledger, or begin a new one. Raises OSError when the folder cannot be written."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self.rows, whole = _read(path)  # as they stood at the start; what is appended lives in the world
        self._file = path.open("ab")
        self._file.truncate(whole)  # half a line is what a crash left of a row that nobody was told of
        if not self.rows:
            path.chmod(0o600)
            self.rows = [{"network": _new_identity()}]
            self.append(self.rows)
        self.identity = Identity(**self.rows[0]["network"])

    def append(self, rows: Iterable[Row]) -> None:
        """Write rows down, in one write, through to the operating system."""
        added = list(rows)
        if not added:
            return
        lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in added)
        self._file.write(lines.encode("utf-8"))
        self._file.flush()

    def close(self) -> None:
        """Write through to the disk and let go of the file."""
        os.fsync(self._file.fileno())
        self._file.close()


def _new_identity() -> Row:
    return {"network": secrets.token_hex(4), "token": secrets.token_urlsafe(24), "seed": secrets.randbelow(1_000_000)}


def _read(path: Path) -> tuple[list[Row], int]:
    """The whole lines of the file, and where they end."""
    if not path.exists():
        return [], 0
    content = path.read_bytes()
    whole = content.rfind(b"\n") + 1
    return [json.loads(line) for line in content[:whole].splitlines()], whole
