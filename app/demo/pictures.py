"""Small PNG pictures, drawn here: faces made of squares, and what customers photograph, in a few shapes."""

import hashlib
import struct
import zlib
from collections.abc import Callable
from functools import lru_cache

Colour = tuple[int, int, int]
Inside = Callable[[float, float], bool]

_SKY, _GRASS, _DARK, _PALE = (196, 214, 224), (134, 158, 120), (52, 60, 66), (240, 236, 228)
_RUST, _BLUE, _SAND = (190, 96, 62), (66, 104, 140), (205, 182, 142)
PICTURES = ("tent", "boots", "pack", "parcel", "phone", "mountain")


@lru_cache(maxsize=32)
def picture(name: str) -> bytes:
    """A 320 x 200 PNG of one of `PICTURES`. Raises KeyError for any other name."""
    shapes = _SCENES[name]
    return _png(320, 200, lambda x, y: _colour(shapes, x / 320, y / 200))


@lru_cache(maxsize=128)
def face(handle: str) -> bytes:
    """A 60 x 60 PNG, the same for the same handle: five by five squares, mirrored."""
    digest = hashlib.sha256(handle.encode("utf-8", "replace")).digest()
    ink = (60 + digest[0] % 130, 60 + digest[1] % 130, 60 + digest[2] % 130)

    def at(x: int, y: int) -> Colour:
        column, row = x // 12, y // 12
        return ink if digest[3 + row * 3 + min(column, 4 - column)] % 2 else _PALE

    return _png(60, 60, at)


def _colour(shapes: list[tuple[Colour, Inside]], x: float, y: float) -> Colour:
    found = _SKY
    for colour, inside in shapes:
        if inside(x, y):
            found = colour
    return found


def _box(left: float, top: float, right: float, bottom: float) -> Inside:
    return lambda x, y: left <= x <= right and top <= y <= bottom


def _peak(middle: float, top: float, bottom: float, half: float) -> Inside:
    return lambda x, y: top <= y <= bottom and abs(x - middle) <= half * (y - top) / (bottom - top)


def _disc(middle: float, centre: float, radius: float) -> Inside:
    return lambda x, y: (x - middle) ** 2 + ((y - centre) * 0.625) ** 2 <= radius**2


_GROUND: tuple[Colour, Inside] = (_GRASS, _box(0, 0.75, 1, 1))
_SCENES: dict[str, list[tuple[Colour, Inside]]] = {
    "tent": [_GROUND, (_RUST, _peak(0.5, 0.2, 0.85, 0.34)), (_DARK, _peak(0.5, 0.4, 0.85, 0.07))],
    "boots": [
        _GROUND,
        (_SAND, _box(0.2, 0.25, 0.33, 0.75)),
        (_SAND, _box(0.2, 0.55, 0.46, 0.75)),
        (_SAND, _box(0.56, 0.25, 0.69, 0.75)),
        (_SAND, _box(0.56, 0.55, 0.82, 0.75)),
        (_DARK, _box(0.18, 0.75, 0.48, 0.82)),
        (_DARK, _box(0.54, 0.77, 0.84, 0.84)),
    ],
    "pack": [_GROUND, (_BLUE, _box(0.35, 0.2, 0.65, 0.85)), (_DARK, _box(0.35, 0.33, 0.65, 0.36))],
    "parcel": [_GROUND, (_SAND, _box(0.25, 0.35, 0.75, 0.85)), (_RUST, _box(0.47, 0.35, 0.53, 0.85))],
    "phone": [
        (_DARK, _box(0.38, 0.08, 0.62, 0.92)),
        (_PALE, _box(0.4, 0.14, 0.6, 0.86)),
        (_RUST, _disc(0.5, 0.45, 0.05)),
    ],
    "mountain": [(_RUST, _disc(0.72, 0.3, 0.07)), (_BLUE, _peak(0.4, 0.2, 1, 0.5)), (_GRASS, _peak(0.75, 0.5, 1, 0.4))],
}


def _png(width: int, height: int, at: Callable[[int, int], Colour]) -> bytes:
    """The pixels as PNG (RFC 2083): 8-bit RGB, one IDAT."""
    rows = b"".join(b"\0" + bytes(part for x in range(width) for part in at(x, y)) for y in range(height))
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = (_chunk(b"IHDR", header), _chunk(b"IDAT", zlib.compress(rows, 9)), _chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
