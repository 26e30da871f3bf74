"""Decompressing an answer piece by piece, so that a small one cannot become a huge one unseen."""

import zlib
from collections.abc import Iterable, Iterator

from app.errors import Malformed
from app.i18n import N_

PIECE = 65_536  # bytes, the most that is unpacked at once
KNOWN = frozenset({"gzip", "deflate"})


class Unpacker:
    """gzip, deflate, or nothing, as an answer's headers say. `taken` counts the bytes from the wire."""

    def __init__(self, headers: Iterable[tuple[bytes, bytes]], host: str) -> None:
        """Read the headers; `host` is for messages."""
        named = b",".join(value for name, value in headers if name.lower() == b"content-encoding")
        names = [name.strip().lower().decode("latin-1").removeprefix("x-") for name in named.split(b",")]
        self._encodings = [name for name in names if name not in {"", "identity"}]
        self._host = host
        self._inflate = zlib.decompressobj(zlib.MAX_WBITS | 32)  # 32: gzip or zlib, by its head
        self.taken = 0

    def check(self) -> None:
        """Raise Malformed for any compression that we did not ask for."""
        if len(self._encodings) > 1 or not KNOWN.issuperset(self._encodings):
            raise Malformed(
                N_("The answer of %(host)s is compressed in a way that was not asked for.") % {"host": self._host}
            )

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        """What a chunk from the wire unpacks to. Raises Malformed when it cannot be read."""
        first, self.taken = self.taken == 0, self.taken + len(chunk)
        if not self._encodings:
            yield chunk
            return
        try:
            yield self._begin(chunk) if first else self._inflate.decompress(chunk, PIECE)
            while self._inflate.unconsumed_tail:
                yield self._inflate.decompress(self._inflate.unconsumed_tail, PIECE)
        except zlib.error as error:
            raise Malformed(
                N_("The answer of %(host)s is compressed in a way that cannot be read.") % {"host": self._host}
            ) from error

    def finish(self) -> None:
        """Raise Malformed when the answer ended before its compression did."""
        if self._encodings and self.taken and not self._inflate.eof:
            raise Malformed(N_("The answer of %(host)s is cut off.") % {"host": self._host})

    def _begin(self, chunk: bytes) -> bytes:
        try:
            return self._inflate.decompress(chunk, PIECE)
        except zlib.error:
            if self._encodings != ["deflate"]:
                raise
            # Some servers take `deflate` for the bare algorithm, without zlib's head.
            self._inflate = zlib.decompressobj(-zlib.MAX_WBITS)
            return self._inflate.decompress(chunk, PIECE)
