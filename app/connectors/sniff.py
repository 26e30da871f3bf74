"""What kind of image some bytes are, whatever their sender calls them."""

MAGIC = {  # https://mimesniff.spec.whatwg.org/#matching-an-image-type-pattern; SVG is left out, it can carry scripts
    b"\x89PNG\r\n\x1a\n": "image/png",
    b"\xff\xd8\xff": "image/jpeg",
    b"GIF87a": "image/gif",
    b"GIF89a": "image/gif",
}


def sniffed(start: bytes) -> str | None:
    """The kind of image that these bytes begin; None for what no browser shows."""
    if start[:4] == b"RIFF" and start[8:12] == b"WEBP":
        return "image/webp"
    if start[4:12] in {b"ftypavif", b"ftypavis"}:
        return "image/avif"
    return next((kind for magic, kind in MAGIC.items() if start.startswith(magic)), None)
